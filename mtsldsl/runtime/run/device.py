"""Where a run computes."""

from __future__ import annotations

import torch

from mtsldsl.diagnostics import MtlError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes cuda, then mps, then cpu. Raises MtlError MTL802 where it is not there."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind = name.partition(":")[0]
    if kind not in available:
        raise MtlError.of("MTL802", f"`{name}` is not a device", f"choose one of {', '.join(DEVICES)}")
    if not available[kind]:
        there = ", ".join(sorted(known for known, is_there in available.items() if is_there))
        raise MtlError.of("MTL802", f"this machine has no `{kind}` that torch can use", f"use --device {there} or auto")
    return torch.device(name)
