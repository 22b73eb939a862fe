"""What a balance weighs in some steps of an epoch, so that the record of a long run stays small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
from torch import Tensor

from mtsldsl.runtime.learning.balance import Balance

TOLD = 8
"""Steps of an epoch at which is told what the balance weighs."""


def told(step: int, steps: int) -> bool:
    """Whether this step, counted from 0, of so many of an epoch is told of: the first of each of `TOLD` parts that are
    alike, or each where there are no more. It says nothing of what came before, so that a run that goes on tells the
    same."""
    return 0 <= step < steps and step * TOLD % steps < TOLD


@attrs.define
class WeighedSteps:
    """What was weighed (`Balance.weighed`) at some steps of the epoch in hand, by their numbers from 1."""

    steps: dict[int, dict[str, Tensor]] = attrs.field(factory=dict)

    @contextmanager
    def asking(self, balance: Balance, step: int, steps: int) -> Iterator[None]:
        """While open, the balance combines a step, counted from 0, of so many, or one set of its tasks."""
        balance.asked = not balance.constant and told(step, steps)
        balance.weighed = {}
        yield
        if balance.asked:
            self.steps.setdefault(step + 1, {}).update(balance.weighed)
