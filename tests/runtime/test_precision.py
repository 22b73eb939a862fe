"""bf16 on a processor that has not the arithmetic for it is said; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtsldsl.runtime.learning.precision import remark_on

CPU = torch.device("cpu")
INFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not INFO.is_file(), reason="the processor cannot be asked by another way here")
def test_bf16_is_remarked_on_where_the_processor_lacks_it() -> None:
    flags = set(INFO.read_text(encoding="utf-8").replace("\t", " ").split())
    has_it = bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    remark = remark_on("bf16", CPU)
    assert (remark is None) == has_it
    assert remark is None or "5 times" in remark


def test_other_precisions_and_devices_are_not() -> None:
    assert remark_on("fp32", CPU) is None
    assert remark_on("bf16", torch.device("cuda")) is None
