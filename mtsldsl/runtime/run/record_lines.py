"""What a person is told of a whole run from its record: its events, and by what a balance multiplied the tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import first_lines
from mtsldsl.runtime.run.event_lines import describe_event, short, warning_lines
from mtsldsl.runtime.run.events import Start, Weighed
from mtsldsl.runtime.run.record_file import damaged, numbered_events

MOST_EPOCHS = 8
"""Columns of the table of weights; of more epochs some are left out between the first and the last."""


def record_lines(path: Path) -> Iterator[str]:
    """The lines of a file of events, oldest first, and at the end the table of weights where some were told.

    Raises MtlError MTL801 where there is no event, or a line is none.
    """
    balance, most, weighed = "", 0, []
    number = 0
    for number, event in numbered_events(path):
        try:
            lines = [*warning_lines(event), *describe_event(event)]
            if isinstance(event, Start):
                balance = event.balance
            elif isinstance(event, Weighed):
                weighed.append((event, event.means()))
                most = max(most, len(event.steps))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
            raise damaged(path, number) from problem
        yield from lines
    if not number:
        raise MtlError.of("MTL801", f"nothing is recorded in `{path}`", "name the folder of a run that has begun")
    if weighed:
        yield ""
        yield f"weights of the tasks by balance {balance}, the mean of up to {most} steps of an epoch"
        yield from _table(weighed)


def _table(weighed: Sequence[tuple[Weighed, dict[str, float]]]) -> Iterator[str]:
    """A row for each task: its mean weight in some epochs, and the least and the most of all that were told."""
    chosen = [weighed[place] for place in spread(len(weighed), MOST_EPOCHS)]
    tasks = list(chosen[-1][0].weights)
    rows = [["epoch", *(str(event.epoch) for event, _ in chosen), "least", "most"]]
    for task in tasks:
        every = [each for event, _ in weighed for each in event.weights.get(task, ()) if each is not None]
        means = [short(found.get(task)) for _, found in chosen]
        rows.append([task, *means, *((short(min(every)), short(max(every))) if every else "--")])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *lines = (_row(row, widths) for row in rows)
    yield head
    yield from first_lines(lines, "tasks")


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return "  ".join((first.strip().ljust(widths[0]), *others))


def spread(count: int, most: int) -> list[int]:
    """At most so many places, two or more, among `count`, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]
