"""Weights by which all losses fall at the same rate (Liu et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor
from torch.optim.adam import adam

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import LEAST, NO_TASK, Balance, Labelled, Losses
from mtsldsl.runtime.learning.probe import Probe
from mtsldsl.runtime.learning.step import Position


class FastAdaptive(Balance):
    """FAMO (Liu et al., 2023, algorithm 1): with z = softmax(w) over the tasks, the step is along the sum of
    c z_i ∇L_i / L_i, with c such that the factors sum to 1, here to the number of tasks. After the step the losses of
    the same batch are computed once more, and Adam moves w against the derivative of z along the falls of log L_i, so
    that the loss that fell least gets more weight. Tasks of weight 0 have no part in it.

    That is one forward pass, and the batch is kept until then. (torchjd's FAMO has one softmax for all tasks, so that
    none can be left out of a step, and its Adam is in no `state_dict`.) `logits` w, the moments and `steps` (tasks,).
    """

    joint = True

    logits: Tensor
    moments: Tensor
    squares: Tensor
    steps: Tensor

    def __init__(self, weights: Mapping[str, float], lr: float, weight_decay: float) -> None:
        super().__init__(weights)
        self._lr, self._weight_decay = lr, weight_decay
        for name in ("logits", "moments", "squares", "steps"):
            self.register_buffer(name, torch.zeros(len(weights)))
        self._last: Probe | None = None

    def observing(self, position: Position) -> bool:
        """At every step."""
        return True

    def observe(self, probe: Probe) -> None:
        """Learn from the step that is made by now, and keep the one that is about to be made."""
        self._look_back()
        self._last = attrs.evolve(probe, losses={task: loss.detach() for task, loss in probe.losses.items()})

    def catch_up(self) -> None:
        """Learn from the last step."""
        self._look_back()

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """The same."""
        self._look_back()

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The sum of the logarithms, of the tasks that have a label; waits for `labelled`."""
        present = {
            task: weight * losses[task] + LEAST
            for task, weight in self.weights.items()
            if weight and task in losses and (task not in labelled or bool(labelled[task]))
        }
        if not present:
            return super().combine(losses, labelled)
        values = torch.stack(list(present.values()))
        shares = self.logits[self._places(present)].softmax(0)
        factors = (shares / values).detach()
        factors = len(present) * factors / factors.sum()
        self.weighed = dict(zip(present, factors, strict=True))
        return (factors * values.detach() * values.log()).sum()

    def _places(self, tasks: Mapping[str, Tensor]) -> list[int]:
        return [self.tasks.index(task) for task in tasks]

    @torch.no_grad()
    def _look_back(self) -> None:
        last, self._last = self._last, None
        if last is None:
            return
        before = {task: last.losses[task] for task, weight in self.weights.items() if weight and task in last.losses}
        if not before:
            return
        after = last.losses_at({})
        fell = torch.stack([torch.log((loss + LEAST) / (after[task] + LEAST)) for task, loss in before.items()])
        fell = fell.to(self.logits)
        places = self._places(before)
        shares = self.logits[places].softmax(0)
        gradients = shares * (fell - (shares * fell).sum())
        logits, moments, squares, steps = (
            [buffer[place] for place in places] for buffer in (self.logits, self.moments, self.squares, self.steps)
        )
        adam(
            logits,
            list(gradients),
            moments,
            squares,
            [],
            steps,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self._lr,
            weight_decay=self._weight_decay,
            eps=1e-8,
            maximize=False,
        )


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return FastAdaptive(weights, *(number(balance.arguments, name) for name in ("lr", "weight_decay")))
