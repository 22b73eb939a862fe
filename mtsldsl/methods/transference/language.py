"""Transference in the language: its block, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from mtsldsl.diagnostics.bounded import first_lines
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Choice, Integer, Key
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Finding, Words
from mtsldsl.methods.method import Method
from mtsldsl.records import Record

SGD, GRADIENT = "sgd", "gradient"
"""How a step is looked ahead: made, and the losses computed anew; or to the first order, by the gradients alone."""

BLOCK = BlockSchema(
    "structure",
    "which tasks help which is measured, and nothing changes: transference (Fifty et al., 2020)",
    (
        Key("every", Integer(1), "steps from one look ahead to the next", 10),
        Key("step", Choice((SGD, GRADIENT)), "what is looked ahead to: a plain step, or its first order", SGD),
    ),
    label="transference",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What the learner is made of."""

    every: int
    step: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LookAhead(Finding):
    """How much each task helped each other one in an epoch: for each recipient a row, in it a number for each donor,
    the mean of so many `looks`; None where there was none. `first_order_error` is how far the first order was from the
    step, on average, where that is what was measured."""

    kind = "look_ahead"
    tasks: Sequence[str]
    gained: Sequence[Sequence[float | None]]
    looks: Sequence[Sequence[int]]
    first_order_error: float | None = None

    def lines(self) -> list[str]:
        """For each task who helped it most, and who least."""
        found = []
        for place, (task, row) in enumerate(zip(self.tasks, self.gained, strict=True)):
            donors = zip(self.tasks, row, strict=True)
            known = [
                (value, donor) for other, (donor, value) in enumerate(donors) if value is not None and other != place
            ]
            if known:
                (high, most), (low, least) = max(known), min(known)
                others = "" if len(known) == 1 else f", {least} least ({low:+.3g})"
                found.append(f"{task}: {most} helps most ({high:+.3g}){others}")
        if self.first_order_error is not None:
            found.append(f"the first order is off by {self.first_order_error:.2g} on average")
        return first_lines(found, "tasks")


def undecided(evidence: Evidence) -> str:
    """Nothing ever is."""
    return "who helps whom is measured, and nothing changes"


METHOD = Method(
    block=BLOCK,
    decisions=(),
    settings=lambda values: Settings(**values),
    learner="Transference",
    findings=(LookAhead,),
    words=Words(undecided=undecided),
)
