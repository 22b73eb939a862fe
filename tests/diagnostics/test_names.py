from __future__ import annotations

from difflib import get_close_matches
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import Diagnostic, Fix, Source, Span, proposal, suggestion
from mtsldsl.diagnostics.elsewhere import called_here, means_another_thing
from mtsldsl.diagnostics.names import Suggestion, nearest, neighbours
from tests.timing import clocked, held_within

NAMES = st.text("abcd", min_size=1, max_size=10)
SHORT, LONG = st.text("abcd", min_size=3, max_size=7), st.text("abcd", min_size=8, max_size=10)
"""Names of the two lengths for which as many slips count as near."""


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("epoch", ["epochs", "seed"], ["epochs"]),
        ("bacth", ["batch", "match"], ["batch"]),  # two letters in the wrong order
        ("relu", ["gelu", "silu"], ["gelu"]),
        ("ReLU", ["relu"], ["relu"]),
        ("enc", ["enc1", "enc2"], ["enc1", "enc2"]),
        ("adm", ["adam", "adamw", "radam"], ["adam"]),
        ("x", ["y"], []),  # too short for a slip to be told from another name
        ("batchnorm", ["batch_norm", "group_norm"], ["batch_norm"]),
        ("cros_entrpy", ["cross_entropy"], ["cross_entropy"]),
        ("cros_entr", ["cross_entropy"], []),
        ("class_weight", ["weight"], []),
        ("", ["a"], []),
    ],
)
def test_a_neighbour_is_one_slip_away_or_two_in_a_long_name(name: str, known: list[str], near: list[str]) -> None:
    assert neighbours(name, known) == near


@given(NAMES.filter(lambda name: len(name) > 2), st.data())
@settings(max_examples=80, deadline=None)
def test_a_name_with_one_slip_is_a_neighbour_of_the_name_that_was_meant(meant: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(meant) - 1))
    letter = data.draw(st.sampled_from("abcd"))
    wrong = data.draw(
        st.sampled_from(
            [
                meant[:index] + meant[index + 1 :],
                meant[:index] + letter + meant[index:],
                meant[:index] + letter + meant[index + 1 :],
                meant[:index] + meant[index : index + 2][::-1] + meant[index + 2 :],
            ]
        )
    )
    assert neighbours(wrong, [meant]) == ([meant] if len(wrong) > 2 else [])


@given(st.tuples(SHORT, SHORT) | st.tuples(LONG, LONG))
@settings(max_examples=80, deadline=None)
def test_neighbours_of_equal_length_class_are_mutual(pair: tuple[str, str]) -> None:
    one, other = pair
    assert bool(neighbours(one, [other])) == bool(neighbours(other, [one]))


def diagnostic(text: str, wrong: str, known: list[str]) -> Diagnostic:
    source = Source("s.mtl", text)
    start = text.index(wrong)
    return Diagnostic("MTL104", "a cause", suggestion(wrong, known, "keys"), Span(source, start, start + len(wrong)))


def test_a_misspelt_name_with_a_single_neighbour_has_a_fix() -> None:
    found = diagnostic("epoch = 3", "epoch", ["epochs", "seed"])
    assert found.remedy == "did you mean `epochs`?"
    assert found.span
    assert found.fix == Fix(found.span, "epochs")


def test_a_name_near_to_several_has_no_fix_but_a_remedy() -> None:
    found = diagnostic("enc = 3", "enc", ["enc1", "enc2"])
    assert found.remedy == "did you mean `enc1` or `enc2`?"
    assert found.fix is None


def test_a_name_that_came_in_from_elsewhere_has_no_fix_where_it_is_reported() -> None:
    source = Source("s.mtl", "optimizer = chosen")
    found = Diagnostic("MTL206", "a cause", suggestion("adm", ["adam"], "optimizers"), Span(source, 12, 18))
    assert found.remedy == "did you mean `adam`?"
    assert found.fix is None


def test_a_diagnostic_without_a_place_has_no_fix() -> None:
    assert Diagnostic("MTL112", "a cause", suggestion("epoch", ["epochs"], "settings")).fix is None


def test_what_is_like_no_known_name_is_no_proposal() -> None:
    assert proposal("zebra", ["epochs"]) is None
    assert not isinstance(suggestion("zebra", ["epochs"], "keys"), Suggestion)


