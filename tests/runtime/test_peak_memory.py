"""The most memory that a process has taken, in real processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from mtsldsl.runtime.run import peak_memory
from mtsldsl.runtime.run.peak_memory import peak_memory_mb
from tests import prepared

MEASURE = """
import torch
from mtsldsl.runtime.run.peak_memory import peak_memory_mb
measure = lambda: print(peak_memory_mb(torch.device("cpu")))
measure()
taken = bytearray(b"x") * 300_000_000
measure()
del taken
measure()
"""


def test_it_rises_by_what_is_taken_and_stays_when_that_is_given_back() -> None:
    before, during, after = map(float, prepared.run("-c", MEASURE).stdout.split())
    assert 300 <= during - before < 310
    assert after == pytest.approx(during, abs=5)  # Linux counts pages in batches


@pytest.mark.skipif(sys.platform != "linux", reason="of other systems `getrusage` is what there is")
@pytest.mark.soak
def test_what_the_process_before_took_does_not_count() -> None:
    """Which `getrusage` counts on Linux."""
    program = "from mtsldsl.runtime.run.peak_memory import _resident; print(_resident()); import resource; "
    program += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    large = bytearray(b"x") * 1_000_000_000
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    del large
    own, with_parent = map(int, done.stdout.split())
    assert 50e6 < own < 0.9e9 < with_parent


def test_without_the_file_of_linux_it_is_what_the_system_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = peak_memory_mb(torch.device("cpu"))
    monkeypatch.setattr(peak_memory, "_STATUS", peak_memory._STATUS / "nowhere")
    counted = peak_memory_mb(torch.device("cpu"))
    assert exact is not None
    assert counted is not None
    assert counted >= exact * 0.99


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_it_is_what_torch_allocated() -> None:
    device = torch.device("cuda")
    torch.cuda.reset_peak_memory_stats(device)
    taken = torch.empty(300_000_000, dtype=torch.uint8, device=device)
    found = peak_memory_mb(device)
    del taken
    assert found is not None
    assert found >= 300
