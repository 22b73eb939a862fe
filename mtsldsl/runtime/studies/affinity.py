"""Which tasks helped which in a run: what `structure transference` measured in each epoch, and over all of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.record_file import damaged, numbered_events
from mtsldsl.syntax import read_source
from mtsldsl.syntax.files import is_folder

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
    """Those of a run folder.

    Raises MtlError MTL801 where it is none or its record is damaged, and MTL804 where nothing was measured in it.
    """
    found = _found(RunFolder.open(run))
    if found is None:
        raise MtlError.of(
            "MTL804",
            f"nothing was measured of who helps whom in {run}",
            "train a spec with `structure transference`",
        )
    return found


def _found(run: RunFolder) -> Affinities | None:
    """Those of a run; None where nothing was measured in it. Raises MtlError MTL801 where its record is damaged."""
    of_epoch: dict[int, Any] = {}  # of an epoch that was made again the later ones
    for number, event in numbered_events(run.events):
        if event.kind == FOUND:
            found: Any = event
            if not _is_whole(found):
                raise damaged(run.events, number)
            if any(map(any, found.looks)):
                of_epoch[found.epoch] = found
    if not of_epoch:
        return None
    events = list(of_epoch.values())
    tasks = tuple(events[-1].tasks)
    return Affinities(
        tasks,
        _mean(tasks, events),
        {event.epoch: _mean(tasks, [event]) for event in events},
        _count(events),
    )


@attrs.frozen
class Measured:
    """Who helps whom, by whom it was measured, and after how many epochs."""

    name: str
    mean: Mapping[str, Row]
    epoch: int


def measured_for(spec: Spec, place: Path, given: Path | None, runs: Path = Path("runs")) -> Measured:
    """Who helps whom of the tasks of a spec, which was read at `place`: as `given`, a run folder, or what `as_json`
    gives in a file; or as the run at `place` itself measured it, or the newest of the runs of that file.

    Raises MtlError: MTL804 where nothing was measured, or not of all its tasks, MTL703 for a file that is no such one,
    MTL801 for a run whose record is damaged.
    """
    if given is not None:
        found = _measured(given, affinities(given)) if is_folder(given) else _of_file(given)
    elif is_folder(place):
        found = _measured(place, affinities(place))
    else:
        found = _newest(runs / (place.stem.strip(".") or "spec"), spec)
    missing = [task for task in spec.sharing.tasks if task not in found.mean]
    if missing:
        cause = f"{found.name} measured nothing of {', '.join(f'`{task}`' for task in missing)}"
        raise MtlError.of("MTL804", cause, "name a run of the same tasks with `--affinity`")
    tasks = spec.sharing.tasks
    if len(tasks) > 1 and not any(found.mean[one].keys() & {*tasks} - {one} for one in tasks):
        cause = f"{found.name} measured nothing of any two of these tasks, as of tasks that share no layer"
        raise MtlError.of("MTL804", cause, "train them with layers that they share, and `structure transference`")
    return found


def _measured(run: Path, found: Affinities) -> Measured:
    return Measured(str(run), found.mean, max(found.curve))


def _newest(folder: Path, spec: Spec) -> Measured:
    """Of the newest run in a folder that measured something. Raises MtlError MTL801 for a newer one whose record is
    damaged: nobody knows what that measured."""
    runs = [each for each in folder.iterdir() if each.name.isdecimal()] if is_folder(folder) else []
    for run in sorted(runs, key=lambda each: int(each.name), reverse=True):
        found = _found(RunFolder(run))
        if found is not None:
            return _measured(run, found)
    cause = f"no run of {spec.source.name} in {folder} measured who helps whom"
    raise MtlError.of(
        "MTL804", cause, "train it with `structure transference`, or name a run or a file with `--affinity`"
    )


def _of_file(path: Path) -> Measured:
    """What `affinity --json` printed into a file."""
    try:
        found = json.loads(read_source(path).text)
        version = found.get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            cause = f"{path} has format {version!r} of who helps whom, and this version reads {FORMAT_VERSION}"
            raise _refused(cause)
        epochs = [each["epoch"] for each in found.get("curve", ())]
        for epoch in epochs:
            if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
                cause = f"{path} has numbers of epoch {epoch!r}, and epochs are whole numbers from 1 on"
                raise _refused(cause)
        rows = {
            str(recipient): {str(donor): _number(value) for donor, value in row.items()}
            for recipient, row in found["affinity"].items()
        }
        return Measured(str(path), rows, max(epochs, default=0))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as problem:
        raise _refused(f"{path} has no numbers of who helps whom") from problem


def _refused(cause: str) -> MtlError:
    return MtlError.of("MTL703", cause, "write it with `mtsldsl affinity RUN --json`, or name a run")


def _is_whole(found: Any) -> bool:
    """Whether an event has what a run writes: a row for each task, in it a number, or none, for each task."""
    try:
        size = len(found.tasks)
        rows = [list(zip(*row, strict=True)) for row in zip(found.gained, found.looks, strict=True)]
        square = len(rows) == size and all(len(row) == size for row in rows)
        cells = [cell for row in rows for cell in row]
        return square and isinstance(found.epoch, int) and all(_is_mean(*cell) for cell in cells)
    except (TypeError, ValueError, OverflowError):
        return False


def _is_mean(value: float | None, count: int) -> bool:
    """Whether there may be such a mean of so many; it is None too where it was not finite."""
    return value is None if count == 0 else count > 0 and (value is None or math.isfinite(value))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


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
