"""Many fixes are made at once, and quickly, also where some of them uncover further mistakes."""

from __future__ import annotations

import time

import pytest

from mtsldsl.diagnostics import Source
from mtsldsl.spec.fixes import mend

TEXT = """mtl 1
data arrays {{
  path  = "x.npz"
  input = image(4, 8, 8)
}}
task depth {{
  target = values(4)
  head   = relu
}}
backbone {{
{layers}
}}
train {{
  epochs = 2
}}
"""
UNCOVERING = "  small{0} = resiz(4, 4)\n  one{0} = concat(small{0}, image)\n  two{0} = concat(small{0}, image)"
"""What is known by its right name brings two further mistakes to light."""


def text(count: int, places: list[int]) -> str:
    lines = [f"  l{number} = rellu" for number in range(count)]
    for number in sorted(places, reverse=True):
        lines.insert(number, UNCOVERING.format(number))
    return TEXT.format(layers="\n".join(lines))


@pytest.mark.parametrize("pedantic", [False, True])
@pytest.mark.parametrize("places", [[], [0], [7], [30], [3, 4, 29], [0, 10, 20, 30]])
def test_all_fixes_are_made_where_some_uncover_further_mistakes(places: list[int], pedantic: bool) -> None:
    before = text(30, places)
    mended = mend(Source("t.mtl", before), pedantic=pedantic)
    assert mended.report.source.text == before.replace("rellu", "relu").replace("resiz(", "resize(")
    wrong = [number for number, line in enumerate(before.split("\n"), start=1) if "rellu" in line or "resiz(" in line]
    assert [found.span.line for found in mended.fixed if found.span] == wrong
    assert {found.code for found in mended.report.errors} == ({"MTL302"} if places else set())


@pytest.mark.parametrize("places", [[], [150], [0, 100, 299]])
def test_hundreds_of_fixes_are_made_within_a_second(places: list[int]) -> None:
    mend(Source("t.mtl", text(3, [])))
    start = time.process_time()
    mended = mend(Source("t.mtl", text(300, places)), pedantic=True)
    assert time.process_time() - start < 1
    assert len(mended.fixed) == 300 + len(places)
