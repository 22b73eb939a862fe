"""What is added up while an epoch goes on."""

from __future__ import annotations

import time

import attrs
from torch import Tensor

from mtsldsl.runtime.learning.finite import ALIGNMENT
from mtsldsl.runtime.objectives import BatchLosses, LossTotals
from mtsldsl.runtime.run.display import Display


@attrs.define
class EpochLosses:
    """The losses of an epoch, kept on the device so that no step waits for it."""

    display: Display
    steps: int = 0
    _totals: LossTotals = attrs.field(factory=LossTotals)
    _alignment: Tensor | None = None
    _began: float = attrs.field(factory=time.monotonic)

    def add(self, losses: BatchLosses, alignment: Tensor | None) -> None:
        """Count one step."""
        self._totals.add(losses)
        if alignment is not None:
            detached = alignment.detach()
            self._alignment = detached if self._alignment is None else self._alignment + detached
        self.steps += 1
        self.display.advance()

    def means(self) -> dict[str, float]:
        """Each task's loss over all that counted in the epoch, NaN without any, and the alignment loss as the mean over
        steps; waits for the device."""
        means = self._totals.values()
        return means if self._alignment is None else {**means, ALIGNMENT: float(self._alignment) / self.steps}

    def seconds(self) -> float:
        """Since the epoch began."""
        return time.monotonic() - self._began