def test_a_name_with_further_words_is_another_thing() -> None:
    assert proposal("transfer_lr", ["transfer"]) is None
    assert proposal("transfer_", ["transfer"]) == "did you mean `transfer`?"
    assert proposal("tranfser_l", ["transfer_lr"]) == "did you mean `transfer_lr`?"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("micro_f1", "macro_f1"),
        ("weighted_f1", "macro_f1"),
        ("msle", "mse"),
        ("rmsle", "rmse"),
        ("max_tokens", "mean_tokens"),
        ("min_pool2d", "max_pool2d"),
        ("mean_pool2d", "max_pool2d"),
        ("infinite", "finite"),
        ("least", "last"),
        ("first", "last"),
        ("biased", "debiased"),
        ("invalid", "valid"),
        ("invalidation", "validation"),
        ("unscaled", "scaled"),
        ("downsample", "upsample"),
    ],
)
def test_a_name_that_says_the_opposite_or_another_thing_of_its_kind_is_never_meant(name: str, known: str) -> None:
    found = suggestion(name, [known], "names")
    assert not isinstance(found, Suggestion), found
    assert known in found  # it is listed, as all are


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("macrof1", "macro_f1"),
        ("maen_tokens", "mean_tokens"),
        ("fnite", "finite"),
        ("inages", "images"),
        ("vaild", "valid"),
    ],
)
def test_a_misspelt_name_of_such_a_kind_is_still_meant(name: str, known: str) -> None:
    found = suggestion(name, [known], "names")
    assert isinstance(found, Suggestion)
    assert found.right == known


def test_a_name_that_looks_like_one_of_the_language_may_still_be_one_of_the_writer_misspelt() -> None:
    assert proposal("vflip", ["hflip"]) is None
    assert proposal("vflip", ["hflip", "vflips"]) == "did you mean `vflips`?"


def test_a_name_with_other_capitals_or_underscores_is_that_name() -> None:
    meant = suggestion("ReLU", ["relu", "gelu"], "operators")
    assert isinstance(meant, Suggestion)
    assert meant.right == "relu"
    assert proposal("Conv2D", ["conv2d", "conv2e"]) == "did you mean `conv2d`?"


def test_a_name_from_elsewhere_is_the_known_name_for_the_same_thing() -> None:
    assert called_here("batch_size", ["input", "batch"]) == "batch"
    assert called_here("CosineAnnealingLR", ["cosine", "step"]) == "cosine"
    assert called_here("batch_size", ["epochs"]) is None


def slips(one: str, other: str) -> int:
    """The restricted Damerau-Levenshtein distance, by its definition."""

    @cache
    def between(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        ways = [between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (one[i - 1] != other[j - 1])]
        if i > 1 and j > 1 and one[i - 2 : i] == other[j - 2 : j][::-1]:
            ways.append(between(i - 2, j - 2) + 1)
        return min(ways)

    return between(len(one), len(other))


@given(st.text("ab1_", max_size=11), st.lists(st.text("ab1_", max_size=11), max_size=6, unique=True))
@settings(max_examples=150, deadline=None)
def test_neighbours_are_those_that_the_definition_of_the_distance_gives(name: str, known: list[str]) -> None:
    most = (len(name) >= 3) + (len(name) >= 8)
    assert neighbours(name, known) == [each for each in known if slips(name, each) <= most]


@given(st.text("abAB1_", max_size=9), st.lists(st.text("abAB1_", min_size=1, max_size=9), max_size=12, unique=True))
@settings(max_examples=150, deadline=None)
def test_what_is_proposed_is_what_comparing_with_every_name_would_propose(name: str, known: list[str]) -> None:
    possible = sorted(each for each in known if not means_another_thing(name, each))
    same = [each for each in possible if each.lower() == name.lower()]
    found = same[:1] or get_close_matches(name, possible, n=1, cutoff=0.8)
    assert nearest(name, known) == (found[0] if found else None)
    near = [each for each in possible if slips(name.lower(), each.lower()) <= (len(name) >= 3) + (len(name) >= 8)]
    spelt = [each for each in known if each.lower().replace("_", "") == name.lower().replace("_", "")]
    proposed = proposal(name, known)
    assert (proposed is None) == (not (spelt[:1] if len(spelt) == 1 else near or found))


@pytest.mark.parametrize("unknown", ["l{}x", "x{}", "{}"])
def test_hundreds_of_unknown_names_are_looked_up_sooner_than_each_is_compared_with_each(unknown: str) -> None:
    known = [f"l{number}" for number in range(500)]

    def look_up() -> None:
        for number in range(500):
            suggestion(unknown.format(number), known, "layers")

    def compare_a_tenth() -> None:
        for number in range(0, 500, 10):
            get_close_matches(f"l{number}x", known)

    held_within(10, clocked(look_up), clocked(compare_a_tenth))


def test_of_many_known_names_the_first_are_listed() -> None:
    assert suggestion("?", [f"l{number}" for number in range(63)], "layers").endswith(", l58, l59 and 3 more")
    assert suggestion("?", [f"l{number}" for number in range(60)], "layers").endswith(", l58, l59")
