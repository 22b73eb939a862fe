"""One training step, as what looks at it sees it, and a loss of its own that it may add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.sharing import Copy


@attrs.frozen
class Position:
    """Where a run is: epochs, batches of this epoch, steps in all, and structural phases that are done."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    phase: int = 0


@attrs.frozen(eq=False)
class Step:
    """A training step, when its losses are known and no gradient is. `watched` has the outputs (n, ...) of the copies
    that the learner watches, in the order in which they were computed.

    Where nothing is watched, tasks that share no layer are computed apart: there is a step for each set of them, all
    with the same position."""

    position: Position
    batch: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    losses: Mapping[str, Tensor]
    watched: Mapping[Copy, Tensor]


class Penalty(nn.Module):
    """A loss that belongs to no task, such as one that draws copies of a layer together. This one has none."""

    def watching(self, spec: Spec, position: Position) -> tuple[Copy, ...]:
        """The copies of layers whose outputs it wants to see in the coming epoch."""
        return ()

    def penalty(self, step: Step) -> Tensor | None:
        """The loss, a scalar; None where there is none in this step."""
        return None

    def facts(self) -> Mapping[str, Any]:
        """What it knows beside its tensors, as plain data."""
        return {}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Know again what `facts` gave."""
