"""`report.html`: a run as one page that needs nothing else: sharing, metrics, decisions with their evidence, curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from mtsldsl.methods.evidence import Event, Finding, Matrix, told
from mtsldsl.methods.registry import words
from mtsldsl.runtime.run import events
from mtsldsl.runtime.run.drawing import COLOURS, Series, curves, matrix_map
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.pages import page
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.runtime.run.report_answers import confusions, samples
from mtsldsl.sharing import format_components
from mtsldsl.syntax import write_text_atomically

FEW = len(COLOURS)
"""Tasks whose curves stand in one chart, and names of a matrix that is written in numbers."""

_EXTREMES = 3
"""Of more names, so many pairs are given of the largest numbers and of the least."""


@attrs.frozen
class Chart:
    """A drawing, with its title and the names of its curves with their colours."""

    title: str
    drawing: str
    legend: tuple[tuple[str, str], ...] = ()


def write_report(folder: RunFolder) -> Path:
    """Write the report of a run from its spec, its events and the pictures of its samples alone."""
    recorded = list(read_events(folder.events))
    spec, changed = folder.read_spec(folder.spec), _changed_epochs(recorded)
    text = page(
        "report.html",
        {"told": told},
        start=_last(recorded, events.Start),
        test=_last(recorded, events.Test),
        confusions=confusions(recorded),
        samples=samples(recorded, folder),
        phases=[(event, _words(event)) for event in recorded if isinstance(event, events.Phase)],
        findings=[_piece(piece) for event in recorded if isinstance(event, Finding) for piece in event.shown()],
        sharing=[(layer, format_components(spec.sharing, layer)) for layer in spec.backbone.layers],
        few=FEW,
        constant=_last(recorded, events.Constant),
        losses=_charts("training loss", _losses(recorded), changed),
        weights=_charts("weight of each task", _weights(recorded), changed),
        metrics=[
            Chart(f"{task.name}: {task.metrics[0].name}", curves([series], changed, 320, 150))
            for task, series in zip(
                spec.tasks, _first_metrics(recorded, [task.name for task in spec.tasks]), strict=True
            )
            if series.points
        ],
    )
    write_text_atomically(folder.report, text)
    return folder.report


def _last(recorded: Sequence[Event], kind: type[Event]) -> Event | None:
    return next((event for event in reversed(recorded) if isinstance(event, kind)), None)


def _changed_epochs(recorded: Sequence[Event]) -> list[int]:
    return [event.epoch for event in recorded if isinstance(event, events.Phase) and event.changed]


def _losses(recorded: Sequence[Event]) -> list[Series]:
    epochs = [event for event in recorded if isinstance(event, events.Epoch)]
    names = list(dict.fromkeys(name for event in epochs for name in event.losses))
    return [
        Series(name, tuple((event.epoch, value) for event in epochs if (value := event.losses.get(name)) is not None))
        for name in names
    ]


def _weights(recorded: Sequence[Event]) -> list[Series]:
    """What the balance weighed, the mean of the steps of an epoch that were told."""
    told = [(event.epoch, event.means()) for event in recorded if isinstance(event, events.Weighed)]
    names = dict.fromkeys(name for _, means in told for name in means)
    return [Series(name, tuple((epoch, means[name]) for epoch, means in told if name in means)) for name in names]


def _first_metrics(recorded: Sequence[Event], tasks: list[str]) -> list[Series]:
    validations = [event for event in recorded if isinstance(event, events.Validation)]
    curves = []
    for task in tasks:
        values = [(event.epoch, next(iter(event.metrics[task].values()), None)) for event in validations]
        curves.append(Series(task, tuple((epoch, value) for epoch, value in values if value is not None)))
    return curves


def _charts(title: str, series: list[Series], changed: list[int]) -> list[Chart]:
    """One chart of a few curves, or one each of more than can be told apart."""
    if not series:
        return []
    if len(series) > FEW:
        return [Chart(each.name, curves([each], changed, 320, 150)) for each in series]
    legend = tuple((each.name, colour) for each, colour in zip(series, COLOURS, strict=False))
    return [Chart(title, curves(series, changed, 640, 240), legend)]


def _words(phase: events.Phase) -> list[str]:
    """What was decided, as `history` has it or, where that is not recorded, in the method's words; else why nothing."""
    said = words(phase.method)
    if phase.changed or phase.accepted is False:
        return list(phase.decisions or said.decided((), phase.evidence))
    return [said.undecided(phase.evidence)]


def _piece(piece: str | Matrix) -> str | dict[str, Any]:
    """What the page has of a finding: text, or of a few names the numbers, of more a map and the pairs at both ends."""
    if isinstance(piece, str):
        return piece
    names, values = piece.names, piece.values
    found = {"title": piece.title, "names": names, "values": values, "extremes": piece.extremes}
    if len(names) <= FEW:
        return {**found, "map": "", "most": [], "least": []}
    pairs = [(f"{names[i]} ~ {names[j]}", values[i][j]) for i in range(len(names)) for j in range(i + 1, len(names))]
    pairs.sort(key=lambda pair: -pair[1])
    return {**found, "map": matrix_map(names, values), "most": pairs[:_EXTREMES], "least": pairs[-_EXTREMES:]}
