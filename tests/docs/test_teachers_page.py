"""The runs that docs/teachers.md shows say what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import prepared
from tests.docs.pages import DOCS, examples
from tests.docs.test_language import transcript

PAGE = DOCS / "teachers.md"
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.mark.soak
def test_the_runs_of_the_page_say_what_it_shows(tmp_path: Path) -> None:
    (spec,) = [each for each in examples(PAGE, "mtl") if each.file]
    (tmp_path / str(spec.file)).write_text(spec.text, encoding="utf-8")
    said = ""
    for example in examples(PAGE, "console"):
        for words, _ in transcript(example):
            done = prepared.run("-m", *words, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            said = done.stdout
    masked = [re.sub(r" +", " ", NUMBER.sub("#", line)) for line in said.splitlines()]
    shown = next(each.text for each in examples(PAGE, "text")).splitlines()
    assert len(shown) == 3
    assert {re.sub(r" +", " ", NUMBER.sub("#", line)) for line in shown} <= set(masked)
    assert shown[0] in said.splitlines()
