"""Putting channels into another order: in the weights and buffers of a network, in the state of its optimizer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mtsldsl.runtime.network.channels import Reordering


@torch.no_grad()
def reorder(model: nn.Module, order: Reordering) -> None:
    """Reorder tensors of the network in place."""
    tensors = model.state_dict()
    for name, dims in order.items():
        tensors[name].copy_(reordered(tensors[name], dims))


@torch.no_grad()
def reorder_optimizer_state(optimizer: Optimizer, parameters: Mapping[str, nn.Parameter], order: Reordering) -> None:
    """Reorder what an optimizer keeps for each element of a parameter, such as moments."""
    for name, dims in order.items():
        if name not in parameters:  # a buffer
            continue
        for value in optimizer.state.get(parameters[name], {}).values():
            if isinstance(value, Tensor) and value.shape == parameters[name].shape:
                value.copy_(reordered(value, dims))


def reordered(tensor: Tensor, dims: Mapping[int, Tensor]) -> Tensor:
    """A tensor with its dimensions in other orders."""
    for dim, places in dims.items():
        tensor = tensor.index_select(dim, places.to(tensor.device))
    return tensor


def inverse(order: Reordering) -> Reordering:
    """What takes a reordering back."""
    return {name: {dim: places.argsort() for dim, places in dims.items()} for name, dims in order.items()}


def one_after_the_other(first: Reordering, then: Reordering) -> Reordering:
    """What two reorderings come to."""
    found = {name: dict(dims) for name, dims in first.items()}
    for name, dims in then.items():
        known = found.setdefault(name, {})
        for dim, places in dims.items():
            known[dim] = known[dim][places] if dim in known else places
    return found
