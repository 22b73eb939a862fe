"""The answers on the test set, as the page of a run shows them: confusion matrices, and samples with predictions."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.run import final_events
from mtsldsl.runtime.run.drawing import matrix_map
from mtsldsl.runtime.run.event_lines import short
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.syntax.files import is_file

IN_NUMBERS = 10
"""Classes whose confusion is written in numbers; of more it is drawn."""


@attrs.frozen
class ConfusionShown:
    """A confusion matrix: of a few classes in numbers, of more as a `map`, of many the pairs alone."""

    task: str
    names: Sequence[str]
    matrix: Sequence[Sequence[int]]
    map: str
    pairs: Sequence[str]
    count: int
    right: int


@attrs.frozen
class PictureShown:
    """A picture of a sample, as a `data:` address."""

    caption: str
    alt: str
    address: str


@attrs.frozen
class SampleShown:
    """A test sample with its pictures: the input, and of each task the target and the prediction."""

    title: str
    pictures: Sequence[PictureShown]


def confusions(recorded: Sequence[Event]) -> list[ConfusionShown]:
    """Those that a run recorded."""
    return [_confusion(event) for event in recorded if isinstance(event, final_events.Confusion)]


def _confusion(event: final_events.Confusion) -> ConfusionShown:
    names = [str(name) for name in event.names or range(event.classes)]
    matrix = event.matrix or ()
    few = len(matrix) <= IN_NUMBERS
    totals = [sum(row) or 1 for row in matrix]
    shares = [[each / total for each in row] for row, total in zip(matrix, totals, strict=True)]
    return ConfusionShown(
        task=event.task,
        names=names,
        matrix=matrix if few else (),
        map="" if few else matrix_map(names, shares, f"Which classes of {event.task} are taken for which"),
        pairs=[
            f"{names[true]} as {names[answered]}, {times:,} {'time' if times == 1 else 'times'}"
            for true, answered, times in event.most
        ],
        count=event.count,
        right=event.right,
    )


def samples(recorded: Sequence[Event], folder: RunFolder) -> list[SampleShown]:
    """The samples whose pictures a run kept, of those that are there still."""
    found: dict[str, list[PictureShown]] = {}
    for event in recorded:
        if isinstance(event, final_events.Pictures):
            for each in event.pictures:
                path = folder.path / each["file"]
                if is_file(path):
                    title = f"{each['source']}, test sample {each['sample']}"
                    found.setdefault(title, []).append(_picture(each, title, path.read_bytes()))
    return [SampleShown(title, pictures) for title, pictures in found.items()]


def _picture(recorded: Mapping[str, Any], title: str, content: bytes) -> PictureShown:
    words = {"input": "input", "target": "true", "prediction": "predicted"}[recorded["of"]]
    caption = f"{recorded['task']}, {words}" if "task" in recorded else words
    ends = f", {short(recorded['least'])} to {short(recorded['largest'])}" if "least" in recorded else ""
    address = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return PictureShown(f"{caption}{ends}", f"{caption}: {title}", address)
