"""Which tasks helped which in a run: what `structure transference` measured in each epoch, and over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.run.events import read_events
from mtsldsl.runtime.run.folder import RunFolder

FORMAT_VERSION = 1

FOUND = "look_ahead"
"""What such a run calls what it found in an epoch."""

Row: TypeAlias = Mapping[str, float]
"""By donor; without those of whom nothing was measured."""


@attrs.frozen
class Affinities:
    """Of a run: for each recipient how much each donor helped it, on average over all measurements; in the last epoch;
    and in each epoch that has some, by its number."""

    tasks: tuple[str, ...]
    mean: Mapping[str, Row]
    curve: Mapping[int, Mapping[str, Row]]
    count: int
    """How often it was looked ahead for them: the most of any two tasks."""

    @property
    def last(self) -> Mapping[str, Row]:
        """Those of the last epoch that has some."""
        return self.curve[max(self.curve)]

    def as_json(self) -> dict[str, Any]:
        """What other programs read; `format_version` changes when it does."""
        return {
            "format_version": FORMAT_VERSION,
            "tasks": list(self.tasks),
            "affinity": self.mean,
            "last": self.last,
            "curve": [{"epoch": epoch, "affinity": rows} for epoch, rows in self.curve.items()],
            "looks": self.count,
        }


def affinities(run: Path) -> Affinities:
    """Those of a run folder. Raises MtlError MTL801 where it is none, and MTL804 where nothing was measured in it."""
    of_epoch: dict[int, Any] = {}  # of an epoch that was made again the later ones
    for event in read_events(RunFolder.open(run).events):
        if event.kind == FOUND:
            found: Any = event
            if any(map(any, found.looks)):
                of_epoch[found.epoch] = found
    if not of_epoch:
        raise MtlError.of(
            "MTL804",
            f"nothing was measured of who helps whom in {run}",
            "train a spec with `structure transference`",
        )
    events = list(of_epoch.values())
    tasks = tuple(events[-1].tasks)
    return Affinities(
        tasks,
        _mean(tasks, events),
        {event.epoch: _mean(tasks, [event]) for event in events},
        _count(events),
    )


def _count(events: Sequence[Any]) -> int:
    sizes = range(len(events[-1].tasks))
    return max(sum(int(event.looks[one][other]) for event in events) for one in sizes for other in sizes)


def _mean(tasks: Sequence[str], events: Sequence[Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row, recipient in enumerate(tasks):
        found[recipient] = {}
        for column, donor in enumerate(tasks):
            numbers = [
                (value, event.looks[row][column])
                for event in events
                if (value := event.gained[row][column]) is not None
            ]
            if numbers:
                total = sum(count for _, count in numbers)
                found[recipient][donor] = sum(value * count for value, count in numbers) / total
    return found
