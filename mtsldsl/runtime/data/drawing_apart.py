"""What code that is not ours draws from the random numbers of the process, from a seed of its own, and put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def drawing_apart() -> Iterator[None]:
    """What is drawn inside, from the random numbers of Python, numpy or torch on the host, changes nothing outside."""
    own, numpys, torchs = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)
        torch.set_rng_state(torchs)


def draw_from(seed: int) -> None:
    """Let these random numbers begin with a seed of 63 bits, of which numpy takes 32."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFF_FFFF)
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would seed devices too
