"""The person's own file keeps every edit of the person, and gets the run's decisions where they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mtsldsl.editing import load, rewritten
from mtsldsl.ir import Decision, Spec
from mtsldsl.runtime.run.in_place import InPlace
from mtsldsl.sharing import Sharing
from tests.ir.decisions import merge

SCENES = Path(__file__).parents[2] / "specs" / "scenes.mtl"
PAIR = frozenset({"segment", "edge"})


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.mtl"
    path.write_text(SCENES.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def evolved_from(spec: Spec, layer: str) -> tuple[Spec, list[Decision]]:
    decisions = [merge(2, layer, ("segment", "edge"), 0.95)]
    return rewritten(spec, spec.sharing.merge(layer, PAIR), decisions), decisions


def test_the_decisions_of_a_run_are_written_into_the_file(mine: Path) -> None:
    before = load(mine)
    after, decisions = evolved_from(before, "stem")
    assert InPlace(mine, before.sharing).update(after, decisions)
    assert load(mine) == after


def test_an_edit_that_a_person_saved_meanwhile_is_kept(mine: Path) -> None:
    before = load(mine)
    own = InPlace(mine, before.sharing)
    after, decisions = evolved_from(before, "stem")
    assert own.update(after, decisions)
    saved = mine.read_text(encoding="utf-8").replace("epochs    = 14", "epochs    = 20   # a longer one")
    mine.write_text(saved, encoding="utf-8")
    later, more = evolved_from(after, "enc1")
    assert own.update(later, more)
    assert load(mine).train.epochs == 20
    assert "# a longer one" in mine.read_text(encoding="utf-8")
    assert load(mine).sharing == later.sharing
    assert [line.fields["layer"] for line in load(mine).history] == ["stem", "enc1"]


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
    assert not own.update(after, decisions)
    assert own.reason
    assert reason in own.reason
    assert mine.read_text(encoding="utf-8") == changed


def test_a_file_that_was_left_alone_once_stays_alone(mine: Path) -> None:
    before = load(mine)
    text = mine.read_text(encoding="utf-8")
    own = InPlace(mine, before.sharing)
    after, decisions = evolved_from(before, "stem")
    mine.write_text("mtl", encoding="utf-8")
    assert not own.update(after, decisions)
    mine.write_text(text, encoding="utf-8")
    assert not own.update(after, decisions)
    assert mine.read_text(encoding="utf-8") == text


def while_it_is_rewritten(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], times: int = 1) -> None:
    """Act each time that a run has read the file and has not written it yet, so many times."""
    left = iter(range(times))

    def acting(spec: Spec, sharing: Sharing, decisions: Sequence[Decision]) -> Spec:
        after = rewritten(spec, sharing, decisions)
        if next(left, None) is not None:
            act()
        return after

    monkeypatch.setattr("mtsldsl.runtime.run.in_place.rewritten", acting)


def save(mine: Path, line: str) -> None:
    with mine.open("a", encoding="utf-8") as stream:
        stream.write(line)


@pytest.mark.parametrize("saves", [1, 2])
def test_a_save_during_the_update_is_kept_and_the_update_made_again(
    mine: Path, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    before = load(mine)
    after, decisions = evolved_from(before, "stem")
    while_it_is_rewritten(monkeypatch, lambda: save(mine, "# saved meanwhile\n"), saves)
    assert InPlace(mine, before.sharing).update(after, decisions)
    assert mine.read_text(encoding="utf-8").count("# saved meanwhile\n") == saves
    assert load(mine).sharing == after.sharing
    assert load(mine).history == after.history


def test_a_file_that_is_saved_again_and_again_is_left_alone(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(mine)
    after, decisions = evolved_from(before, "stem")
    while_it_is_rewritten(monkeypatch, lambda: save(mine, "# again\n"), 10)
    own = InPlace(mine, before.sharing)
    assert not own.update(after, decisions)
    assert own.reason
    assert "changed meanwhile" in own.reason
    assert load(mine).history == ()


def test_of_two_runs_on_one_file_the_second_leaves_it_alone_and_says_so(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load(mine)
    first, second = InPlace(mine, before.sharing), InPlace(mine, before.sharing)
    quick, decisions = evolved_from(before, "stem")
    alone = [merge(2, "stem", ("depth", "normal"), 0.9)]
    slow = rewritten(before, before.sharing.merge("stem", frozenset({"depth", "normal"})), alone)
    while_it_is_rewritten(monkeypatch, lambda: first.update(quick, decisions))
    assert not second.update(slow, alone)
    assert first.reason is None
    assert second.reason == "its sharing was changed by someone else"
    assert load(mine) == quick


def test_the_file_is_found_from_another_folder(mine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(mine.parent)
    before = load(mine)
    own = InPlace(Path(mine.name), before.sharing)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    after, decisions = evolved_from(before, "stem")
    assert own.update(after, decisions)
    assert load(mine) == after
