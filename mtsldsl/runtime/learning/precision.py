"""The arithmetic of the forward pass, and whether the processor has it."""

from __future__ import annotations

import torch

_ARITHMETIC = {
    "bf16": ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16"),
    "fp16": ("avx512_fp16", "amx_fp16", "fp16", "arm_fp16"),
}
"""What torch calls a processor's arithmetic of half of the bits."""


def remark_on(precision: str, device: torch.device) -> str | None:
    """What a person should know of a precision on a device: a processor without it computes slower than with fp32."""
    if precision not in _ARITHMETIC or device.type != "cpu":
        return None
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else None
    if capabilities is None or any(capabilities.get(name) for name in _ARITHMETIC[precision]):
        return None
    return (
        f"`precision = {precision}` on a processor that has no such arithmetic: a step takes 5 to 15 times as long as "
        "with fp32; leave it out here, or compute on a GPU"
    )
