from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.differing import AFTER, BEFORE


@pytest.fixture
def before(tmp_path: Path) -> Path:
    path = tmp_path / "before.mtl"
    path.write_text(BEFORE, encoding="utf-8")
    return path


@pytest.fixture
def after(tmp_path: Path) -> Path:
    path = tmp_path / "after.mtl"
    path.write_text(AFTER, encoding="utf-8")
    return path
