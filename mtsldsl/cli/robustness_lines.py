"""What runs reach under corruptions as a table for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs

from mtsldsl.cli.consensus_lines import folds
from mtsldsl.runtime.run.event_lines import short
from mtsldsl.runtime.studies.corruptions.robustness import Robustness

CHANGE = "mean to clean, %"
"""The row that says how much better than clean the mean is, below 0 where it is worse."""


@attrs.frozen
class _Column:
    """Lines of its head, and a cell for each row."""

    head: tuple[str, ...]
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return max(map(len, (*self.head, *self.cells)))


def robustness_lines(found: Robustness, width: int | None) -> Iterator[str]:
    """A row for each corruption; columns of every metric with the runs side by side, and of Delta-m. Where not all
    columns fit, the rows once more with the next ones."""
    listed = ", ".join(map(str, found.severities))
    severities = (
        f"severities {listed}, of which a row is the mean" if len(found.severities) > 1 else f"severity {listed}"
    )
    yield f"{found.split} split, seed {found.seed}, {severities}"
    for number, run in enumerate(found.runs, 1):
        samples = "1 sample" if run.samples == 1 else f"{run.samples:,} samples"
        yield f"{f'{number}  ' if len(found.runs) > 1 else ''}{', '.join((run.name, *run.whose, samples))}"
    yield ""
    yield from _table((*found.rows, CHANGE), list(_metrics(found)), width)
    yield ""
    yield from _table(found.rows, list(_gains(found)), width)
    if found.notes:
        yield ""
        yield from found.notes


def _metrics(found: Robustness) -> Iterator[_Column]:
    """Of every metric those of the runs that have it, one beside the other."""
    for task, key in dict.fromkeys(metric for run in found.runs for metric in run.metrics):
        for number, run in enumerate(found.runs, 1):
            if (task, key) in run.metrics:
                values = [found.results(run, row)[task][key] for row in found.rows]
                change = _percent(run.change(values[-1], task, key))
                yield _Column(_head(found, task, key, number), (*map(short, values), change))


def _gains(found: Robustness) -> Iterator[_Column]:
    for number, run in enumerate(found.runs, 1):
        own = [_percent(found.against_clean(run, row)) for row in found.rows]
        yield _Column(_head(found, "Δm %", "to clean", number), tuple(own))
    for number, run in enumerate(found.runs[1:], 2):
        beside = [_percent(found.against_first(run, row)) for row in found.rows]
        yield _Column(_head(found, "Δm %", "to run 1", number), tuple(beside))


def _head(found: Robustness, first: str, second: str, number: int) -> tuple[str, ...]:
    return (first, second, f"run {number}") if len(found.runs) > 1 else (first, second)


def _table(rows: Sequence[str], columns: Sequence[_Column], width: int | None) -> Iterator[str]:
    labels = max(map(len, rows))
    start = 0
    for stop in folds(["-" * column.width for column in columns], labels, width):
        if start:
            yield ""
        chosen = columns[start:stop]
        for line in range(len(columns[0].head)):
            yield _line("", labels, chosen, [column.head[line] for column in chosen])
        for place, row in enumerate(rows):
            yield _line(row, labels, chosen, [column.cells[place] for column in chosen])
        start = stop


def _line(label: str, labels: int, columns: Sequence[_Column], cells: Sequence[str]) -> str:
    padded = (f"{cell:>{column.width}}" for column, cell in zip(columns, cells, strict=True))
    return "  ".join((f"{label:<{labels}}", *padded)).rstrip()


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{round(value, 1) + 0.0:+.1f}"  # never -0.0
