"""What is said where there is not enough memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec

_OF_THE_HOST = "can't allocate memory"
"""What torch's allocator says on the CPU, by a RuntimeError of no class of its own."""


@contextmanager
def within_memory(spec: Spec) -> Iterator[None]:
    """While open, torch and NumPy asking for more memory than there is raises MtlError MTL812, with the layer or head
    where it was, if it was in one."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not known and _OF_THE_HOST not in str(error):
            raise
        where = "".join(f"; at {note}" for note in getattr(error, "__notes__", ()))
        what = " and ".join(str(data.batch) for data in spec.blocks)
        cause = f"there is not enough memory to train this network with batches of {what} samples{where}"
        remedy = (
            "take a smaller `batch`, with `accumulate` in `train` for a step of as many samples, or a smaller network"
        )
        raise MtlError.of("MTL812", cause, remedy, spec.data.span) from error
