"""What a learner leaves in the record of a run, and how a person is told of it.

The record, the screen and the page of a run know no method. What is one's own (the events that its learner writes, the
evidence of a phase, the words for what it decides) is said in its `language.py`, by what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import attrs

from mtsldsl.diagnostics.bounded import MOST_SHOWN, cut, first_lines
from mtsldsl.records import Record

Evidence: TypeAlias = Mapping[str, Any]
"""What a learner found in a phase, as JSON has it."""

PENALTY = "penalty"
"""What a learner's own loss is called where its method has no other name for it."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Event(Record):
    """One event of a run. `kind` is what the record calls it."""

    kind: ClassVar[str] = ""


@attrs.frozen(eq=False, repr=False)
class Matrix(Record):
    """A number for each two of some names, at most 1: the page of a run has it as a table, or as a map where there
    are many. `extremes` are its words for the largest numbers and the least."""

    title: str
    names: Sequence[str]
    values: Sequence[Sequence[float]]
    extremes: tuple[str, str] = ("The largest", "the least")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Finding(Event):
    """An event that a learner writes in a phase: `view.say(kind, ...)`, with the fields of the class of that kind."""

    epoch: int

    def lines(self) -> list[str]:
        """What a person is told of it while the run goes on."""
        return []

    def shown(self) -> Sequence[str | Matrix]:
        """What the page of the run has of it."""
        return self.lines()


_EXTREMES = 3
"""Of many pairs, so many of the most similar and of the least are told."""


def told_pairs(names: Sequence[str], values: Sequence[Sequence[float | None]]) -> str:
    """A number for each two of some names in a line: all pairs of a few, of more those at both ends."""
    every = [(values[i][j], f"{names[i]}~{names[j]}") for i in range(len(names)) for j in range(i + 1, len(names))]
    pairs = [(value, pair) for value, pair in every if value is not None]
    if len(pairs) <= MOST_SHOWN:
        return _pairs(pairs) or "not measured"
    ordered = sorted(pairs, key=lambda pair: -pair[0])
    most, least = _pairs(ordered[:_EXTREMES]), _pairs(ordered[-_EXTREMES:])
    return f"of {len(pairs)} pairs: {most} the most, {least} the least"


def _pairs(pairs: Sequence[tuple[float, str]]) -> str:
    return ", ".join(f"{names} {value:.3f}" for value, names in pairs)


def as_in_history(decisions: Sequence[str], evidence: Evidence | None = None) -> list[str]:
    """Decisions as `history` has them."""
    return first_lines([cut(line) for line in decisions], "decisions")


def nothing_proposed(evidence: Evidence) -> str:
    """What is true of every phase without a proposal."""
    return "nothing is proposed"


def told(number: float) -> str:
    """A number for a person: three decimals, or three digits of one so small that these would say little of it."""
    return f"{number:.3f}" if abs(number) >= _SMALL or not number else f"{number:.2e}"


_SMALL = 0.01


def in_four_digits(number: float) -> float:
    """A number as `history` has it."""
    return float(f"{number:.4g}")


@attrs.frozen(eq=False, repr=False)
class Words(Record):
    """How a method tells a person of a phase: what is `decided`, by the lines of `history` and the evidence, and why
    nothing is (`undecided`). Old runs have the evidence alone."""

    decided: Callable[[Sequence[str], Evidence], Sequence[str]] = as_in_history
    undecided: Callable[[Evidence], str] = nothing_proposed
