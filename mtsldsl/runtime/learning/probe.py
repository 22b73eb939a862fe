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

Gains: TypeAlias = Mapping[tuple[str, str], float]
"""For a donor and a recipient, which may be one task, by which part the recipient's loss falls; below 0 it rises."""


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
    run: Callable[[], Mapping[str, Tensor]]
    """The step's forward pass, once more."""

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

    def _shared(self) -> dict[str, nn.Parameter]:
        """The parameters that several tasks share, by their names in the network."""
        names = [copy.name for copy in copies(self.spec) if len(copy.component) > 1]
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

    def losses_at(self, moved: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The losses of the batch with some parameters, by name, in other places: what the step would compute there."""
        now = random_state(self.inputs.device)
        try:
            return self._losses_with(moved)
        finally:
            set_random_state(now, self.inputs.device)

    @torch.no_grad()
    def _losses_with(self, moved: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The losses of the batch with some weights in other places, with the random numbers of the step."""
        set_random_state(self.random, self.inputs.device)
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        state = {f"model.{name}": tensor for name, tensor in {**buffers, **moved}.items()}
        with autocast(self.spec.train.precision, self.inputs.device):
            outputs = functional_call(_Again(self.model, self.run), state, ())
        return self.losses_of(outputs)


class _Again(nn.Module):
    """A forward pass of a network, as a module whose parameters are the network's."""

    def __init__(self, model: nn.Module, run: Callable[[], Mapping[str, Tensor]]) -> None:
        super().__init__()
        self.model = model
        self.forward = run
