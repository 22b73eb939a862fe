"""`report.html`: a run as one page that needs nothing else: sharing, metrics, decisions with their evidence, curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from mtsldsl.runtime.run.drawing import COLOURS, Series, curves, similarity_map
from mtsldsl.runtime.run.events import read_events
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.sharing import format_components
from mtsldsl.syntax import write_text_atomically

FEW = len(COLOURS)
"""Tasks whose curves stand in one chart, and whose similarities are written as numbers."""

_EXTREMES = 3
"""Of more tasks, so many pairs are named of the most similar and of the least."""


@attrs.frozen
class Chart:
    """A drawing, with its title and the names of its curves with their colours."""

    title: str
    drawing: str
    legend: tuple[tuple[str, str], ...] = ()


def write_report(folder: RunFolder) -> Path:
    """Write the report of a run from its spec and events alone."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mtsldsl.runtime.run", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    events = list(read_events(folder.events))
    spec, merged = folder.read_spec(folder.spec), _merged_epochs(events)
    text = environment.get_template("report.html.jinja").render(
        start=_last(events, "start"),
        test=_last(events, "test"),
        phases=[event for event in events if event["event"] == "phase"],
        similarities=[_compared(event) for event in events if event["event"] == "similarity"],
        sharing=[(layer, format_components(spec.sharing, layer)) for layer in spec.backbone.layers],
        few=FEW,
        constant=_last(events, "constant"),
        losses=_charts("training loss", _losses(events), merged),
        metrics=[
            Chart(f"{task.name}: {task.metrics[0].name}", curves([series], merged, 320, 150))
            for task, series in zip(spec.tasks, _first_metrics(events, [task.name for task in spec.tasks]), strict=True)
            if series.points
        ],
    )
    write_text_atomically(folder.report, text)
    return folder.report


def _last(events: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    return next((event for event in reversed(events) if event["event"] == kind), None)


def _merged_epochs(events: list[dict[str, Any]]) -> list[int]:
    return [event["epoch"] for event in events if event["event"] == "phase" and event["merges"]]


def _losses(events: list[dict[str, Any]]) -> list[Series]:
    epochs = [event for event in events if event["event"] == "epoch"]
    names = list(dict.fromkeys(name for event in epochs for name in event["losses"]))
    return [
        Series(
            name,
            tuple((event["epoch"], value) for event in epochs if (value := event["losses"].get(name)) is not None),
        )
        for name in names
    ]


def _first_metrics(events: list[dict[str, Any]], tasks: list[str]) -> list[Series]:
    validations = [event for event in events if event["event"] == "validation"]
    curves = []
    for task in tasks:
        values = [(event["epoch"], next(iter(event["metrics"][task].values()), None)) for event in validations]
        curves.append(Series(task, tuple((epoch, value) for epoch, value in values if value is not None)))
    return curves


def _charts(title: str, series: list[Series], merged: list[int]) -> list[Chart]:
    """One chart of a few curves, or one each of more than can be told apart."""
    if len(series) > FEW:
        return [Chart(each.name, curves([each], merged, 320, 150)) for each in series]
    legend = tuple((each.name, colour) for each, colour in zip(series, COLOURS, strict=False))
    return [Chart(title, curves(series, merged, 640, 240), legend)]


def _compared(event: dict[str, Any]) -> dict[str, Any]:
    """What the page says of a comparison: of a few tasks the numbers, of more a map and the pairs at both ends."""
    tasks, found = event["tasks"], event["similarity"]
    if len(tasks) <= FEW:
        return {**event, "map": "", "most": [], "least": []}
    pairs = [(f"{tasks[i]} ~ {tasks[j]}", found[i][j]) for i in range(len(tasks)) for j in range(i + 1, len(tasks))]
    pairs.sort(key=lambda pair: -pair[1])
    return {
        **event,
        "map": similarity_map(tasks, found),
        "most": pairs[:_EXTREMES],
        "least": pairs[-_EXTREMES:],
    }
