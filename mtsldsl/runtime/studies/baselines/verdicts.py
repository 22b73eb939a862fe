"""What a study shows of what was learned, and what it does not, in a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from mtsldsl.runtime.studies.baselines.comparison import (
    BEST,
    BEST_TAUGHT,
    PICKED,
    PICKED_TAUGHT,
    UNTAUGHT,
    Against,
    Comparison,
    Line,
)
from mtsldsl.runtime.studies.baselines.goals import goals
from mtsldsl.runtime.studies.baselines.paired import FEWEST
from mtsldsl.runtime.studies.baselines.wanted_rows import ENCODER, GIVEN, LAST, RANDOM, SCRATCH

_BOTH, _BOTH_TAUGHT = "best and picked", "best and picked, taught"
"""Where the two are one row."""

_OTHERS = {
    _BOTH: "{}, of the static shapes of at most its {} the best, and what a person would pick",
    BEST: "{}, of the static shapes of at most its {} the best",
    PICKED: "{}, of these what a person would pick",
    _BOTH_TAUGHT: "{}, of those with teachers the best, and what a person would pick",
    BEST_TAUGHT: "{}, of those with teachers the best",
    PICKED_TAUGHT: "{}, of these what a person would pick",
    SCRATCH: "its structure trained from scratch",
    RANDOM: "its shape with the tasks at random",
    GIVEN: "the sharing that the spec gives",
    UNTAUGHT: "the same without teachers",
}


def verdicts(comparison: Comparison) -> list[str]:
    """A sentence for each row that was learned, or that the spec gives, and for each structure that was learned and is
    taught; and for each learned row with a budget one of what it is for."""
    return [*(_verdict(line, comparison) for line in comparison.lines if _is_judged(line)), *goals(comparison)]


def _is_judged(line: Line) -> bool:
    return line.row.kind in ("given", "learned") or (line.row.taught and line.row.kind == "scratch")


def _verdict(line: Line, comparison: Comparison) -> str:
    if line.diverged:
        return (
            f"{line.name}: nothing is claimed, as it diverged with {len(line.diverged)} of {len(line.entries)} seeds."
        )
    if len(line.entries) < FEWEST:
        count = "one seed" if len(line.entries) == 1 else f"{len(line.entries)} seeds"
        return f"{line.name}: nothing is claimed of {count}; it takes {FEWEST}."
    against = comparison.against(line)
    for best, picked, both in ((BEST, PICKED, _BOTH), (BEST_TAUGHT, PICKED_TAUGHT, _BOTH_TAUGHT)):
        if best in against and picked in against and against[best].other == against[picked].other:
            against = {both: against.pop(best), **against}
            del against[picked]
    said = [_clause(name, against[name], line, comparison) for name in _OTHERS if name in against]
    said += _missing(line, against, comparison)
    if line.row.teaches_itself and not {BEST_TAUGHT, _BOTH_TAUGHT} & against.keys():
        said.append("it teaches itself, and no static shape that it is compared with is taught")
    unclear = comparison.unclear(line)
    if unclear:
        said.append(
            f"hardly better than the best constant answer in {', '.join(f'{task} {key}' for task, key in unclear)}"
        )
    return f"{line.name}: {'; '.join(said)}."


def _clause(name: str, against: Against, line: Line, comparison: Comparison) -> str:
    other = comparison.line(against.other)
    assert other is not None
    known = _OTHERS[name].format(against.other, _bound(line, comparison))
    difference = against.difference
    if difference.count < FEWEST:
        return f"nothing is claimed against {known}: {difference.count} of {len(line.entries)} seeds have both"
    if len(line.same_as(other)) == len(line.entries):
        return f"the very run of {known}"
    said = "better" if against.better else "worse" if against.worse else "not shown to be better"
    return f"{said} than {known}: {against.told()}"


def _bound(line: Line, comparison: Comparison) -> str:
    """What the static shapes are at most that it is compared with."""
    return "budget" if comparison.allowance(line) > line.size else "size"


def _missing(line: Line, against: dict[str, Against], comparison: Comparison) -> Iterator[str]:
    if _BOTH in against or PICKED in against:
        return
    if BEST not in against:
        yield f"no static shape of at most its {_bound(line, comparison)} is in the table"
    elif line.row.budget is None:
        yield f"what a person would pick {'is larger' if comparison.line(ENCODER) else 'is not in the table'}"
    elif line.row.pick is None:
        yield "the budget is too small for what a person would pick"
    else:
        yield f"what a person would pick, {LAST}:{line.row.pick}, is not in the table, or not with the same seeds"
