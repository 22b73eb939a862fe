"""How many threads compute on the CPU, and how they wait. Nothing here loads torch before it is asked to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from mtsldsl.ir import Spec

MOST = 1024
"""The largest number that may be given: systems refuse to start many more."""

FLOPS_A_THREAD = 10**9
"""Floating-point operations of a training step that are worth a thread of their own: with less for each, handing the
work out takes longer than doing it (below half of this, two threads were slower than one)."""

_SET_BY_THE_PERSON = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def wait_passively() -> None:
    """Let threads that have nothing to do sleep. By default they spin, which takes the cores from all other work.

    Has an effect before torch is loaded alone, as OpenMP reads its settings then. What the person has set stays: the
    policy itself, and GOMP_SPINCOUNT (GNU) and KMP_BLOCKTIME (LLVM, Intel), which come before it in their libraries.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def use_threads(given: int | None, spec: Spec, device: torch.device, events: Path | None = None) -> None:
    """Let torch compute with as many threads as are given; else with those of the environment (OMP_NUM_THREADS or
    MKL_NUM_THREADS); else, on the CPU, with as many as the run of these events began with, so that its numbers stay
    the same; else with as many as help for the network's size, `helpful`.

    Of the last two never with more than there are cores for each of the processes that train together on a machine.
    """
    import torch

    if given is not None:
        torch.set_num_threads(given)
    elif device.type == "cpu" and not any(os.environ.get(name) for name in _SET_BY_THE_PERSON):
        most = max(1, _cores() // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))
        torch.set_num_threads(min(most, _begun_with(events) or helpful(spec)))


def _begun_with(events: Path | None) -> int | None:
    """The threads that the run of these events began with."""
    if events is None:
        return None
    from mtsldsl.runtime.run.record_file import started

    start = started(events)
    return start.threads if start else None


def helpful(spec: Spec) -> int:
    """One thread for every `FLOPS_A_THREAD` of a training step: the forward pass over a batch, and twice as much again
    for the gradients."""
    return max(1, 3 * spec.cost().flops * max(data.batch for data in spec.blocks) // FLOPS_A_THREAD)


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
