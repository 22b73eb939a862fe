"""One training step, as what looks at it sees it, and a loss of its own that it may add."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.seeds import torch_seed_of
from mtsldsl.sharing import Copy, Sharing

if TYPE_CHECKING:
    from mtsldsl.runtime.learning.beside import Beside, Twin
    from mtsldsl.runtime.learning.probe import Probe
    from mtsldsl.runtime.network.choosing import Choices
    from mtsldsl.runtime.network.transfer import Members

Gates: TypeAlias = Mapping[str, Mapping[str, Tensor]]
"""For each layer, by task, a number for each alternative that the task may use, in their order: the task's value is the
sum of what they give, each times its number."""


@attrs.frozen
class Position:
    """Where a run is: epochs, steps of this epoch (`batch`), steps in all, and structural phases that are done; and the
    seed by which its random numbers are drawn."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    phase: int = 0
    seed: int = 0


def keyed_generator(position: Position, *purpose: str) -> torch.Generator:
    """Random numbers of a step for one purpose: the same whenever that step is made again."""
    return torch.Generator().manual_seed(torch_seed_of(position.seed, position.step, *purpose))


def _unmeasured(outputs: Mapping[str, Tensor]) -> BatchLosses:
    return BatchLosses((), {})


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
    progress: float = 0.0
    """The part of the run that is done, from 0 to 1."""
    measured: Callable[[Mapping[str, Tensor]], BatchLosses] = _unmeasured
    """The losses that other outputs of tasks have for this batch, of all processes."""
    tasks: tuple[str, ...] = ()
    """Those that read the batch, of the set that is computed."""


class Penalty(nn.Module):
    """A loss that belongs to no task, such as one that draws copies of a layer together. This one has none.

    `choosing` says that copies of layers choose what they read, for as long as it does: then `choices` are asked.
    `instead` says that networks of its own are trained in the place of the run's, for as long as it does: a step then
    is one of `learn`, and what is evaluated and kept is `leading`.
    """

    choosing: bool = False
    instead: bool = False
    of_part: bool = False
    """Whether the gradient of its loss is that of this process's part of a batch, so that those of all add up to it;
    else all have the same."""

    def begin(self, spec: Spec) -> None:
        """The run of this spec begins, or goes on with it: what it learns is made here."""

    def options(self) -> Mapping[str, float]:
        """Options of the optimizer for its own parameters, where they are others than the network's."""
        return {}

    def gates(self, tasks: Sequence[str], position: Position) -> Gates | None:
        """How much of each alternative the tasks take in this step; None where that is what the spec says."""
        return None

    def choices(self, position: Position) -> Choices:
        """What the copies of layers read in this step."""
        return {}

    def stand_ins(self, sharing: Sharing) -> Members:
        """For the copies of a sharing that is `present` those of the network that stand for them; none where they have
        the same names."""
        return {}

    def usable(self, sharing: Sharing) -> Sharing:
        """The sharing that has all that gates may open, by which the network is run with them."""
        return sharing

    def present(self, sharing: Sharing) -> Sharing:
        """The sharing as it would be if the run ended here, by which the network is evaluated and kept."""
        return sharing

    def watching(self, spec: Spec, position: Position) -> tuple[Copy, ...]:
        """The copies of layers whose outputs it wants to see in the coming epoch."""
        return ()

    def observing(self, position: Position) -> bool:
        """Whether it wants to look ahead in this step."""
        return False

    def observe(self, probe: Probe) -> None:
        """Look ahead from a step whose losses are known, and change nothing."""

    def penalty(self, step: Step) -> Tensor | None:
        """The loss, a scalar; None where there is none in this step."""
        return None

    def learn(self, step: Step) -> tuple[BatchLosses, Tensor]:
        """A step of its networks: the losses to be told of, without a gradient, and the loss whose gradient is all that
        there is to learn from."""
        raise NotImplementedError

    def leading(self, spec: Spec) -> nn.Module:
        """The best of its networks so far, as one of this spec, whose sharing is `present`."""
        raise NotImplementedError

    def beside(self) -> Sequence[Beside]:
        """The networks that it trains beside the run's own, which are kept too."""
        return ()

    @property
    def own_names(self) -> tuple[str, ...]:
        """What the run's own network is called among them."""
        return ()

    def twins(self) -> Sequence[Twin]:
        """Networks that learn from the same batches, which are compared with the run's own and never kept."""
        return ()

    def apart(self) -> Sequence[nn.Module]:
        """What it learns, as networks that have nothing in common."""
        return (self,)

    def facts(self) -> Mapping[str, Any]:
        """What it knows beside its tensors, as plain data."""
        return {}

    def prepare_for(self, facts: Mapping[str, Any]) -> None:
        """Have what `facts` are of, such as networks that are left, before its tensors are loaded."""

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Know again what `facts` gave."""
