"""Half of the bits on a processor that has not the arithmetic for them is said; nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mtsldsl.runtime.learning.precision import remark_on
from tests import prepared

CPU = torch.device("cpu")
INFO = Path("/proc/cpuinfo")
SPEC = """\
mtl 1

data scenes {
  input  = image(3, 16, 16)
  images = 16
  batch  = 4
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

backbone {
  stem = conv2d(4, 3) | relu
}

train {
  epochs = 1
}
"""

asked = pytest.mark.skipif(not INFO.is_file(), reason="the processor cannot be asked by another way here")


def has(precision: str) -> bool:
    flags = set(INFO.read_text(encoding="utf-8").replace("\t", " ").split())
    return bool(flags & {f"avx512_{precision}", f"amx_{precision}", precision})


@asked
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_it_is_remarked_on_where_the_processor_lacks_it(precision: str) -> None:
    remark = remark_on(precision, CPU)
    assert (remark is None) == has(precision)
    assert remark is None or f"`precision = {precision}`" in remark


@asked
@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("display", [(), ("--quiet",)], ids=["plain", "quiet"])
def test_a_run_begins_with_that_warning_and_records_it(
    precision: str, display: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "net.mtl").write_text(SPEC, encoding="utf-8")
    words = ("train", "net.mtl", "--device", "cpu", "--set", f"train.precision={precision}", *display)
    done = prepared.run("-m", "mtsldsl", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "runs" / "net" / "1" / "events.jsonl").read_text(encoding="utf-8")
    said = [event["text"] for event in map(json.loads, log.splitlines()) if event.get("about") == "precision"]
    remark = remark_on(precision, CPU)
    assert said == ([] if precision == "fp32" or has(precision) else [remark])
    assert [line for line in done.stderr.splitlines() if "such arithmetic" in line] == [
        f"warning: {text}" for text in said
    ]


def test_other_precisions_and_devices_are_not() -> None:
    assert remark_on("fp32", CPU) is None
    assert remark_on("bf16", torch.device("cuda")) is None
