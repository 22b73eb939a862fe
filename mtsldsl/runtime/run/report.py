"""`report.html`: a run as one page that needs nothing else, which a person would send to a colleague.

The sharing and what it saves, the epoch that is kept, results, samples, decisions with their evidence, curves, the
spec, and what the run is repeated with.
"""

from __future__ import annotations

from typing import Any

from mtsldsl.ir.cost import operations
from mtsldsl.methods.evidence import Finding, Matrix, told
from mtsldsl.methods.registry import words
from mtsldsl.pages.page import page
from mtsldsl.pages.saving import Saving
from mtsldsl.runtime.run import events
from mtsldsl.runtime.run.checkpoint import MEAN
from mtsldsl.runtime.run.drawing import matrix_map
from mtsldsl.runtime.run.event_lines import first_metrics, short
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_epoch import first_facts, last
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.runtime.run.report_answers import confusions, samples
from mtsldsl.runtime.run.report_charts import FEW, loss_charts, metric_charts, share_charts, weight_charts
from mtsldsl.runtime.run.report_facts import drawn, first_text, repeated, results, results_by_column, stages
from mtsldsl.sharing import format_components
from mtsldsl.syntax.files import is_file

_EXTREMES = 3
"""Of more names, so many pairs are given of the largest numbers and of the least."""


def run_page(folder: RunFolder) -> str:
    """The page of a run, from its specs, its events and the pictures of its samples alone."""
    recorded = list(read_events(folder.events))
    best = folder.best / f"{MEAN}.mtl"
    spec = folder.read_spec(best if is_file(best) else folder.spec)
    return page(
        "mtsldsl.runtime.run",
        "report.html",
        {"told": told, "short": short, "operations": operations},
        few=FEW,
        start=last(recorded, events.Start),
        test=last(recorded, events.Test),
        spec=spec,
        saving=Saving.of(spec),
        drawing=drawn(spec),
        sharing=[(layer, format_components(spec.sharing, layer)) for layer in spec.backbone.layers],
        facts=list(first_facts(recorded)),
        warnings=[event.text for event in recorded if isinstance(event, events.Warned)],
        results=results(recorded),
        by_column=results_by_column(recorded, spec),
        single=last(recorded, events.SingleTask),
        beside=[_beside(event) for event in recorded if isinstance(event, events.BesideTest)],
        constant=last(recorded, events.Constant),
        confusions=confusions(recorded),
        samples=samples(recorded, folder),
        stages=stages(folder),
        phases=[(event, _words(event)) for event in recorded if isinstance(event, events.Phase)],
        findings=[_piece(event, piece) for event in recorded if isinstance(event, Finding) for piece in event.shown()],
        gradients=last(recorded, events.Gradients),
        shares=share_charts(recorded),
        losses=loss_charts(recorded),
        weights=weight_charts(recorded),
        metrics=metric_charts(recorded, spec),
        repeated=list(repeated(recorded)),
        first_text=first_text(folder, spec),
    )


def _beside(event: events.BesideTest) -> dict[str, Any]:
    """A network of several in one run, with the first metric of each task."""
    return {
        "names": event.names,
        "own": event.own,
        "parameters": event.parameters,
        "said": first_metrics(event.metrics),
    }


def _words(phase: events.Phase) -> list[str]:
    """What was decided, as `history` has it or, where that is not recorded, in the method's words; else why nothing."""
    said = words(phase.method)
    if phase.changed or phase.accepted is False:
        return list(phase.decisions or said.decided((), phase.evidence))
    return [said.undecided(phase.evidence)]


def _piece(event: Finding, piece: str | Matrix) -> str | dict[str, Any]:
    """What the page has of a finding: text, or of a few names the numbers, of more a map and the pairs at both ends."""
    if isinstance(piece, str):
        return piece
    names, values = piece.names, piece.values
    found = {"title": piece.title, "names": names, "values": values, "extremes": piece.extremes}
    if len(names) <= FEW:
        return {**found, "map": "", "most": [], "least": []}
    pairs = [(f"{names[i]} ~ {names[j]}", values[i][j]) for i in range(len(names)) for j in range(i + 1, len(names))]
    pairs.sort(key=lambda pair: -pair[1])
    drawing = matrix_map(names, values, f"{piece.title}, after epoch {event.epoch}")
    return {**found, "map": drawing, "most": pairs[:_EXTREMES], "least": pairs[-_EXTREMES:]}
