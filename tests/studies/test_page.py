"""The study that docs/baselines.md shows comes to what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, examples
from tests.docs.test_language import transcript

PAGE = DOCS / "baselines.md"
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")
CPU_SECONDS = 4
"""The column that is another one each time."""


def without_time(text: str) -> str:
    """The text without that column, and without what depends on its width."""
    lines = [line.split("|") for line in text.splitlines()]
    kept = [
        "|".join(cells[:CPU_SECONDS] + cells[CPU_SECONDS + 1 :]) if len(cells) > 9 else "|".join(cells)
        for cells in lines
    ]
    return re.sub(r"[ -]+", " ", "\n".join(kept))


@pytest.mark.soak
def test_the_study_of_the_page_comes_to_what_it_shows(tmp_path: Path) -> None:
    """Numbers may differ in the last digits on another machine."""
    (spec,) = [each for each in examples(PAGE, "mtl") if each.file]
    (tmp_path / str(spec.file)).write_text(spec.text, encoding="utf-8")
    shown = [
        each for example in examples(PAGE, "console") for each in transcript(example) if "best constant" in each[1]
    ]
    ((words, text),) = shown
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=True
    )
    found, known = without_time(done.stdout), without_time(text)
    assert NUMBER.sub("#", found) == NUMBER.sub("#", known)
    numbers = [[float(each.replace(",", "")) for each in NUMBER.findall(one)] for one in (found, known)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.1)
