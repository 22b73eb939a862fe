"""The random numbers that a forward pass on a device draws from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def random_state(device: torch.device) -> Tensor:
    """Where they are."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Go on from there."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


@contextmanager
def drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """What is drawn inside begins with a seed of 63 bits, and changes nothing outside."""
    before = random_state(device)
    set_random_state(torch.Generator(device).manual_seed(seed).get_state(), device)
    try:
        yield
    finally:
        set_random_state(before, device)
