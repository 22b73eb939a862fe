"""Codes that only a run can raise, raised for real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_a_generated_script_older_than_its_spec_is_mtl702(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    spec = tmp_path / "specs" / "small.mtl"
    spec.write_bytes((ROOT / "specs" / "scenes.mtl").read_bytes())
    command = [sys.executable, "-m", "mtsldsl", "compile", "specs/small.mtl"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    spec.write_text(spec.read_text(encoding="utf-8").replace("epochs    = 14", "epochs    = 15"), encoding="utf-8")
    command = [sys.executable, "-m", "generated.small.train", "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MTL702" in done.stderr


def test_a_device_that_is_not_there_is_mtl802() -> None:
    from mtsldsl.diagnostics import MtlError
    from mtsldsl.runtime.device import choose_device

    with pytest.raises(MtlError, match="MTL802"):
        choose_device("abacus")
