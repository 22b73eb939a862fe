"""A loss whose gradients have been taken already, so that what it was computed from need not be kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Learned: TypeAlias = tuple[Tensor, Sequence[tuple[nn.Parameter, Tensor]]]
"""A scalar loss without what it was computed from, and its gradients by parameters."""


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
    found: Tensor = _Known.apply(value.detach(), [each for _, each in known], *(each for each, _ in known))  # type: ignore[no-untyped-call]  # torch gives it no types
    return found


def losses_with_gradients(known: Sequence[Learned]) -> Tensor | None:
    """The sum of the losses of networks that have nothing in common, each with its gradients; None without any."""
    if not known:
        return None
    found = [each for _, gradients in known for each in gradients]
    return with_gradients(torch.stack([loss for loss, _ in known]).sum(), found)
