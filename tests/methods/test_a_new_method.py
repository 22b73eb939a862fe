"""A new structure learner is a folder and a line, as CONTRIBUTING.md says: followed here in a copy of the package."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.package_copy import ROOT, add, copied, in_one_process, line, mtsldsl

TASKS = ("depth", "edge")
TOY, SMALLEST = (Path(__file__).parent / name for name in ("chance", "rote"))
SPEC = """\
mtl 1

data scenes {
  input  = image(3, 16, 16)
  images = 32
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}

backbone {
  stem = conv2d(4, 3, stride=2) | batch_norm | relu
  last = conv2d(4, 3) | relu
}

train {
  epochs = 4
}

structure chance {
  epochs = [1, 2, 3, 4]  # each
  wary   = 2
}
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = copied(tmp_path_factory.mktemp("package"))
    add(place, TOY, "METHODS", 'Entry({}, penalty="regret")')
    add(place, SMALLEST, "METHODS", "Entry({})")
    return place


def test_it_is_checked_trained_written_down_resumed_and_compared(package: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text(SPEC, encoding="utf-8")
    mtsldsl(package, "check", "--pedantic", "a.mtl", cwd=tmp_path)
    late = (tmp_path / "late.mtl", SPEC.replace("[1, 2, 3, 4]", "[1, 9]"))
    late[0].write_text(late[1], encoding="utf-8")
    assert "late.mtl:28:16: error MTL501" in mtsldsl(package, "check", "late.mtl", cwd=tmp_path, status=1)
    mtsldsl(package, "compile", "a.mtl", cwd=tmp_path)
    generated = (tmp_path / "generated" / "a" / "train.py").read_text(encoding="utf-8")
    assert "from mtsldsl.methods.chance.learner import Chance, Settings" in generated
    assert "\nSTRUCTURE = Settings(epochs=(1, 2, 3, 4), seed=0, wary=2)  # " in generated
    assert "learner = Chance(STRUCTURE)" in generated
    said = in_one_process(
        package,
        "train a.mtl",
        "diff --history a.mtl runs/a/1",
        "eval runs/a/1",
        "train --quiet --resume runs/a/1",
        cwd=tmp_path,
    )
    run = tmp_path / "runs" / "a" / "1"
    evolved = (run / "spec.mtl").read_text(encoding="utf-8")
    assert "epochs = [1, 2, 3, 4]  # each" in evolved
    assert evolved.count("  join(epoch=") == 2
    events = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    phases = [event for event in events if event["event"] == "phase"]
    assert [phase["drawn_from"] for phase in phases] == [1, 1, 1, 0]
    assert [phase.get("accepted") for phase in phases] == [True, False, True, None]
    assert [event["layer"] for event in events if event["event"] == "draw"] == ["stem", "last", "last"]
    _is_told_truly(said.splitlines(), phases)
    _is_reported_truly((run / "report.html").read_text(encoding="utf-8"), phases)
    assert "join(epoch=1, layer=stem, tasks=depth + edge" in said
    mtsldsl(package, "check", "runs/a/1/spec.mtl", cwd=tmp_path)
    assert "MTL110" in mtsldsl(ROOT, "check", "a.mtl", cwd=tmp_path, status=1)


def _is_told_truly(said: list[str], phases: list[dict[str, Any]]) -> None:
    """What was drawn, the decisions as `history` has them, and that one was refused, and why: by what on validation."""
    first, refused, second, last = (said.index(line) for line in said if line.startswith("structural phase"))
    for place, phase in ((first, phases[0]), (second, phases[2])):
        assert said[place] == f"structural phase after epoch {phase['epoch']}: now {phase['parameters']:,} parameters"
        assert said[place + 1] == f"  {phase['decisions'][0]}"
    assert said[first - 1] == "  stem is drawn of 1"
    assert said[second - 1] == "  last is drawn of 1"
    assert said[refused] == "structural phase after epoch 2: the proposal is refused, nothing changes"
    assert said[refused + 1] == f"  {phases[1]['decisions'][0]}"
    losses = ((task, phases[1]["before"]["losses"][task], phases[1]["after"]["losses"][task]) for task in TASKS)
    told = "  ".join(f"{task} {before:.4g} -> {after:.4g}" for task, before, after in losses)
    assert said[refused + 2] == f"  validation loss as it was -> as proposed: {told}"
    assert said[last] == "structural phase after epoch 4: 0 places to draw from"
    assert not [line for line in said if "similar" in line or "could merge" in line]


def _is_reported_truly(page: str, phases: list[dict[str, Any]]) -> None:
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page)))
    for phase in phases[:3]:
        how = f"leaving {phase['parameters']:,} parameters" if phase["accepted"] else "proposed and refused"
        assert f"After epoch {phase['epoch']}, {how}: {phase['decisions'][0]}" in text
    assert "before, and after the transfer that was refused" in text
    assert f"{phases[1]['after']['losses']['depth']:.4f}" in text
    assert "After epoch 4: 0 places to draw from." in text
    assert "stem is drawn of 1" in text
    assert "similar" not in text


def test_the_name_of_its_penalty_is_no_task(package: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text(SPEC.replace("task depth", "task regret"), encoding="utf-8")
    assert "a task cannot be named `regret`" in mtsldsl(package, "check", "a.mtl", cwd=tmp_path, status=1)


@pytest.mark.soak
def test_one_that_says_no_more_than_it_must_and_has_no_list_of_epochs(package: Path, tmp_path: Path) -> None:
    rote = re.sub(r"structure .*", "structure rote {\n  every = 2\n}\n", SPEC, flags=re.DOTALL)
    (tmp_path / "a.mtl").write_text(rote, encoding="utf-8")
    in_one_process(
        package,
        "check --pedantic a.mtl",
        "train --quiet --set train.epochs=3 a.mtl",
        "train --quiet --resume runs/a/1",
        "check runs/a/1/spec.mtl",
        cwd=tmp_path,
    )
    evolved = (tmp_path / "runs" / "a" / "1" / "spec.mtl").read_text(encoding="utf-8")
    assert "every = 2" in evolved
    assert re.findall(r"  unite\(.*", evolved) == ["  unite(epoch=2, layer=stem, tasks=depth + edge, turn=1)"]


def test_the_folder_in_the_words_of_contributing_is_this_one() -> None:
    words = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert line(TOY, "Entry({})").replace("chance", "<name>") in words
    for name in ("language.py", "learner.py"):
        assert name in words
        assert (TOY / name).is_file()
