"""The mean of tensors that does not depend on their order: of members' weights, buffers and optimizer state."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mean(values: Sequence[Tensor], counts: Sequence[int] | None = None) -> Tensor:
    """The mean of tensors of one shape and type, weighted by `counts`; the same whatever the order of `values`.

    Summed in double precision as differences from the least value, smallest first, so that equal values give
    themselves bit for bit and a permutation changes nothing. Integers and booleans, which have no mean, give the
    largest.
    """
    stack = torch.stack([value.detach() for value in values])
    if not stack.is_floating_point():
        return stack.amax(0)
    exact = widened(stack)
    least = exact.amin(0)
    weights = exact.new_tensor([1] * len(values) if counts is None else counts)
    parts = (exact - least) * weights.reshape(-1, *[1] * least.ndim)
    return (least + parts.sort(0).values.sum(0) / weights.sum()).to(stack)


def widened(value: Tensor) -> Tensor:
    """The tensor in double precision, on the CPU where its device (mps) has none."""
    return (value.cpu() if value.device.type == "mps" else value).double()
