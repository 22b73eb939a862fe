"""The arithmetic of the forward pass, and whether the processor has it."""

from __future__ import annotations

import torch

_WITH_BF16 = ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16")
"""What torch calls a processor's arithmetic of bfloat16."""


def remark_on(precision: str, device: torch.device) -> str | None:
    """What a person should know of a precision on a device: bf16 on a processor without it computes slower than
    fp32."""
    if precision != "bf16" or device.type != "cpu":
        return None
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else None
    if capabilities is None or any(capabilities.get(name) for name in _WITH_BF16):
        return None
    return (
        "`precision = bf16` on a processor that has no such arithmetic: a step takes some 5 times as long as with "
        "fp32; leave it out here, or compute on a GPU"
    )
