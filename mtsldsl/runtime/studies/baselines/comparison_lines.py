"""The table of a study as lines of text, which markdown shows as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtsldsl.ir.cost import operations
from mtsldsl.runtime.run.event_lines import short
from mtsldsl.runtime.studies.baselines.comparison import BEST, PICKED, Against, Comparison, Line
from mtsldsl.runtime.studies.baselines.paired import Paired

UNCLEAR = "!"
"""Behind a metric that is hardly better than that of the best constant answer, and a difference with such a metric in
it."""


def table_cells(comparison: Comparison) -> list[list[str]]:
    """The table: its head, a row for the best constant answer, and one for each row of the study."""
    metrics = [(task, key) for task, found in comparison.constant.items() for key in found]
    head = ["row", "parameters", "FLOPs", "CPU s", "Δm %", "over the best static", "over the picked static"]
    constant = [short(comparison.constant[task][key]) for task, key in metrics]
    return [
        [*head, *(f"{task} {key}" for task, key in metrics)],
        ["best constant", *[""] * 6, *constant],
        *([*_row(line, comparison), *_metrics(line, comparison, metrics)] for line in comparison.lines),
    ]


def table_lines(comparison: Comparison) -> list[str]:
    """The same as text."""
    rows = table_cells(comparison)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width if place == 0 else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    return [
        "| "
        + " | ".join(_cell(text, width, place) for place, (text, width) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in (rows[0], rule, *rows[1:])
    ]


def note_lines(comparison: Comparison) -> Iterator[str]:
    """What has to be known to read the table."""
    for line in comparison.lines:
        if line.diverged and not line.ended:
            yield f"{line.name} diverged with every seed"
        elif line.diverged:
            yield f"{line.name} diverged with {_seeds(line.diverged)}; its numbers are of the others"
    for line in comparison.lines:
        lost = [each.seed for each in line.ended if each.gain is None]
        if lost:
            why = "has no Δm, as the tasks alone diverged or one of the two has no number"
            yield f"{line.name} {why}, with {_seeds(lost)}"
    for place, line in enumerate(comparison.lines):
        told: set[int] = set()
        for other in comparison.lines[:place]:
            same = [seed for seed in line.same_as(other) if seed not in told]
            told.update(same)
            if same:
                when = "" if len(same) == len(line.entries) else f" with {_seeds(same)}"
                yield f"{line.name} is the very network of {other.name}{when}"
    yield from _stops(comparison)
    if any(line.row.taught for line in comparison.lines):
        yield "CPU s of what is taught are its own + those of `each`, which teaches it with the same seed"
    itself = [line.name for line in comparison.lines if line.row.teaches_itself]
    if itself:
        yield f"taught by itself to the end: {', '.join(itself)}"
    if any(map(comparison.unclear, comparison.lines)):
        yield f"{UNCLEAR} hardly better than the best constant answer: no evidence"
    if any(_mark(comparison.compared(line, comparison.alone)) for line in comparison.lines):
        yield f"Δm with {UNCLEAR} has such a metric in it, of the row or of what it is over; verdicts leave it out"


def _stops(comparison: Comparison) -> Iterator[str]:
    """Which rows have runs with fewer epochs than others."""
    train = comparison.lines[0].row.spec.train
    stopped = [line for line in comparison.lines if any(each < train.epochs for each in line.epochs)]
    if not stopped:
        return
    said = (f"{line.name} {_range([str(min(line.epochs)), str(max(line.epochs))])}" for line in stopped)
    yield f"`stop` ended runs before {train.epochs} epochs: {', '.join(said)}"
    if train.average is not None:
        yield f"by `keep = {train.kept}` these kept a mean of fewer steps than others, or none"


def _seeds(numbers: Sequence[int]) -> str:
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _cell(text: str, width: int, place: int) -> str:
    return text.ljust(width) if place == 0 else text.rjust(width)


def _row(line: Line, comparison: Comparison) -> list[str]:
    name = " = ".join(line.row.names)
    if not line.ended:
        return [name, *["diverged"] * 6]
    sizes = [each.outcome.parameters for each in line.ended]
    flops = [each.outcome.flops for each in line.ended]
    against = comparison.against(line)
    seconds = line.cpu_seconds()
    compared = (
        f"{_with_error(against[kind].difference)}{_mark(against[kind])} ({against[kind].other})"
        if kind in against
        else ""
        for kind in (BEST, PICKED)
    )
    return [
        name,
        _range([f"{each:,}" for each in (min(sizes), max(sizes))]),
        _range([operations(each) for each in (min(flops), max(flops))]),
        _seconds(seconds) + (f" + {_seconds(comparison.seconds_of_teachers(line))}" if line.row.taught else ""),
        f"{_with_error(line.gain)}{_mark(comparison.compared(line, comparison.alone))}",
        *compared,
    ]


def _mark(against: Against | None) -> str:
    return UNCLEAR if against is not None and against.left_out else ""


def _seconds(known: float | None) -> str:
    return "?" if known is None else f"{known:,.1f}"


def _metrics(line: Line, comparison: Comparison, metrics: Sequence[tuple[str, str]]) -> list[str]:
    unclear = set(comparison.unclear(line))
    return [f"{short(line.mean(*each))}{UNCLEAR if each in unclear else ''}" for each in metrics]


def _range(ends: Sequence[str]) -> str:
    return " to ".join(dict.fromkeys(ends))


def _with_error(found: Paired | None) -> str:
    if found is None:
        return "-"
    return f"{found.mean:+.2f}" if found.error is None else f"{found.mean:+.2f} ± {found.error:.2f}"
