"""Which rows a study has, and the spec of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import attrs
import pytest

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import load, loads
from mtsldsl.ir.normal import digest
from mtsldsl.methods.registry import methods
from mtsldsl.runtime.studies.baselines.study import Study
from mtsldsl.runtime.studies.baselines.wanted_rows import KINDS, Row, Wanted, at_random, picked
from mtsldsl.syntax import read_source
from tests.studies.study_specs import LADDER, SPEC


def wanted(text: str = SPEC, kinds: Sequence[str] = KINDS, budgets: Sequence[float] = (), **settings: str) -> Wanted:
    return Wanted.of(Source("small.mtl", text), settings, kinds, budgets)


@cache
def usual() -> Wanted:
    """All rows of the small job, as it is."""
    return wanted()


def names(found: Wanted) -> list[str]:
    return [" = ".join(row.names) for row in found.rows]


def row(found: Wanted, name: str) -> Row:
    return next(each for each in found.rows if each.name == name)


def test_rows_that_are_one_sharing_are_one_row() -> None:
    found = usual()
    assert names(found) == [
        "each = last:2", "all = last:0 = given", "encoder = last:1", "widened", "learned", "scratch", "random",
    ]  # fmt: skip
    assert found.left_out == ()
    assert names(wanted(kinds=["random", "last:1"])) == ["each", "last:1", "learned", "random"]


def test_the_sharing_of_the_text_is_a_row_and_so_is_its_shape_with_the_tasks_at_random() -> None:
    pairs = SPEC.replace("wide   = all\n  narrow = all", "wide   = all\n  narrow = whole + part, sign")
    found = wanted(pairs, ["given", "learned"])
    assert names(found) == ["each", "given", "random:given", "learned"]
    given, other = row(found, "given"), row(found, "random:given")
    assert given.at(3).sharing == loads(pairs).sharing
    assert {len(other.at(seed, given.at(seed).sharing).sharing["narrow"]) for seed in range(9)} == {2}
    assert len({other.at(seed, given.at(seed).sharing).sharing for seed in range(20)}) == 3
    assert (other.structure_of, given.structure_of) == ("given", None)
    assert names(wanted(kinds=["given"])) == ["each", "given"]
    assert names(wanted(SPEC[: SPEC.index("sharing")], ["given"])) == ["each = given"]
    taught = Wanted.of(Source("small.mtl", pairs), {}, ["given"], taught=True)
    assert names(taught) == ["each", "given", "random:given", "each+teachers", "given+teachers"]


def test_every_row_has_the_seed_the_balance_and_all_else_of_the_spec() -> None:
    found = wanted(kinds=["all", "widened", "scratch"], **{"train.epochs": "5"})
    shared = row(found, "all").spec.sharing
    for each in found.rows:
        spec = each.at(7, shared)
        assert (spec.train.seed, spec.train.balance.name, spec.train.epochs) == (7, "relative", 5)
        assert (spec.structure is None) == (each.kind != "learned")
        assert [task.name for task in spec.tasks] == ["whole", "part", "sign"]
        assert spec.source.text.count("seed") == 1
    assert row(found, "scratch").at(7, shared) == row(found, "all").at(7)
    assert found.assumed
    assert not wanted(SPEC.replace("epochs  ", "balance = equal\n  epochs  "), ["each"]).assumed
    assert not wanted(kinds=["each"], **{"train.balance": "equal"}).assumed


def test_the_budgets_are_those_of_the_learner_and_of_what_is_widened() -> None:
    found = wanted(kinds=["widened", "scratch"], budgets=(0.6, 0.8, 0.1))
    assert names(found) == [
        "each", "widened:0.6", "widened:0.8", "learned:0.6", "learned:0.8", "scratch:0.6", "scratch:0.8",
    ]  # fmt: skip
    single = row(found, "each").spec.cost().parameters
    for budget in (0.6, 0.8):
        widest = row(found, f"widened:{budget}").spec
        assert 0.9 * budget * single < widest.cost().parameters <= budget * single
        assert {len(widest.sharing[layer]) for layer in widest.backbone.layers} == {1}
        structure = row(found, f"learned:{budget}").spec.structure
        assert structure is not None
        assert structure.settings.budget == budget
        assert row(found, f"scratch:{budget}").structure_of == f"learned:{budget}"
        assert (
            row(found, f"widened:{budget}").pick == row(found, f"scratch:{budget}").pick == (0 if budget < 0.62 else 1)
        )
    assert (row(found, "each").pick, row(wanted(kinds=["widened"], budgets=(1,)), "widened:1.0").pick) == (None, 2)
    assert dict(found.left_out).keys() == {"widened:0.1", "learned:0.1", "scratch:0.1"}
    assert "the budget is" in dict(found.left_out)["widened:0.1"]
    assert "with every layer shared there are" in dict(found.left_out)["learned:0.1"]


def test_a_learner_that_gives_a_network_for_each_budget_has_one_run_and_a_row_for_each() -> None:
    found = wanted(LADDER, ["learned", "scratch", "random"])
    learned = [each for each in found.rows if each.kind == "learned"]
    assert [(each.name, each.network) for each in learned] == [("learned:0.6", "0.6"), ("learned:0.8", "0.8")]
    assert len({digest(each.at(3)) for each in learned}) == 1
    assert [each.structure_of for each in found.rows if each.kind == "random"] == ["learned:0.6", "learned:0.8"]
    assert not found.unbudgeted
    control = wanted(LADDER, ["widened", "learned"])
    assert names(control) == ["each", "widened:0.6", "widened:0.8", "learned:0.6", "learned:0.8"]
    given = wanted(LADDER, ["widened", "learned"], budgets=(0.7,))
    assert names(given) == ["each", "widened:0.7", "learned:0.7"]
    others = wanted(LADDER, ["learned"], budgets=(0.9, 0.7))
    learned = [each for each in others.rows if each.kind == "learned"]
    assert [each.name for each in learned] == ["learned:0.7", "learned:0.9"]
    for each in learned:
        assert each.spec.structure is not None
        assert each.spec.structure.settings.budgets == (0.7, 0.9)
    assert "the budget 0.1 is" in dict(wanted(LADDER, ["learned"], budgets=(0.1,)).left_out)["learned:0.1"]
    some = wanted(LADDER, ["learned"], budgets=(0.1, 0.7))
    assert [each.name for each in some.rows if each.kind == "learned"] == ["learned:0.7"]
    assert set(dict(some.left_out)) == {"learned:0.1"}
    picked = wanted(
        LADDER.replace("structure ladder {", "structure ladder {\n  pick = 0.6"), ["learned"], budgets=(0.9,)
    )
    assert [each.name for each in picked.rows if each.kind == "learned"] == ["learned:0.9"]


def test_static_shapes_and_structures_from_scratch_are_there_with_teachers_too() -> None:
    found = Wanted.of(Source("small.mtl", SPEC), {"train.teach": "0.5"}, ["all", "scratch", "random"], taught=True)
    assert names(found) == [
        "each", "all", "learned", "scratch", "random", "each+teachers", "all+teachers", "scratch+teachers",
    ]  # fmt: skip
    shared = row(found, "all").spec.sharing
    for name in ("each", "all", "scratch"):
        taught, plain = row(found, f"{name}+teachers"), row(found, name)
        assert (taught.untaught, taught.kind, taught.structure_of) == (name, plain.kind, plain.structure_of)
        spec = taught.at(7, shared, Path("a study/each-seed-7"))
        assert (spec.train.teachers, spec.train.teach) == ("a study/each-seed-7", 0.5)
        assert attrs.evolve(spec, train=attrs.evolve(spec.train, teachers=None)) == plain.at(7, shared)
    assert all(each.spec.train.teachers is None for each in found.rows)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"train.teachers": "runs/1"}, "names `teachers` itself"), ({"train.teach": "0"}, "teach = 0")],
)
def test_teachers_that_there_cannot_be_are_refused(settings: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Wanted.of(Source("small.mtl", SPEC), settings, KINDS, taught=True)


def test_a_learner_says_which_key_is_its_budget() -> None:
    """Of methods that have a `budget` in parameters; that of allocation is a part of the alternatives."""
    assert {each.name: each.budget for each in methods() if each.budget} == {
        "mtsl": "choose", "branch": "budget", "split": "budget",
    }  # fmt: skip
    assert {each.name: each.budgets.key for each in methods() if each.budgets} == {"ladder": "budgets"}
    for each in methods():
        assert each.budget is None or each.budget in {key.name for key in each.block.keys or ()}
    plain = SPEC.replace("branch {\n  at     = 1\n  budget = 0.7", "ltb {\n  choose = 1")
    found = wanted(plain, ["learned"], budgets=(0.5, 0.8))
    assert found.unbudgeted
    assert names(found) == ["each", "learned"]


def test_a_threshold_makes_room_for_a_budget() -> None:
    block = "mtsl {\n  phases = [1]\n  threshold = 0.9\n  alone = threshold"
    found = wanted(SPEC.replace("branch {\n  at     = 1\n  budget = 0.7", block), ["learned"], budgets=(0.6, 0.8, 0.1))
    assert names(found) == ["each", "learned:0.6", "learned:0.8"]
    assert dict(found.left_out).keys() == {"learned:0.1"}
    for budget in (0.6, 0.8):
        structure = row(found, f"learned:{budget}").at(3).structure
        assert structure is not None
        assert structure.settings.choose.part == budget


@pytest.mark.parametrize(
    ("file", "own"),
    [("scenes", 2), ("nyuv2_small", 2), ("nyuv2", 4), ("multifashion", 1), ("planted", 1), ("omniglot_small", 0)],
)
def test_what_a_person_would_pick(file: str, own: int) -> None:
    """Own decoders after the encoder; own last layer and heads of rows. Of omniglot_small the smallest resolution is
    that of mix3, and the layers after it keep it: all are shared, but for what the heads are."""
    assert picked(load(f"specs/{file}.mtl")) == own


def test_what_is_to_be_the_input_again_counts_where_it_is_asked_for(tmp_path: Path) -> None:
    found = Wanted.of(read_source("specs/nyuv2_small.mtl"), {}, ["each"])
    scenes = ("segment", "depth", "normal", "edge")
    assert Study(found, (0,), tmp_path, "cpu").counted == scenes
    assert Study(found, (0,), tmp_path, "cpu", with_reconstruct=True).counted == (*scenes, "autoencode")


def test_of_one_layer_all_is_picked() -> None:
    assert picked(loads(SPEC.replace("  narrow = linear(4) | relu\n", "").replace("  narrow = all\n", ""))) == 0


def test_places_are_taken_at_random_and_by_the_seed_alone() -> None:
    spec = row(usual(), "all").spec
    found = spec.sharing.given({"wide": [["whole", "part", "sign"]], "narrow": [["whole", "part"], ["sign"]]})
    drawn = [at_random(found, spec, seed) for seed in range(90)]
    assert drawn == [at_random(found, spec, seed) for seed in range(90)]
    alone = Counter(
        next(task for each in sharing.partition("narrow") if len(each) == 1 for task in each) for sharing in drawn
    )
    assert all(15 < count < 45 for count in alone.values())
    assert alone.keys() == {"whole", "part", "sign"}


def test_what_cannot_be_compared_is_told() -> None:
    mixed = SPEC.replace("linear(4) | relu", "parallel(a=linear(4), b=linear(4) | relu)").replace(
        "  narrow = all\n", ""
    )
    plain = mixed[: mixed.index("structure")] + mixed[mixed.index("sharing") :]
    with pytest.raises(MtlError, match="MTL408") as told:
        wanted(plain)
    assert "no sharing is a network for each task alone" in str(told.value)
    with pytest.raises(ValueError, match="there are no rows `most`"):
        wanted(kinds=["most"])
    with pytest.raises(ValueError, match="`last:3`: the network has 2 layers"):
        wanted(kinds=["last:3"])


def test_without_a_learner_there_is_none_to_compare() -> None:
    plain = SPEC[: SPEC.index("structure")] + SPEC[SPEC.index("sharing") :]
    for text, reason in (
        (plain, "the spec has no `structure` to learn"),
        (
            SPEC.replace("branch {\n  at     = 1\n  budget = 0.7", "transference {\n"),
            "`structure transference` does not",
        ),
    ):
        left_out = dict(wanted(text, ["learned", "scratch", "random"]).left_out)
        assert left_out.keys() == {"learned", "scratch", "random"}
        assert all(each.startswith(reason) for each in left_out.values())
