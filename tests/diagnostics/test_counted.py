"""Numbers of things, in words."""

from __future__ import annotations

import pytest

from mtsldsl.diagnostics.counted import counted


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 files are"), (1, "1 file is"), (2, "2 files are"), (1024, "1,024 files are")]
)
def test_one_of_a_thing_is_said_as_one(count: int, said: str) -> None:
    assert counted(count, "file is", "files are") == said
    assert counted(count, "file") == said.rpartition(" ")[0]
