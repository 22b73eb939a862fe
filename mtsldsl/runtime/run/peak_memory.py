"""How much memory a run has taken at most."""

from __future__ import annotations

import re
from pathlib import Path
from sys import platform

import torch

MEGABYTE = 10**6

_STATUS = Path("/proc/self/status")
"""Of Linux, where `getrusage` has what the process that started this one took too, if that is more."""


def peak_memory_mb(device: torch.device) -> float | None:
    """The most memory that this process has held at once since it began, in megabytes of 10^6 bytes: on CUDA what torch
    allocated of the device's, elsewhere resident memory, with code and libraries. None where the system does not tell.
    """
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident()
    return None if peak is None else round(peak / MEGABYTE, 1)


def _resident() -> int | None:
    """In bytes."""
    if _STATUS.exists():
        found = re.search(r"^VmHWM:\s*(\d+) kB$", _STATUS.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:  # Windows
        return None
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if platform == "darwin" else 1024)
