"""What MTSL finds in a phase, as the record of a run has it and a person is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtsldsl.diagnostics.bounded import shown
from mtsldsl.methods.evidence import Finding, Matrix, told
from mtsldsl.methods.similarities import Compared


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Similarity(Compared):
    """What was found where tasks may merge at a layer, and how they are grouped."""

    kind = "similarity"
    threshold: float
    grouping: Mapping[str, Any]
    ceilings: Sequence[float] | None = None
    """By task, how similar its copy is to that of the twin, where the threshold is the mean of these."""

    def title(self) -> str:
        """With the threshold."""
        threshold = self.threshold if self.ceilings is None else told(self.threshold)
        return f"{super().title()}, threshold {threshold}"

    def lines(self) -> list[str]:
        """The pairs, and the threshold that nobody has given."""
        if self.ceilings is None:
            return super().lines()
        each = [f"{task} {told(ceiling)}" for task, ceiling in zip(self.tasks, self.ceilings, strict=True)]
        alike = f"what tasks have in common with the twin: {shown(each, ', ')}"
        return [*super().lines(), f"{self.layer}: threshold {told(self.threshold)}, the mean of {alike}"]

    def shown(self) -> Sequence[str | Matrix]:
        """The whole matrix, and what the threshold is the mean of."""
        return [*super().shown(), *(self.lines()[-1:] if self.ceilings is not None else ())]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BudgetSimilarity(Compared):
    """What was found at a layer on the way to a budget; tasks that share a copy of it have what that has."""

    kind = "budget_similarity"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Spending(Finding):
    """How many `parameters` the network has after a phase, how many it `allowed`, and the `budget` of the run."""

    kind = "spending"
    parameters: int
    allowed: int
    budget: int

    def lines(self) -> list[str]:
        """What there is and what was allowed, and whether more would have had to merge."""
        found = f"{self.parameters:,} parameters: the phase may leave {self.allowed:,}, the budget is {self.budget:,}"
        return [found if self.parameters <= self.allowed else f"{found}, and nothing else may merge now"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Matching(Finding):
    """How many sets of channels of a copy that merges were brought into another's order and how many left, and the mean
    correlation of channels with those that they are averaged with, `correlation` before and after."""

    kind = "matching"
    layer: str
    tasks: Sequence[str]
    matched: int
    left: int
    correlation: Sequence[float]

    def lines(self) -> list[str]:
        """The sets and the correlations."""
        named, (before, after) = shown(self.tasks, " + "), self.correlation
        left = f", {self.left} left in theirs" if self.left else ""
        if not self.matched:
            return [f"{self.layer}: the channels of {named} cannot be brought into another order"]
        what = f"{self.matched} {'set' if self.matched == 1 else 'sets'} of channels of {named} matched{left}"
        return [f"{self.layer}: {what}; correlation with the others {told(before)}, now {told(after)}"]
