"""The consensus of several specs as lines for people, styled for a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence

import click

from mtsldsl.cli.difference_lines import key_line
from mtsldsl.cli.output import shown
from mtsldsl.compare.consensus import Consensus, Pair


def width_of_output() -> int | None:
    """The characters that fit on a line; None where any number does, as in a pipe or a file."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return None


def lines(found: Consensus, width: int | None) -> Iterator[str]:
    """The table of pairs and layers, each run's distance, and what else differs."""
    yield f"how many of {len(found.names)} runs share the layer (bold: most do)"
    yield from _table(found, width)
    yield ""
    runs = [shown(name) for name in found.names]
    names = max(map(len, runs))
    nearest = found.distances.index(min(found.distances))
    for index, (name, distance) in enumerate(zip(runs, found.distances, strict=True)):
        near = "  the nearest to the consensus" if index == nearest else ""
        yield f"{name:<{names}}  {distance:>3} of {len(found.pairs)} answers differ{near}"
    if found.allocated:
        yield ""
        yield f"tasks use other alternatives of {', '.join(found.allocated)}: compare two runs to see which"
    if found.helped:
        yield ""
        yield f"other tasks help in {', '.join(found.helped)}: compare two runs to see which"
    if any(found.keys):
        yield ""
        yield f"apart from the sharing, other than in {runs[0]}:"
    for name, changes in zip(runs, found.keys, strict=True):
        for change in changes:
            yield f"{name:<{names}}  {key_line(change)}"


def _table(found: Consensus, width: int | None) -> Iterator[str]:
    """A row for two tasks, a column for a layer; where not all columns fit, the rows once more with the next ones."""
    rows: dict[str, list[Pair]] = {}
    for pair in found.pairs:
        rows.setdefault(" + ".join(pair.tasks), []).append(pair)
    labels = max(map(len, ("tasks", *rows)))
    start = 0
    for stop in folds(found.layers, labels, width):
        if start:
            yield ""
        layers = found.layers[start:stop]
        yield _row("tasks", labels, layers, [click.style(layer, bold=True) for layer in layers])
        for label, pairs in rows.items():
            yield _row(label, labels, layers, [_cell(found, pair) for pair in pairs[start:stop]])
        start = stop


def folds(columns: Sequence[str], labels: int, width: int | None) -> Iterator[int]:
    """Where each part of a table ends whose columns are as wide as these, behind labels: it has one column at least."""
    used = labels
    for index, column in enumerate(columns):
        if width is not None and used > labels and used + len(column) + 2 > width:
            yield index
            used = labels
        used += len(column) + 2
    yield len(columns)


def _row(label: str, labels: int, layers: Sequence[str], cells: Sequence[str]) -> str:
    """One line; a cell is as wide as the name of its layer."""
    padded = (cell + " " * (len(layer) - len(click.unstyle(cell))) for layer, cell in zip(layers, cells, strict=True))
    return "  ".join((f"{label:<{labels}}", *padded)).rstrip()


def _cell(found: Consensus, pair: Pair) -> str:
    if found.shared(pair):
        return click.style(str(pair.runs), fg="green", bold=True)
    return str(pair.runs) if pair.runs else click.style("0", dim=True)
