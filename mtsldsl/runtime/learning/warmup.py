"""The first steps of a run, whose learning rate rises to what it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.optim import Optimizer


def warmth(step: int, warmup: int) -> float:
    """The part of the learning rate that a step has, counted from 1: it rises in a straight line over the `warmup`
    first steps of the run (Goyal et al., 2017)."""
    return min(1.0, step / warmup) if warmup else 1.0


@contextmanager
def warmed_up(optimizer: Optimizer, step: int, warmup: int) -> Iterator[None]:
    """While open, the optimizer has the learning rates of that step; schedules know of the whole ones alone."""
    part = warmth(step, warmup)
    whole = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] *= part
    try:
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, whole, strict=True):
            group["lr"] = rate
