"""A loss whose gradients have been taken already, so that what it was computed from need not be kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class _Known(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (factor,) = gradients
        return (None, None, *(each * factor for each in ctx.gradients))


def gradients_of(loss: Tensor, module: nn.Module) -> list[tuple[nn.Parameter, Tensor]]:
    """The gradient of a scalar by each parameter of a module that it depends on; the graph is given up."""
    parameters = [each for each in module.parameters() if each.requires_grad]
    if not loss.requires_grad or not parameters:
        return []
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [(each, gradient) for each, gradient in zip(parameters, found, strict=True) if gradient is not None]


def with_gradients(value: Tensor, known: Sequence[tuple[nn.Parameter, Tensor]]) -> Tensor:
    """The scalar as a loss whose gradients by these parameters are known."""
    if not known:
        return value
    found: Tensor = _Known.apply(value.detach(), [each for _, each in known], *(each for each, _ in known))  # type: ignore[no-untyped-call]
    return found
