"""Lines for a person have a bound however many tasks there are, and hold everything where there are few."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mtsldsl.runtime.run import event_lines
from mtsldsl.runtime.run.event_json import from_json
from mtsldsl.runtime.run.selection import Selection


def describe_event(content: dict[str, Any]) -> list[str]:
    event = from_json(content)
    assert event is not None
    return event_lines.describe_event(event)


NAMES = [f"task_{number:02d}" for number in range(40)]


def epoch(tasks: list[str]) -> dict[str, Any]:
    losses = {**dict.fromkeys(tasks, 0.25), "align": 0.125}
    return {
        "event": "epoch",
        "epoch": 3,
        "losses": losses,
        "penalty": "align",
        "lr": 0.001,
        "epoch_seconds": 1.5,
        "samples_per_second": 100.0,
    }


def validation(tasks: list[str]) -> dict[str, Any]:
    metrics = {task: {"rmse": 0.5, "mae": 0.25} for task in tasks}
    return {"event": "validation", "epoch": 3, "metrics": metrics, "gain": 1.5, "best": tasks[1:], "since": None}


def constant(tasks: list[str]) -> dict[str, Any]:
    return {"event": "constant", "split": "validation", "metrics": {task: {"rmse": 0.5} for task in tasks}}


def similarity(tasks: list[str]) -> dict[str, Any]:
    """Of tasks i and j it is 1 / (1 + i + j / 100), so that the order of the pairs is known."""
    count = len(tasks)
    low = np.minimum.outer(np.arange(count), np.arange(count))
    high = np.maximum.outer(np.arange(count), np.arange(count))
    matrix = 1 / (1 + low + high / 100)
    return {"event": "similarity", "epoch": 1, "layer": "stem", "tasks": tasks, "similarity": matrix.tolist()}


def phase(tasks: list[str]) -> dict[str, Any]:
    merges = [{"layer": "stem", "tasks": tasks, "similarity": 0.75} for _ in tasks]
    return {"event": "phase", "method": "mtsl", "epoch": 3, "places": 1, "merges": merges, "parameters": 1000}


def ending(tasks: list[str]) -> dict[str, Any]:
    selection = Selection("best")
    for task in tasks:
        selection.note(task, (task,), 1, math.nan)
    metrics = {task: {"rmse": 0.5} for task in tasks[:1]}
    chosen_by = selection.chosen_by()
    return {"event": "test", "metrics": metrics, "epochs": dict.fromkeys(tasks, 1), "chosen_by": chosen_by}


EVENTS = [epoch, validation, constant, similarity, phase, ending]


@pytest.mark.parametrize("event", EVENTS)
def test_no_line_grows_with_the_tasks_beyond_ten(event: Any) -> None:
    lines, more = describe_event(event(NAMES[:12])), describe_event(event(NAMES))
    assert len(lines) == len(more)
    assert max(map(len, more)) <= max(map(len, lines)) + 4  # of numbers with another digit
    assert max(map(len, more)) < 250


@pytest.mark.parametrize("event", EVENTS)
def test_all_of_five_tasks_are_shown(event: Any) -> None:
    text = "\n".join(describe_event(event(NAMES[:5])))
    assert all(task in text for task in NAMES[:5])
    assert "more" not in text


def test_what_is_left_out_of_a_line_is_counted_and_the_alignment_stays() -> None:
    (line,) = describe_event(epoch(NAMES))
    shown = "  ".join(f"task_{number:02d} 0.25" for number in range(6))
    assert line == f"epoch   3  loss: {shown} and 34 more  align 0.125  lr 0.001  1.5 s  100 samples/s"


def test_of_many_pairs_the_most_and_the_least_similar_are_shown() -> None:
    (line,) = describe_event(similarity(NAMES))
    assert line == (
        "  stem: similarity of 780 pairs: task_00~task_01 0.990, task_00~task_02 0.980, task_00~task_03 0.971 the most, "
        "task_37~task_38 0.026, task_37~task_39 0.026, task_38~task_39 0.025 the least"
    )


def test_of_many_merges_the_first_are_shown_and_the_others_counted() -> None:
    title, *lines = describe_event(phase(NAMES))
    assert title == "structural phase after epoch 3: now 1,000 parameters"
    names = " + ".join(NAMES[:6])
    assert lines == [f"  stem: {names} and 34 more share it (similarity 0.750)"] * 6 + ["  and 34 merges more"]


@pytest.mark.parametrize(
    ("places", "said"), [(2, "nothing is similar enough to merge"), (0, "no tasks are left that could merge")]
)
def test_a_phase_without_a_merge_says_why(places: int, said: str) -> None:
    event = {"event": "phase", "method": "mtsl", "epoch": 3, "places": places, "merges": []}
    assert describe_event(event) == [f"structural phase after epoch 3: {said}"]


def test_a_mark_says_since_when_an_epoch_is_the_best() -> None:
    (line,) = describe_event(validation(["a", "b"]))
    assert line.endswith("gain +1.5 %  * best so far: b")
    (line,) = describe_event({**validation(["a", "b"]), "best": ["a", "b"], "since": 2})
    assert line.endswith("gain +1.5 %  * best since the structure changed after epoch 2")
    (line,) = describe_event({**validation(["a", "b"]), "best": []})
    assert line.endswith("gain +1.5 %")
