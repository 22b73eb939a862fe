"""Looking ahead in a step: what the losses would be after a step along the gradient of one task alone.

Nothing is changed by it: weights, gradients, statistics and random numbers are afterwards what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import attrs
import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.random_state import random_state, set_random_state
from mtsldsl.runtime.learning.step import Position
from mtsldsl.sharing import Copy

Gains: TypeAlias = Mapping[tuple[str, str], float]
"""For a donor and a recipient, which may be one task, by which part the recipient's loss falls; below 0 it rises."""


@attrs.frozen(eq=False)
class Cosines:
    """The cosines (tasks, tasks) of the gradients of some tasks on the parameters of one copy of a layer; NaN where a
    gradient is 0."""

    tasks: tuple[str, ...]
    values: Tensor


@attrs.frozen(eq=False)
class Probe:
    """A step in training, whose losses have a graph still. `rate` is the learning rate by which it is looked ahead,
    `random` the random state before its forward pass."""

    spec: Spec
    model: nn.Module
    inputs: Tensor
    tasks: tuple[str, ...]
    """Those that the step computes."""
    losses: Mapping[str, Tensor]
    """Of those that have a label in the batch, and are not 0."""
    losses_of: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
    """The same of other outputs."""
    rate: float
    random: Tensor
    position: Position

    def gains(self) -> Gains:
        """1 - L_j(θ - η ∇L_i) / L_j(θ) for the batch, with θ the weights that several tasks share (Fifty et al., 2021,
        eq. 1): what one task has of its own, its head above all, stays where it is."""
        shared, gradients = self._shared(), self._gradients()
        found = {}
        now = random_state(self.inputs.device)
        try:
            for donor, of_donor in gradients.items():
                moved = {
                    name: parameter.detach() - self.rate * gradient
                    for (name, parameter), gradient in zip(shared.items(), of_donor, strict=True)
                    if gradient is not None
                }
                after = self._losses_with(moved)
                for recipient, before in self.losses.items():
                    found[donor, recipient] = 1 - float(after[recipient]) / float(before.detach())
        finally:
            set_random_state(now, self.inputs.device)
        return found

    def first_order(self) -> Gains:
        """η <∇L_i, ∇L_j> / L_j over the weights that both use: what `gains` comes to for a small rate."""
        gradients = self._gradients()
        found = {}
        for donor, of_donor in gradients.items():
            for recipient, of_recipient in gradients.items():
                both = zip(of_donor, of_recipient, strict=True)
                products = [(a.double() * b.double()).sum() for a, b in both if a is not None and b is not None]
                inner = float(sum(products)) if products else 0.0
                found[donor, recipient] = self.rate * inner / float(self.losses[recipient].detach())
        return found

    def cosines(self) -> dict[Copy, Cosines]:
        """<∇L_i, ∇L_j> / (|∇L_i| |∇L_j|) on the parameters of each copy of a layer that several tasks share, of all of
        them together, in double precision."""
        gradients = self._gradients()
        names = list(self._shared())
        found = {}
        for copy in self._shared_copies():
            own = [place for place, name in enumerate(names) if copy.holds(name)]
            tasks = tuple(task for task in gradients if task in copy.component)
            if own and len(tasks) > 1:
                found[copy] = Cosines(tasks, _cosines([[gradients[task][place] for place in own] for task in tasks]))
        return found

    def _shared_copies(self) -> list[Copy]:
        return [copy for copy in copies(self.spec) if len(copy.component) > 1]

    def _shared(self) -> dict[str, nn.Parameter]:
        """The parameters that several tasks share, by their names in the network."""
        names = [copy.name for copy in self._shared_copies()]
        return {
            f"{name}.{each}": parameter
            for name in names
            for each, parameter in self.model.get_submodule(name).named_parameters()
            if parameter.requires_grad
        }

    def _gradients(self) -> dict[str, Sequence[Tensor | None]]:
        """Of each loss, on the shared parameters; None where it does not depend on one."""
        shared = list(self._shared().values())
        if not shared:
            return dict.fromkeys(self.losses, ())
        return {
            task: torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
            for task, loss in self.losses.items()
        }

    @torch.no_grad()
    def _losses_with(self, moved: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The losses of the batch with some weights in other places, with the random numbers of the step."""
        set_random_state(self.random, self.inputs.device)
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        every = len(self.tasks) == len(self.spec.tasks)
        given = (self.inputs,) if every else (self.inputs, self.tasks)
        with autocast(self.spec.train.precision, self.inputs.device):
            outputs = functional_call(self.model, {**buffers, **moved}, given)
        return self.losses_of(outputs)


def _cosines(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Of the rows, each a vector in pieces: a piece that is None is 0."""
    products = []
    for pieces in zip(*gradients, strict=True):
        some = next((piece for piece in pieces if piece is not None), None)
        if some is not None:
            flat = torch.stack([torch.zeros_like(some) if piece is None else piece for piece in pieces]).flatten(1)
            products.append(flat.double() @ flat.double().T)
    if not products:
        return torch.full((len(gradients), len(gradients)), torch.nan, dtype=torch.float64)
    gram = torch.stack(products).sum(0)
    norms = gram.diagonal().sqrt()
    return gram / norms.outer(norms)
