"""Stops a run at the first step whose losses are not finite numbers, and says where they come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.finite import anomaly_of_gates, anomaly_of_loss, find_anomaly, recorded
from mtsldsl.runtime.learning.random_state import random_state, set_random_state
from mtsldsl.runtime.learning.step import Gates
from mtsldsl.runtime.network.inputs import Inputs

SELDOM = 8
"""After how many steps a device is asked that would have to be waited for: the images of so many steps are kept."""


def asked_every(optimizer: Optimizer, device: torch.device, *, waits: bool) -> int:
    """How often a guard asks: seldom on CUDA, where that alone would wait for the device, unless the balance `waits`
    too, and where a fused optimizer can be told there to stop; else at every step."""
    fused = all(group.get("fused") for group in optimizer.param_groups)
    return SELDOM if device.type == "cuda" and fused and not waits else 1


@attrs.define
class _Step:
    """A step that is not known to be sound: what its losses were computed from."""

    number: int
    inputs: Inputs
    run: Callable[[], object]
    """Computes it once more."""
    random: Tensor
    gates: Gates
    losses: Mapping[str, Tensor] = attrs.field(factory=dict)

    def not_finite(self) -> list[str]:
        """The losses that are not finite; waits for the device."""
        return [name for name, value in self.losses.items() if not math.isfinite(value.item())]


@attrs.define
class Guard:
    """Looks at the losses of every step before it is made.

    A device that computes while the host goes on is asked once in `every` steps alone. From the first losses that are
    not finite, `stop` is 1 there, and then the optimizer, if fused, changes nothing: the network stays the one that
    computed them. Nothing that it computes is kept: the images of that step, which are, are run through it once more.
    """

    model: nn.Module
    spec: Spec
    epoch: int
    number: Callable[[], int]
    """Of the step in hand."""
    every: int
    stop: Tensor
    hint: str = ""
    _waiting: list[_Step] = attrs.field(factory=list)

    @contextmanager
    def over(self, optimizer: Optimizer) -> Iterator[None]:
        """While open, an optimizer that can be told is told to stop. At the end no step is left that was not looked
        at."""
        if self.every > 1:
            optimizer.found_inf = self.stop  # type: ignore[attr-defined]  # what torch's GradScaler sets
        try:
            yield
            self.look()
        finally:
            if self.every > 1:
                del optimizer.found_inf  # type: ignore[attr-defined]  # as above

    def begin(self, inputs: Inputs, run: Callable[[], object], gates: Gates | None = None) -> None:
        """Take note of a forward pass in training mode that `run` makes of these inputs, with these gates."""
        self._waiting.append(_Step(self.number(), inputs, run, random_state(self.stop.device), gates or {}))

    def check(self, losses: Mapping[str, Tensor]) -> None:
        """Take the losses of the step that is about to be made. Raises MtlError MTL803 where one, of this step or an
        earlier one, is not finite."""
        if not self._waiting:
            return
        found = {name: value.detach() for name, value in losses.items()}
        self._waiting[-1].losses = found
        if self.every > 1:
            finite = torch.stack(list(found.values())).isfinite().all()
            torch.maximum(self.stop, 1 - finite.float(), out=self.stop)
        if len(self._waiting) >= self.every:
            self.look()

    def look(self) -> None:
        """Look at the steps that wait. Raises MtlError MTL803 where losses of one are not finite."""
        if self.every == 1 or self.stop.item():
            for step in self._waiting:
                if wrong := step.not_finite():
                    raise self._error(step, wrong)
        self._waiting.clear()

    def _error(self, step: _Step, losses: list[str]) -> MtlError:
        found = anomaly_of_gates(self.spec, step.gates)
        found = found or find_anomaly(self.model, self.spec, step.inputs, self._repeat(step))
        found = found or anomaly_of_loss(self.spec, losses[0], repeated=True)
        what = f"in step {step.number} of epoch {self.epoch} the loss of {', '.join(losses)}"
        return found.error(what, self.hint)

    def _repeat(self, step: _Step) -> dict[str, Tensor]:
        """What the layers and heads compute, in training mode, from the images of a step and its random numbers."""
        device = self.stop.device
        set_random_state(step.random, device)
        with recorded(self.model, self.spec) as outputs, torch.no_grad(), autocast(self.spec.train.precision, device):
            step.run()
        return outputs
