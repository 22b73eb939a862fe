"""Phases after the last epoch are left out where the epochs were set from outside, and are a mistake elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import dumps, load, loads
from mtsldsl.editing.late_phases import left_out
from tests.ir.specs import text

PHASES = "structure mtsl {\n  phases   = [1, 2, 4]  # early\n  transfer = amalgamate(epochs=[3, 2, 1])\n}\n"
WHOLE = text(PHASES)


def phases(whole: str, overrides: dict[str, str]) -> tuple[int, ...] | None:
    structure = loads(whole, overrides=overrides).structure
    return structure.settings.phases if structure else None


@pytest.mark.parametrize(("epochs", "left"), [(4, (1, 2, 4)), (3, (1, 2)), (2, (1, 2)), (1, (1,)), (9, (1, 2, 4))])
def test_phases_after_the_last_epoch_are_left_out_with_what_is_said_for_each(
    epochs: int, left: tuple[int, ...]
) -> None:
    spec = loads(WHOLE, overrides={"train.epochs": str(epochs)})
    assert spec.structure is not None
    assert spec.structure.settings.phases == left
    assert spec.structure.values["transfer"].arguments["epochs"] == (3, 2, 1)[: len(left)]
    assert loads(dumps(spec)) == spec
    assert "# early" in dumps(spec)


def test_the_epochs_of_the_transfer_may_be_a_constant() -> None:
    whole = WHOLE.replace("[3, 2, 1]", "long").replace("mtl 1\n", "mtl 1\nlet long = [3, 2, 1]\n")
    spec = loads(whole, overrides={"train.epochs": "2"})
    assert spec.structure is not None
    assert spec.structure.values["transfer"].arguments["epochs"] == (3, 2)
    assert loads(dumps(spec)) == spec


def test_without_a_phase_left_the_structure_does_not_evolve() -> None:
    whole = WHOLE.replace("[1, 2, 4]", "[2, 3, 4]")
    spec = loads(whole, overrides={"train.epochs": "1"})
    assert spec.structure is None
    assert dumps(spec) == whole.replace("structure mtsl", "structure none").replace("epochs = 4", "epochs = 1")


def test_the_epochs_may_be_set_by_a_constant_and_the_phases_may_be_one(tmp_path: Path) -> None:
    whole = WHOLE.replace("epochs = 4", "epochs = count").replace("[1, 2, 4]", "early")
    own = whole.replace("mtl 1\n", "mtl 1\nlet count = 4\nlet early = [1, 2, 4]\n")
    assert phases(own, {"count": "2"}) == (1, 2)
    (tmp_path / "lib.mtl").write_text("mtl 1\nlet count = 4\nlet early = [1, 2, 4]\n")
    path = tmp_path / "spec.mtl"
    path.write_text(whole.replace("mtl 1\n", 'mtl 1\nimport "lib.mtl"\n'))
    structure = load(path, {"count": "1"}).structure
    assert structure is not None
    assert structure.settings.phases == (1,)


ALLOCATION = text("structure allocation {\n  on    = 0.9\n  write = [1, 3]  # early\n}\n").replace(
    "conv2d(16, 3) | batch_norm | relu", "parallel(conv3=conv2d(16, 3), conv5=conv2d(16, 5))"
)


@pytest.mark.parametrize(("epochs", "left"), [(4, (1, 3)), (3, (1, 3)), (2, (1,))])
def test_epochs_to_write_at_after_the_last_are_left_out(epochs: int, left: tuple[int, ...]) -> None:
    structure = loads(ALLOCATION, overrides={"train.epochs": str(epochs)}).structure
    assert structure is not None
    assert structure.settings.write == left


def test_without_one_left_an_allocation_is_learned_all_the_same() -> None:
    """It is written at the end of the last epoch in any case."""
    whole = ALLOCATION.replace("[1, 3]", "[2, 3]")
    spec = loads(whole, overrides={"train.epochs": "1"})
    assert spec.structure is not None
    assert spec.structure.settings.write == ()
    assert dumps(spec) == whole.replace("[2, 3]", "[]").replace("epochs = 4", "epochs = 1")


def test_a_choice_that_is_left_out_leaves_a_structure_that_does_not_evolve() -> None:
    whole = text("structure ltb {\n  choose = 2  # early\n}\n")
    for epochs, left in (("4", 2), ("2", 2)):
        structure = loads(whole, overrides={"train.epochs": epochs}).structure
        assert structure is not None
        assert structure.settings.choose == left
    spec = loads(whole, overrides={"train.epochs": "1"})
    assert spec.structure is None
    assert dumps(spec) == whole.replace("structure ltb", "structure none").replace("epochs = 4", "epochs = 1")
    said = "the phase at epoch 2 is left out: training ends at epoch 1"
    assert str(left_out(Source("spec.mtl", whole), {"train.epochs": "1"})) == said


CHOOSING = text("structure transference {\n  every = 3\n  groups = 2  # networks\n  epochs = 2\n}\n")


def test_groups_that_are_left_out_leave_a_structure_that_measures() -> None:
    for epochs in ("4", "2"):
        structure = loads(CHOOSING, overrides={"train.epochs": epochs}).structure
        assert structure is not None
        assert structure.settings.until == 2
    spec = loads(CHOOSING, overrides={"train.epochs": "1"})
    assert spec.structure is not None
    assert (spec.structure.settings.every, spec.structure.settings.until) == (3, None)
    left = CHOOSING.replace("groups = 2  # networks\n  epochs = 2\n", "# networks\n")
    assert dumps(spec) == left.replace("epochs = 4", "epochs = 1")
    said = "the phase at epoch 2 is left out: training ends at epoch 1"
    assert str(left_out(Source("spec.mtl", CHOOSING), {"train.epochs": "1"})) == said


@pytest.mark.parametrize(
    "row",
    [
        "(depth) + segment, depth + normal, edge",
        "segment + depth, (depth) + normal + edge",
    ],
)
def test_of_tasks_in_groups_no_others_are_chosen_however_late_that_would_be(row: str) -> None:
    whole = f"{CHOOSING}\nsharing {{\n  stem..dec2 = {row}\n}}\n"
    spec = loads(whole, overrides={"train.epochs": "1"})
    assert spec.structure is not None
    assert (spec.structure.settings.groups, spec.structure.settings.epochs) == (2, 2)
    assert dumps(spec) == whole.replace("epochs = 4", "epochs = 1")
    assert left_out(Source("spec.mtl", whole), {"train.epochs": "1"}) is None
    assert loads(dumps(spec)) == spec


def test_without_groups_to_choose_an_epoch_is_a_mistake_all_the_same() -> None:
    for without in ("", "groups = none"):
        with pytest.raises(MtlError) as caught:
            loads(CHOOSING.replace("groups = 2", without), overrides={"train.epochs": "1"})
        assert [found.code for found in caught.value.diagnostics] == ["MTL204"]


@pytest.mark.parametrize(
    ("whole", "overrides"),
    [
        (CHOOSING.replace("epochs = 4", "epochs = 1"), {}),
        (WHOLE.replace("epochs = 4", "epochs = 3"), {}),
        (WHOLE.replace("epochs = 4", "epochs = 3"), {"train.seed": "1"}),
        (WHOLE.replace("epochs = 4", "epochs = 3"), {"train.epochs": "3"}),
        (WHOLE, {"structure.phases": "[1, 2, 9]"}),
        (WHOLE, {"train.epochs": "3", "structure.phases": "[1, 2, 9]"}),
    ],
)
def test_phases_that_the_text_or_the_settings_themselves_have_too_late_are_a_mistake(
    whole: str, overrides: dict[str, str]
) -> None:
    with pytest.raises(MtlError) as caught:
        loads(whole, overrides=overrides)
    assert [found.code for found in caught.value.diagnostics] == ["MTL501"]


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        ("1", "the phases at epochs 2, 4 are left out: training ends at epoch 1"),
        ("3", "the phase at epoch 4 is left out: training ends at epoch 3"),
        ("4", "None"),
    ],
)
def test_what_is_left_out_is_said(epochs: str, said: str) -> None:
    assert str(left_out(Source("spec.mtl", WHOLE), {"train.epochs": epochs})) == said
