"""How much a step of one task's copy of a layer would help another task, whose copy makes it.

    Z(i -> j) = 1 - L_j(w_j - lr * dL_i/dw_i) / L_j(w_j)

with w_i and w_j the weights of the two copies: i's own step, made in j's copy in place of its own, while all else
stays. Where the copies are equal this is the transference of Fifty et al. over the weights of the layer, as if it
were shared already; copies begin equal. The similarity is the mean of Z(i -> j) and Z(j -> i), on the diagonal Z(i ->
i), each the mean over batches. A task without a label in a batch, or with a loss of 0, neither gives nor takes there,
and tasks that never meet have a similarity of 0. Copies without weights compute the same for all tasks: they have a
similarity of 1. So have frozen ones that are equal, which no step changes; others that are frozen have one of 0.

Fifty, Amid, Zhao, Yu, Anil, Finn: Measuring and Harnessing Transference in Multi-Task Learning, 2020, arXiv
2010.15413.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtsldsl.methods.similarities import Transference
from mtsldsl.runtime.network.execution import evaluating
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.structure.similarities import Place
from mtsldsl.runtime.structure.similarities.beyond import Beyond, Seen, seen
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Copy


def matrices(view: View, chosen: Transference, places: Sequence[Place]) -> list[Tensor]:
    """The mean of both ways."""
    return [(each + each.T) / 2 for each in gains(view, chosen, places)]


def gains(view: View, chosen: Transference, places: Sequence[Place]) -> list[Tensor]:
    """Z(i -> j) in the row of i and the column of j, ones where the copies have no weights.

    Of the copies' tasks, whose losses are added where a copy has several, each with its weight. Tasks of several
    sources meet by their batches: the first of one and the first of the other, and so on, as long as both have some."""
    sums = [torch.zeros(len(place), len(place), dtype=torch.float64) for place in places]
    counts = [torch.zeros_like(each) for each in sums]
    with located(view.model, view.spec), evaluating(view.model):
        for turn in seen(view, (value for place in places for value in place), chosen.samples):
            steps = (_Step.of(way, part) for part in turn for way in part.ways)
            found = {each.way.value: each for each in steps if each is not None}
            for place, total, count in zip(places, sums, counts, strict=True):
                own = [(index, found[value]) for index, value in enumerate(place) if value in found]
                for i, donor in own:
                    for j, recipient in own:
                        total[i, j] += 1 - recipient.loss_after(donor.gradient, chosen.lr) / recipient.loss
                        count[i, j] += 1
    return [
        total / count.clamp_min(1) if _learn(view, place) else _equal(view, place)
        for place, total, count in zip(places, sums, counts, strict=True)
    ]


def _learn(view: View, place: Place) -> bool:
    """Whether the copies have weights that learn."""
    return any(map(_weights, _modules(view, place)))


def _equal(view: View, place: Place) -> Tensor:
    """1 for two copies whose weights are the same bits, and 0 for others."""
    weights = [list(module.parameters()) for module in _modules(view, place)]
    same = [[float(all(map(torch.equal, one, other))) for other in weights] for one in weights]
    return torch.tensor(same, dtype=torch.float64)


def _modules(view: View, place: Place) -> list[nn.Module]:
    return [view.model.get_submodule(Copy(value.layer, value.tasks).name) for value in place]


def _weights(module: nn.Module) -> dict[str, nn.Parameter]:
    """What a step may move."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


@attrs.frozen(eq=False)
class _Step:
    """A copy in a batch: its loss, and the gradient of that by the names of the weights in its module."""

    way: Beyond
    part: Seen
    loss: float
    gradient: Mapping[str, Tensor]

    @classmethod
    def of(cls, way: Beyond, part: Seen) -> _Step | None:
        """None where the copy has no weights, or its loss no label or nothing left."""
        weights = _weights(way.module)
        if not weights:
            return None
        with torch.enable_grad():
            loss = way.loss(way.module(*way.read(part)), part)
            if loss is None or not float(loss.detach()):
                return None
            found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        gradient = {name: each for name, each in zip(weights, found, strict=True) if each is not None}
        way.require_finite([loss.detach(), *gradient.values()], "a loss or its gradient")
        return cls(way, part, float(loss.detach()), gradient)

    def loss_after(self, other: Mapping[str, Tensor], lr: float) -> float:
        """The loss after a step along the gradient of another copy."""
        weights = _weights(self.way.module)
        moved = {name: weights[name].detach() - lr * each for name, each in other.items()}
        output = functional_call(self.way.module, moved, self.way.read(self.part))
        loss = self.way.loss(output, self.part)
        assert loss is not None  # it had a label before
        self.way.require_finite([loss], "the loss after a step")
        return float(loss)
