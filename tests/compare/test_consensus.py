"""The consensus of several runs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtsldsl.compare.agreement import agreed_spec, differing
from mtsldsl.compare.consensus import Consensus, consensus
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.sharing import Sharing
from tests.ir.specs import BACKBONE, LAYERS, TASKS, text
from tests.sharing.strategies import valid_sharings

BASE = loads(text())


def run(name: str, sharing: Sharing) -> Spec:
    lines = "".join(f"  {line}\n" for line in str(sharing).splitlines())
    return loads(text(f"sharing {{\n{lines}}}\n"), name)


def runs(sharings: list[Sharing]) -> list[Spec]:
    return [run(f"run {index}", sharing) for index, sharing in enumerate(sharings)]


def of(found: Consensus, layer: str, one: str, other: str) -> int:
    return next(pair.runs for pair in found.pairs if pair.layer == layer and set(pair.tasks) == {one, other})


some_runs = st.lists(valid_sharings(BACKBONE, TASKS), min_size=2, max_size=4)
quickly = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quickly
@given(some_runs)
def test_every_layer_and_pair_is_counted(sharings: list[Sharing]) -> None:
    found = consensus(runs(sharings))
    assert len(found.pairs) == len(LAYERS) * 6
    for pair in found.pairs:
        one, other = pair.tasks
        assert pair.runs == sum(other in sharing.component(pair.layer, one) for sharing in sharings)


@quickly
@given(some_runs)
def test_a_distance_counts_the_answers_that_differ_from_the_majority(sharings: list[Sharing]) -> None:
    found = consensus(runs(sharings))
    for sharing, distance in zip(sharings, found.distances, strict=True):
        assert distance == sum(
            (pair.tasks[1] in sharing.component(pair.layer, pair.tasks[0])) != (2 * pair.runs > len(sharings))
            for pair in found.pairs
        )
    assert bool(found) == (len({str(sharing) for sharing in sharings}) > 1)


@quickly
@given(some_runs, st.randoms(use_true_random=False))
def test_the_order_of_the_runs_makes_no_difference(sharings: list[Sharing], random: object) -> None:
    shuffled = list(sharings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert consensus(runs(sharings)).pairs == consensus(runs(shuffled)).pairs


def test_three_seeds_of_which_two_agree() -> None:
    agreed = BASE.sharing.merge("stem", ["segment", "depth"])
    odd = BASE.sharing.merge("stem", ["edge", "normal"])
    found = consensus([run("a", agreed), run("b", odd), run("c", agreed)])
    assert of(found, "stem", "depth", "segment") == 2
    assert of(found, "stem", "edge", "normal") == 1
    assert of(found, "enc1", "depth", "segment") == 0
    assert found.distances == (0, 2, 0)
    assert found.nearest == "a"


def test_a_tie_is_not_shared() -> None:
    found = consensus([BASE, run("b", BASE.sharing.merge("stem", ["segment", "depth"]))])
    assert found.distances == (0, 1)
    assert [pair["shared"] for pair in found.as_json()["pairs"] if pair["runs"] == 1] == [False]


def test_tasks_in_another_order_are_the_same_tasks() -> None:
    segment = text()[text().index("task segment") : text().index("task depth")]
    other = loads(text().replace(segment, "").replace("backbone {", f"{segment}backbone {{"))
    assert consensus([BASE, other]).distances == (0, 0)


def test_specs_of_other_tasks_or_layers_are_refused_by_name() -> None:
    fewer = loads(text().replace("  enc2 = ", "  deep = "), "deep.mtl")
    with pytest.raises(MtlError) as caught:
        consensus([BASE, BASE, fewer])
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["MTL407"]
    assert "deep.mtl and <string> do not have the same layers: `enc2`, `deep`" in str(caught.value)


def test_a_consensus_of_more_answers_than_anybody_reads_is_refused() -> None:
    names = ", ".join(f"t{number}" for number in range(150))
    layers = "".join(f"  l{number} = relu\n" for number in range(10))
    large = loads(
        f"mtl 1\ndata scenes {{\n  input = image(3, 8, 8)\n}}\ntask [{names}] {{\n  target = values(1)\n  head = conv2d(1, 1)\n}}\n"
        f"backbone {{\n{layers}}}\ntrain {{\n  epochs = 1\n}}\n"
    )
    with pytest.raises(MtlError, match="10 layers of 150 tasks has 111,750 answers"):
        consensus([large, large, large])


# As a spec


def agreed(sharings: list[Sharing]) -> Sharing:
    specs = runs(sharings)
    found = consensus(specs)
    spec = agreed_spec(specs, found)
    assert loads(spec.source.text) == spec
    return spec.sharing


def agreement(sharing: Sharing, sharings: list[Sharing]) -> int:
    """Over all layers and pairs that share: how many more runs say yes than no."""
    return sum(
        sum(1 if other in each.component(layer, one) else -1 for each in sharings)
        for layer in LAYERS
        for one, other in itertools.combinations(TASKS, 2)
        if other in sharing.component(layer, one)
    )


@quickly
@given(valid_sharings(BACKBONE, TASKS), some_runs, st.randoms(use_true_random=False))
def test_what_more_than_half_of_the_runs_have_is_the_spec(most: Sharing, others: list[Sharing], random: object) -> None:
    sharings = [most] * (len(others) + 1) + others
    random.shuffle(sharings)  # type: ignore[attr-defined]
    assert agreed(sharings) == most
    assert differing(most, consensus(runs(sharings))) == 0


@quickly
@given(some_runs, st.randoms(use_true_random=False))
def test_no_further_joining_makes_the_spec_agree_more(sharings: list[Sharing], random: object) -> None:
    found = agreed(sharings)
    for layer, tasks in found.frontier():
        for one, other in itertools.combinations([each for each in found.partition(layer) if each <= tasks], 2):
            assert agreement(found.merge(layer, one | other), sharings) <= agreement(found, sharings)
    shuffled = list(sharings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert agreed(shuffled) == found


def test_where_most_answers_are_no_sharing_the_rest_is_counted() -> None:
    ours, theirs = (BASE.sharing.merge("stem", pair) for pair in (["segment", "depth"], ["depth", "edge"]))
    sharings = [ours, theirs, BASE.sharing.merge("stem", ["segment", "depth", "edge"])]
    assert agreed(sharings) == ours
    assert differing(ours, consensus(runs(sharings))) == 1


def test_alternatives_and_helpers_have_no_consensus_to_write() -> None:
    helped = loads(
        text(f"sharing {{\n  {LAYERS[0]}..{LAYERS[-1]} = segment + depth, (depth) + normal + edge\n}}\n"), "helped.mtl"
    )
    specs = [helped, helped, helped]
    with pytest.raises(MtlError, match="tasks help in the groups of helped") as caught:
        agreed_spec(specs, consensus(specs))
    assert "take the run that is nearest to it, helped.mtl" in str(caught.value)
    layers = "  mix = parallel(one=conv2d(8, 3), two=conv2d(8, 5))\n"
    one = text("sharing {\n  mix = one: all\n}\n").replace("  dec1 =", f"{layers}  dec1 =")
    specs = [loads(one, "one.mtl"), loads(one, "same.mtl"), loads(one.replace("one: all", "two: all"), "other.mtl")]
    with pytest.raises(MtlError, match="tasks use other alternatives in some run"):
        agreed_spec(specs, consensus(specs))
    assert agreed_spec(specs[:2], consensus(specs[:2])).sharing == specs[0].sharing
