"""Many fixes are made at once, and in proportion to them, also where some of them uncover further mistakes."""

from __future__ import annotations

import pytest

from mtsldsl.diagnostics import Source
from mtsldsl.editing.fixes import mend
from tests.timing import Measure, clocked, held_in_proportion

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


@pytest.mark.parametrize("places", [[], [0.5], [0, 0.3, 1]])
def test_twice_as_many_fixes_take_twice_the_time(places: list[float]) -> None:
    def fixing(count: int) -> Measure:
        source = Source("t.mtl", text(count, [int(place * (count - 1)) for place in places]))
        assert len(mend(source, pedantic=True).fixed) == count + len(places)
        return clocked(lambda: mend(source, pedantic=True))

    held_in_proportion(fixing, 160)
