"""What the page of a run says in words and numbers: results, the sharing over time, and what to repeat it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from mtsldsl.diagnostics.bounded import shown
from mtsldsl.ir import Spec
from mtsldsl.methods.evidence import Event
from mtsldsl.pages.sharing_drawing import Drawing, draw, order_of_tasks
from mtsldsl.runtime.learning.evaluation import by_column
from mtsldsl.runtime.objectives import higher_is_better
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.event_lines import short
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_epoch import last
from mtsldsl.runtime.run.record_lines import spread
from mtsldsl.syntax import read_source
from mtsldsl.syntax.files import is_file

MOST_BOXES = 3000
"""In all drawings of the sharing over time."""

MOST_STAGES = 8
"""Drawings of the sharing over time; of more some are left out between the first and the last."""


@attrs.frozen
class Result:
    """A metric of a task on the test set, with what the best constant answer reaches on validation, and what the same
    network reaches where it shares nothing; `-` where that is not known."""

    task: str
    name: str
    epoch: int
    higher: bool
    """Whether more is better."""
    threshold: str
    """At which it was taken, by column; empty where there is none."""
    test: str
    constant: str
    single: str


def results(recorded: Sequence[Event]) -> list[Result]:
    """Those of the last test of a run."""
    test, constant = last(recorded, final_events.Test), last(recorded, events.Constant)
    single = last(recorded, final_events.SingleTask)
    if test is None:
        return []
    return [
        Result(
            task,
            name,
            test.epochs[task],
            higher_is_better(name),
            shown([short(each) for each in (test.thresholds or {}).get(task, {}).get(name, ())], ", "),
            short(value),
            short(constant.metrics.get(task, {}).get(name) if constant else None),
            short(single.metrics.get(task, {}).get(name) if single else None),
        )
        for task, metrics in test.metrics.items()
        for name, value in metrics.items()
    ]


@attrs.frozen
class ByColumn:
    """The metrics of a task on the test set by column of the table that it learns."""

    task: str
    metrics: Sequence[str]
    columns: Mapping[str, Sequence[str]]


def results_by_column(recorded: Sequence[Event], spec: Spec) -> list[ByColumn]:
    """Those of the last test of a run, for the tasks that learn several columns."""
    test = last(recorded, final_events.Test)
    if test is None or not test.columns:  # which older versions did not record
        return []
    return [
        ByColumn(task, list(values), {column: [*map(short, each.values())] for column, each in measured.items()})
        for task, values in test.columns.items()
        if (measured := by_column(spec.task(task), values))
    ]


@attrs.frozen
class Stage:
    """The sharing at a time of the run."""

    title: str
    drawing: Drawing


def drawn(spec: Spec) -> Drawing:
    """The sharing of a spec."""
    return draw(spec, list(spec.backbone.layers), order_of_tasks(spec), {})


def stages(folder: RunFolder) -> list[Stage]:
    """The sharing at the start and after each phase that changed it; of many phases some. Nothing where it stayed."""
    paths = [folder.first_spec, *sorted(folder.evolution.glob("epoch-*.mtl"))]
    if len(paths) < 2:
        return []
    last_one = drawn(folder.read_spec(paths[-1]))
    most = max(2, min(MOST_STAGES, MOST_BOXES // max(1, len(last_one.boxes))))
    found = []
    for place in spread(len(paths), most):
        epoch = paths[place].stem.removeprefix("epoch-")
        title = f"After epoch {int(epoch)}" if place else "At the start"
        found.append(Stage(title, drawn(folder.read_spec(paths[place]))))
    return found


def repeated(recorded: Sequence[Event]) -> Iterator[tuple[str, str]]:
    """What a run is repeated with, each thing with its name."""
    start = last(recorded, events.Start)
    if start is None:
        return
    if start.command:
        yield "command", start.command
    yield "seed", str(start.seed)
    where = f"{start.device}, threads {start.threads}" if start.threads else start.device
    yield "computed on", f"{where}, in {start.processes} processes" if start.processes else where
    versions = (("mtsldsl", start.version), ("torch", start.torch), ("Python", start.python))
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions if version)
    if start.spec_sha256:
        yield "spec, SHA-256 of its meaning at the start", start.spec_sha256
    for block, found in _blocks(start.read or {}):
        if found.get("given"):
            yield f"data, path of {block}" if block else "data, path", str(found["given"])
        for field, digest in (found.get("sha256") or {}).items():
            yield f"data, SHA-256 of {f'{block} {field}'.strip()}", digest
    begun = last(recorded, events.Begun)
    if begun is not None:
        yield "first weights", f"{begun.text}; their SHA-256 is {begun.sha256}"
    taught = last(recorded, events.Taught)
    if taught is not None:
        yield "teachers", f"{taught.text}; the SHA-256 of their weights is {taught.sha256}"
    for module in start.modules or ():
        yield f"module {module['target']}, SHA-256 of its file", str(module["sha256"])


def _blocks(read: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What was read of each data block, by its name where there are several."""
    yield from read["blocks"].items() if "blocks" in read else (("", read),)


def first_text(folder: RunFolder, kept: Spec) -> str | None:
    """The text of the spec that the run was started with; None where the one that is kept has the same."""
    text = read_source(folder.first_spec).text if is_file(folder.first_spec) else None
    return None if text == kept.source.text else text
