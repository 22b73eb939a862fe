"""Gradients in fp16, made larger inside the network than they are, so that few are too small for it.

Micikevicius et al., Mixed Precision Training, ICLR 2018, arXiv 1710.03740, section 3.2; the constants are those of
torch's `GradScaler`. That multiplies the one loss that a step has. Here the gradient is multiplied as it leaves each
loss and divided as it comes to each parameter: what combines losses or gradients in between sees both as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.objectives import BatchLosses

GROWTH = 2.0
BACKOFF = 0.5
INTERVAL = 2000
"""After how many steps without an overflow the factor grows."""


class NarrowOverflowError(ArithmeticError):
    """A gradient is too large for fp16, times the factor: the step is not made."""


class _Enlarged(torch.autograd.Function):
    """A number as it is, with a gradient that is so many times as large."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def enlarged(value: Tensor, factor: float) -> Tensor:
    """The value, whose gradient is `factor` times as large below it."""
    found: Tensor = _Enlarged.apply(value, factor)  # type: ignore[no-untyped-call]  # torch gives it no types
    return found


def finite(gradients: Iterable[Tensor]) -> bool:
    """Whether all numbers of all gradients are; waits for the device."""
    found = [each.isfinite().all() for each in gradients]
    return not found or bool(torch.stack(found).all())


@attrs.define
class LossScale:
    """By what the gradients are multiplied, a power of two, so that no bit of them changes but where fp16 ends."""

    factor: float = 2.0**16
    steps: int = 0
    """Since the factor changed, all without an overflow."""
    skipped: int = 0
    """Steps of the epoch in hand that were not made."""
    under_way: bool = False

    @classmethod
    def of(cls, precision: str) -> LossScale | None:
        """None for a precision whose range is that of fp32."""
        return cls() if precision == "fp16" else None

    @contextmanager
    def over(self, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
        """While open, gradients that come to these parameters are divided by the factor."""
        handles = [
            each.register_hook(self._reduced)  # type: ignore[no-untyped-call]  # torch gives it no types
            for each in parameters
            if each.requires_grad
        ]
        self.under_way, self.skipped = True, 0
        try:
            yield
        finally:
            self.under_way = False
            for handle in handles:
                handle.remove()

    def _reduced(self, gradient: Tensor | None) -> Tensor | None:
        """None where a learner gave a copy that it did not choose no gradient."""
        return None if gradient is None else gradient / self.factor

    def losses(self, losses: BatchLosses) -> BatchLosses:
        """Losses with larger gradients below what they are made of."""
        return losses.with_sums([tuple(self.penalty(part) for part in each.sums) for each in losses.joint])

    def penalty(self, value: Tensor) -> Tensor:
        """A loss, or a sum that one is made of, with a larger gradient below it."""
        return enlarged(value, self.factor) if self.under_way and value.requires_grad else value

    def end_step(self, parameters: Sequence[nn.Parameter]) -> None:
        """Find the factor of the next step by the gradients of this one, and take them away where they overflow: what
        has no gradient, an optimizer leaves as it is. Raises MtlError MTL803 where gradients as they are do not fit
        into fp16."""
        if not self.under_way:
            return
        if finite(each.grad for each in parameters if each.grad is not None):
            self.steps += 1
            if self.steps == INTERVAL:
                self.factor, self.steps = self.factor * GROWTH, 0
            return
        for each in parameters:
            each.grad = None
        self.factor, self.steps = self.factor * BACKOFF, 0
        self.skipped += 1
        if self.factor < 1:
            cause = "the gradients of a step are not finite numbers in fp16, whose greatest number is 65504"
            raise MtlError.of("MTL803", cause, "use `precision = bf16` or `fp32`, or lower the learning rate")

    def facts(self) -> Mapping[str, Any]:
        """What a run goes on with."""
        return {"factor": self.factor, "steps": self.steps}
