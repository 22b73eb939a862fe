"""Numbers and real data that are given beside the project; a test that needs them skips with a reason where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

GIVEN = Path(__file__).resolve().parents[2] / "shared"
CONFORMANCE = GIVEN / "conformance"
DATA = GIVEN / "data"

needs_conformance = pytest.mark.skipif(
    not CONFORMANCE.is_dir(), reason="the conformance numbers are not beside the project"
)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not beside the project")
