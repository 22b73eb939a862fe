"""`report.html`: a run as one page that needs nothing else: sharing, metrics, decisions with their evidence, curves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import attrs

from mtsldsl.runtime.events import read_events
from mtsldsl.runtime.run_folder import RunFolder
from mtsldsl.sharing import format_components
from mtsldsl.syntax import write_text_atomically


@attrs.frozen
class Series:
    """One curve: what it is of, and its points as `(epoch, value)`."""

    name: str
    points: tuple[tuple[int, float], ...]


def write_report(folder: RunFolder) -> Path:
    """Write the report of a run from its spec and events alone."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mtsldsl.runtime", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    events = list(read_events(folder.events))
    spec = folder.read_spec(folder.spec)
    text = environment.get_template("report.html.jinja").render(
        start=_last(events, "start"),
        test=_last(events, "test"),
        phases=[event for event in events if event["event"] == "phase"],
        similarities=[event for event in events if event["event"] == "similarity"],
        sharing=[(layer, format_components(spec.sharing, layer)) for layer in spec.backbone.layers],
        losses=_curves("training loss", _losses(events), _merged_epochs(events)),
        metrics=[
            _curves(f"{task.name}: validation {task.metrics[0].name}", [series], _merged_epochs(events))
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
        Series(name, tuple((event["epoch"], event["losses"][name]) for event in epochs if name in event["losses"]))
        for name in names
    ]


def _first_metrics(events: list[dict[str, Any]], tasks: list[str]) -> list[Series]:
    validations = [event for event in events if event["event"] == "validation"]
    curves = []
    for task in tasks:
        values = [(event["epoch"], next(iter(event["metrics"][task].values()), None)) for event in validations]
        curves.append(Series(task, tuple((epoch, value) for epoch, value in values if value is not None)))
    return curves


def _curves(title: str, series: list[Series], merged: list[int]) -> str:
    """An inline SVG of the curves, with a line at every epoch after which layers merged."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.add_subplot()
    for curve in series:
        axes.plot([x for x, _ in curve.points], [y for _, y in curve.points], label=curve.name)
    for epoch in merged:
        axes.axvline(epoch, color="0.8", linewidth=1, zorder=0)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    if len(series) > 1:
        axes.legend(fontsize="small")
    stream = io.StringIO()
    with rc_context({"svg.hashsalt": title}):  # the same run draws the same bytes
        figure.savefig(stream, format="svg", metadata={"Date": None})
    drawing = stream.getvalue()
    return drawing[drawing.index("<svg") :]
