"""Where a run beside it shares nothing and differs in nothing else, a run knows what its tasks reach by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtsldsl.editing import loads
from mtsldsl.ir.normal import digest
from mtsldsl.runtime.run.event_json import from_json
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.record_file import EventLog
from mtsldsl.runtime.run.single_task import single_task
from tests.runtime.test_report import spec_text

SHARING = spec_text(2)
APART = SHARING.replace("stem = all", "stem = t00, t01")
LEARNING = APART + "\nstructure mtsl {\n  phases = [1]\n}\n"


def run(root: Path, text: str, *, data: str = "d1", test: float | None = 0.5, method: str = "none") -> RunFolder:
    """A run of a spec, which ended where it has a test."""
    spec = loads(text)
    folder = RunFolder.create(root, "many")
    folder.write_spec(spec.source, "start")
    found: list[dict[str, Any]] = [
        {"event": "start", "method": method, "spec_sha256": digest(spec), "read": {"sha256": {"input": data}}}
    ]
    if test is not None:
        found.append({"event": "test", "metrics": {task.name: {"rmse": test} for task in spec.tasks}})
    for each in found:
        event = from_json({"spec": "many.mtl", **each})
        assert event is not None
        EventLog(folder.events, lambda _: None).write(event)
    return folder


@pytest.mark.parametrize("text", [SHARING, LEARNING])
def test_the_newest_run_that_shares_nothing_is_found(text: str, tmp_path: Path) -> None:
    run(tmp_path, APART, test=0.1)
    newest = run(tmp_path, APART, test=0.2)
    own = run(tmp_path, text, method="none" if text == SHARING else "mtsl")
    found = single_task(own)
    assert found is not None
    assert found.folder == str(newest.path)
    assert found.metrics == {"t00": {"rmse": 0.2}, "t01": {"rmse": 0.2}}


@pytest.mark.parametrize(
    "other",
    [
        {"text": SHARING.replace("stem = all", "stem = t00 + t01")},
        {"text": APART.replace("epochs = 3", "epochs = 4")},
        {"text": APART.replace("epochs = 3", "epochs = 3\n  seed = 1")},
        {"text": APART.replace("linear(4)", "linear(5)")},
        {"text": APART, "data": "d2"},
        {"text": APART, "test": None},
        {"text": LEARNING, "method": "mtsl"},
    ],
)
def test_a_run_that_differs_in_anything_else_says_nothing(other: dict[str, Any], tmp_path: Path) -> None:
    run(tmp_path, **other)
    assert single_task(run(tmp_path, SHARING)) is None


def test_a_run_that_shares_nothing_itself_has_none(tmp_path: Path) -> None:
    run(tmp_path, APART)
    assert single_task(run(tmp_path, APART)) is None


def test_a_damaged_run_beside_it_is_passed_over(tmp_path: Path) -> None:
    run(tmp_path, APART, test=0.1)
    damaged = run(tmp_path, APART)
    damaged.events.write_text('{"event": "start"\n', encoding="utf-8")
    broken = run(tmp_path, APART)
    broken.first_spec.write_text("mtl 1\nnonsense", encoding="utf-8")
    (tmp_path / "many" / "12").mkdir()
    found = single_task(run(tmp_path, SHARING))
    assert found is not None
    assert found.metrics["t00"]["rmse"] == 0.1
