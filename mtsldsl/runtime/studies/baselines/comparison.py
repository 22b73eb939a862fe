"""The rows of a study side by side: what each reached, what it gains over the tasks alone, and over static shapes of at
most its budget or size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import fmean
from typing import Any

import attrs

from mtsldsl.runtime.objectives.metric_set import higher_is_better
from mtsldsl.runtime.objectives.relative_gain import Results
from mtsldsl.runtime.run.event_json import plain
from mtsldsl.runtime.studies.baselines.paired import LEVEL, Paired
from mtsldsl.runtime.studies.baselines.trial import Outcome
from mtsldsl.runtime.studies.baselines.wanted_rows import EACH, ENCODER, GIVEN, RANDOM, SCRATCH, TAUGHT, WIDENED, Row
from mtsldsl.runtime.studies.gain import Gain, delta_m
from mtsldsl.sharing.own_layers import own_last
from mtsldsl.sharing.shape import part_of

FORMAT_VERSION = 1

LEAST_SKILL = 0.02
"""Below this part of the way from the best constant answer to a perfect one, a metric is no evidence of anything."""

UNTAUGHT = "untaught"
"""The same row without teachers, with which one that has some is compared."""

BEST, PICKED = "best", "picked"
"""The static shapes that a row is compared with, within its `allowance`: that which gains the most, and that which a
person would pick."""

BEST_TAUGHT, PICKED_TAUGHT = "best_taught", "picked_taught"
"""The same of those that are taught, with which a learner that teaches itself is compared too."""


@attrs.frozen(eq=False)
class Entry:
    """A row with one seed; `gain` is over the tasks alone with the same seed, None where there is none to speak of: a
    run diverged, or the Delta-m is no number."""

    seed: int
    outcome: Outcome
    gain: Gain | None


@attrs.frozen(eq=False)
class Against:
    """How much more a row gains than another, over the seeds that both have: by all metrics, and as it is judged."""

    other: str
    difference: Paired
    judged: Paired | None
    """By the metrics that are evidence; None where there are none."""
    left_out: tuple[tuple[str, str], ...] = ()
    """The metrics, with their tasks, that are not: one of the two rows, or the tasks alone, is hardly better in them
    than the best constant answer."""
    where: tuple[str, ...] = ()
    """Which of these rows are."""
    lost: bool = False
    """Whether the row alone is, in some metric: what it loses there still counts."""

    @property
    def better(self) -> bool:
        """Whether a gain is shown."""
        return self.judged is not None and self.judged.above and (self.difference.above or not self.lost)

    @property
    def worse(self) -> bool:
        """Whether a loss is."""
        return self.judged is not None and self.judged.below

    def told(self) -> str:
        """The difference as it is judged, and what it is with the metrics that are left out."""
        if not self.left_out:
            return self.difference.told()
        names = ", ".join(f"{task} {key}" for task, key in self.left_out)
        are, them = ("is", "it") if len(self.left_out) == 1 else ("are", "them")
        judged = "nothing is left" if self.judged is None else self.judged.told()
        why = f"which {are} hardly better than the best constant answer in {', '.join(self.where)}"
        return f"{judged} without {names}, {why} (with {them} {self.difference.mean:+.2f} points)"


@attrs.frozen(eq=False)
class Line:
    """A row of the table, with what it gained at each seed."""

    row: Row
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """That of the row."""
        return self.row.name

    @property
    def ended(self) -> tuple[Entry, ...]:
        """Those of runs that did not diverge."""
        return tuple(each for each in self.entries if not each.outcome.diverged)

    @property
    def diverged(self) -> tuple[int, ...]:
        """The seeds with which it did."""
        return tuple(each.seed for each in self.entries if each.outcome.diverged)

    @property
    def gains(self) -> dict[int, float]:
        """The Delta-m of each seed that has one."""
        return {each.seed: each.gain.mean for each in self.entries if each.gain is not None}

    @property
    def gain(self) -> Paired | None:
        """Their mean."""
        return Paired.of(list(self.gains.values()))

    @property
    def size(self) -> int:
        """The most parameters that its network had with some seed."""
        return max((each.outcome.parameters for each in self.ended), default=0)

    @property
    def epochs(self) -> list[int]:
        """How many its runs made that ended."""
        return [each.outcome.stopped or self.row.spec.train.epochs for each in self.ended]

    def mean(self, task: str, key: str) -> float:
        """That of a metric over the runs that ended; NaN where there are none."""
        found = [each.outcome.metrics[task][key] for each in self.ended]
        return fmean(found) if found else math.nan

    def cpu_seconds(self) -> float | None:
        """The mean of a run; None where that of some is not known, or there are none."""
        found = [each.outcome.cpu_seconds for each in self.ended]
        known = [each for each in found if each is not None]
        return fmean(known) if known and len(known) == len(found) else None

    def over(self, other: Line) -> Paired | None:
        """How much more it gains than another; None where no seed has both."""
        mine, theirs = self.gains, other.gains
        return Paired.of([mine[seed] - theirs[seed] for seed in mine if seed in theirs])

    def same_as(self, other: Line) -> tuple[int, ...]:
        """The seeds with which it is the very run of another row, one that ended."""
        theirs = {each.seed: each.outcome.made_by for each in other.ended}
        return tuple(each.seed for each in self.ended if theirs.get(each.seed) == each.outcome.made_by)


@attrs.frozen(eq=False)
class Comparison:
    """All rows of a study; `counted` are the tasks that Delta-m is the mean of, `constant` what the best constant
    answer reaches on the same test set."""

    lines: tuple[Line, ...]
    constant: Results
    counted: tuple[str, ...]

    @classmethod
    def of(cls, rows: Mapping[Row, Mapping[int, Outcome]], constant: Results, counted: Sequence[str]) -> Comparison:
        """Of the runs of each row by their seeds."""
        alone = next(runs for row, runs in rows.items() if EACH in row.names)
        lines = [
            Line(row, tuple(Entry(seed, found, _gain(found, alone[seed], counted)) for seed, found in runs.items()))
            for row, runs in rows.items()
        ]
        return cls(tuple(lines), constant, tuple(counted))

    def line(self, name: str) -> Line | None:
        """The row of that name, by whatever name it has."""
        return next((line for line in self.lines if name in line.row.names), None)

    @property
    def alone(self) -> Line:
        """The tasks alone, which all are compared with."""
        return next(line for line in self.lines if EACH in line.row.names)

    def against(self, line: Line) -> dict[str, Against]:
        """What a row is compared with: `best` and `picked` static shapes, for what was learned the same structure from
        scratch, with its tasks at random, and what the spec gives, for that its tasks at random, and for what is taught
        the same without teachers; those of them that the study has. Static shapes have the same teachers as the row, or
        none either; what teaches itself is compared with both."""
        taught = line.row.taught
        others = {BEST: self._best(line, taught), PICKED: self._picked(line, taught)}
        if line.row.teaches_itself:
            others |= {BEST_TAUGHT: self._best(line, True), PICKED_TAUGHT: self._picked(line, True)}
        if line.row.taught:
            others[UNTAUGHT] = self.line(line.row.untaught)
        for kind in (SCRATCH, RANDOM):
            made = (each for each in self._of_kind(kind) if not each.row.taught)
            others[kind] = next((each for each in made if each.row.structure_of == line.name), None)
        if line.row.kind == "learned":
            others[GIVEN] = next((each for each in self._of_kind(GIVEN) if not each.row.taught), None)
        found: dict[str, Against] = {}
        for name, other in others.items():
            compared = None if other is None else self.compared(line, other)
            if compared is not None:
                found[name] = compared
        return found

    def compared(self, line: Line, other: Line) -> Against | None:
        """A row with another one; None where no seed has both. What is judged are the metrics in which both, and the
        tasks alone, are better than the best constant answer; of all seeds the same ones."""
        difference, alone = line.over(other), self.alone
        if difference is None:
            return None
        hardly = {each.name: self._at_floor(each) for each in (line, other, alone)}
        left_out = list(dict.fromkeys(metric for found in hardly.values() for metric in found))
        if not left_out:
            return Against(other.name, difference, difference)
        where = tuple(name for name, found in hardly.items() if found)
        lost = any(each not in hardly[other.name] + hardly[alone.name] for each in hardly[line.name])
        return Against(other.name, difference, self._without(left_out, line, other), tuple(left_out), where, lost)

    def _at_floor(self, line: Line) -> list[tuple[str, str]]:
        """The metrics of a row that Delta-m counts and that are no evidence."""
        return [(task, key) for task, key in self.unclear(line) if task in self.counted]

    def _without(self, left_out: Sequence[tuple[str, str]], line: Line, other: Line) -> Paired | None:
        """How much more a row gains than another without some metrics; None where none are left."""
        first = {entry.seed: entry.outcome for entry in self.alone.entries}
        mine, theirs = (
            {entry.seed: _gain(entry.outcome, first[entry.seed], self.counted, left_out) for entry in each.entries}
            for each in (line, other)
        )
        pairs = [(found, theirs.get(seed)) for seed, found in mine.items()]
        return Paired.of([one.mean - two.mean for one, two in pairs if one is not None and two is not None])

    def _of_kind(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line.row.kind == kind]

    def allowance(self, line: Line) -> Fraction:
        """The most parameters of a static shape that a row is compared with: its budget, or its own size where that is
        larger or it has no budget. What is found within a budget is held against all that fits the same budget."""
        if line.row.budget is None:
            return Fraction(line.size)
        return max(Fraction(line.size), part_of(line.row.budget, self.alone.size))

    def rivals(self, line: Line, taught: bool) -> list[Line]:
        """The static shapes within its allowance, with teachers or without, that a row can be compared with; itself
        left out."""
        most = self.allowance(line)
        alike = (each for each in self._of_kind("static") if each is not line and each.row.taught == taught)
        return [each for each in alike if each.ended and each.size <= most and line.over(each) is not None]

    def _best(self, line: Line, taught: bool) -> Line | None:
        """The one against which it gains the least, without the metrics in which the tasks alone are no evidence: over
        next to nothing any gain is large."""
        left_out = self._at_floor(self.alone)
        found = [(each, self._without(left_out, line, each) or line.over(each)) for each in self.rivals(line, taught)]
        known = [(each, over.mean) for each, over in found if over is not None]
        return min(known, key=lambda pair: pair[1])[0] if known else None

    def _picked(self, line: Line, taught: bool) -> Line | None:
        """The shape that a person would pick: for a budget that with the most own last layers within it, elsewhere
        `encoder`, where that is small enough, else of those with fewer own layers the largest that is."""
        shapes = [each for each in self.rivals(line, taught) if not each.name.startswith(WIDENED)]
        if line.row.budget is not None:
            return next((each for each in shapes if _has_own(each.row, line.row.pick)), None)
        encoder = self.line(f"{ENCODER}{TAUGHT}" if taught else ENCODER)
        if encoder is None or encoder is line:
            return None
        return max((each for each in shapes if each.size <= encoder.size), key=lambda each: each.size, default=None)

    def seconds_of_teachers(self, line: Line) -> float | None:
        """The mean CPU seconds of a run of what teaches a row; None where nothing does, or they are not known."""
        return self.alone.cpu_seconds() if line.row.taught else None

    def unclear(self, line: Line) -> list[tuple[str, str]]:
        """The metrics of a row, with their tasks, that are hardly better than those of the best constant answer."""
        return [
            (task, key)
            for task, found in self.constant.items()
            for key, value in found.items()
            if line.ended and skill(line.mean(task, key), value, better_high=higher_is_better(key)) < LEAST_SKILL
        ]

    def as_json(self) -> dict[str, Any]:
        """What other programs read; `format_version` changes when it does."""
        found: dict[str, Any] = plain(
            {
                "format_version": FORMAT_VERSION,
                "level": LEVEL,
                "counted": self.counted,
                "constant": self.constant,
                "rows": [self._line_as_json(line) for line in self.lines],
            }
        )
        return found

    def _line_as_json(self, line: Line) -> dict[str, Any]:
        return {
            "name": line.name,
            "names": line.row.names,
            "kind": line.row.kind,
            "budget": line.row.budget,
            "metrics": {task: {key: line.mean(task, key) for key in found} for task, found in self.constant.items()},
            "unclear": [f"{task}.{key}" for task, key in self.unclear(line)],
            "delta_m": _as_json(line.gain, self.compared(line, self.alone)),
            "against": {
                name: {"row": against.other, **(_as_json(against.difference, against) or {})}
                for name, against in self.against(line).items()
            },
            "cpu_seconds": line.cpu_seconds(),
            "taught": line.row.taught or line.row.teaches_itself,
            "teachers_cpu_seconds": self.seconds_of_teachers(line),
            "runs": [
                {
                    "seed": each.seed,
                    "folder": str(each.outcome.folder),
                    "diverged": each.outcome.diverged or None,
                    "stopped": each.outcome.stopped,
                    "parameters": each.outcome.parameters,
                    "flops": each.outcome.flops,
                    "cpu_seconds": each.outcome.cpu_seconds,
                    "metrics": each.outcome.metrics,
                    "delta_m": None if each.gain is None else each.gain.mean,
                    "gains": {} if each.gain is None else each.gain.tasks,
                }
                for each in line.entries
            ],
        }


def skill(value: float, constant: float, *, better_high: bool) -> float:
    """How far a value of a metric is on the way from that of the best constant answer, 0, to the best that there can
    be, 1: metrics that are better high end at 1, others at 0. NaN where it is no number; where the constant answer is
    perfect there is no way, and it is 0."""
    perfect = 1.0 if better_high else 0.0
    if math.isnan(value) or math.isnan(constant):
        return math.nan
    return 0.0 if constant == perfect else (value - constant) / (perfect - constant)


def _has_own(row: Row, count: int | None) -> bool:
    """Whether all layers of a static shape are shared but so many last ones."""
    sharing = row.spec.sharing
    return count is not None and sharing == own_last(sharing, count)


def _gain(
    found: Outcome, alone: Outcome, counted: Sequence[str], left_out: Sequence[tuple[str, str]] = ()
) -> Gain | None:
    """Over the tasks alone, without some metrics; None where there is none to speak of."""
    if found.diverged or alone.diverged:
        return None
    wanted = {
        task: {key: value for key, value in alone.metrics[task].items() if (task, key) not in left_out}
        for task in counted
    }
    wanted = {task: values for task, values in wanted.items() if values or not left_out}
    if not wanted:
        return None
    gain = delta_m(found.metrics, wanted)
    return gain if math.isfinite(gain.mean) else None


def _as_json(paired: Paired | None, against: Against | None) -> dict[str, Any] | None:
    """A mean, and what is shown of it."""
    if paired is None or against is None:
        return None
    return {
        **attrs.asdict(paired),
        "shown": against.better,
        "left_out": [f"{task}.{key}" for task, key in against.left_out],
        "judged": None if against.judged is None else attrs.asdict(against.judged),
    }
