"""The person's own file keeps every edit of the person, and gets the run's decisions where they fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtsldsl.runtime.in_place import InPlace
from mtsldsl.spec import Decision, Spec, load, rewritten

SCENES = Path(__file__).parents[2] / "specs" / "scenes.mtl"
PAIR = frozenset({"segment", "edge"})


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.mtl"
    path.write_text(SCENES.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def evolved_from(spec: Spec, layer: str) -> tuple[Spec, list[Decision]]:
    decisions = [Decision("merge", 2, layer, ("segment", "edge"), 0.95)]
    return rewritten(spec, spec.sharing.merge(layer, PAIR), decisions), decisions


def test_the_decisions_of_a_run_are_written_into_the_file(mine: Path) -> None:
    before = load(mine)
    after, decisions = evolved_from(before, "stem")
    assert InPlace(mine, before.sharing).update(after, decisions) is None
    assert load(mine) == after


def test_an_edit_that_a_person_saved_meanwhile_is_kept(mine: Path) -> None:
    before = load(mine)
    own = InPlace(mine, before.sharing)
    after, decisions = evolved_from(before, "stem")
    assert own.update(after, decisions) is None
    saved = mine.read_text(encoding="utf-8").replace("epochs    = 14", "epochs    = 20   # a longer one")
    mine.write_text(saved, encoding="utf-8")
    later, more = evolved_from(after, "enc1")
    assert own.update(later, more) is None
    assert load(mine).train.epochs == 20
    assert "# a longer one" in mine.read_text(encoding="utf-8")
    assert load(mine).sharing == later.sharing
    assert [line.layer for line in load(mine).history] == ["stem", "enc1"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("task edge {", "task border {", "tasks"),
        ("enc3 = basic(48", "enc3 = basic(40", "backbone"),
        ("structure mtsl {", "sharing {\n  stem = all\n}\n\nstructure mtsl {", "someone else"),
        ("mtl 1", "mtl 1 {", ""),
    ],
)
def test_a_file_that_no_longer_fits_is_left_alone(mine: Path, old: str, new: str, reason: str) -> None:
    before = load(mine)
    changed = SCENES.read_text(encoding="utf-8").replace(old, new)
    assert changed != SCENES.read_text(encoding="utf-8")
    mine.write_text(changed, encoding="utf-8")
    own = InPlace(mine, before.sharing)
    after, decisions = evolved_from(before, "stem")
    answer = own.update(after, decisions)
    assert answer is not None
    assert reason in answer
    assert mine.read_text(encoding="utf-8") == changed


def test_a_file_that_was_left_alone_once_stays_alone(mine: Path) -> None:
    before = load(mine)
    text = mine.read_text(encoding="utf-8")
    own = InPlace(mine, before.sharing)
    after, decisions = evolved_from(before, "stem")
    mine.write_text("mtl", encoding="utf-8")
    assert own.update(after, decisions) is not None
    mine.write_text(text, encoding="utf-8")
    assert own.update(after, decisions) is None
    assert mine.read_text(encoding="utf-8") == text
