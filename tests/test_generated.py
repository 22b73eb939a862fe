"""What is committed under generated/ is what the compiler writes for specs/ today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mtsldsl.codegen import compile_spec
from mtsldsl.editing import load

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.mtl"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_generated_code_of_a_spec_is_fresh(path: Path) -> None:
    files = compile_spec(load(path.relative_to(ROOT)))
    folder = ROOT / "generated" / path.stem
    stale = [name for name, text in files.items() if (folder / name).read_text(encoding="utf-8") != text]
    assert stale == [], f"repair it with: mtsldsl compile {path.relative_to(ROOT)}"


def test_nothing_is_generated_without_a_spec() -> None:
    generated = {path.name for path in (ROOT / "generated").iterdir() if path.is_dir()}
    assert generated == {path.stem for path in SPECS}


def test_generated_code_is_typed_strictly() -> None:
    models = [str(ROOT / "generated" / path.stem / "model.py") for path in SPECS]
    command = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", *models]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
