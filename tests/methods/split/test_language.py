"""What is wrong or doubtful in the block, what contradicts a line of `history`, and which of two lines stays."""

from __future__ import annotations

import pytest

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import loads
from mtsldsl.editing.checking import check
from tests.compare.merging import merge
from tests.methods.split.test_runs import TEXT

SOUND = TEXT.replace("threshold = 1", "threshold = 0")


def warnings(text: str) -> list[str]:
    return [each.code for each in check(Source("s.mtl", text), pedantic=True).diagnostics]


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("", "", []),
        ("threshold = 0", "threshold = 1", ["MTL933"]),
        ("threshold = 0", "threshold = -1", ["MTL933"]),
        ("[1, 2]", "[1, 3]", ["MTL932"]),
        ("patience  = 1", "patience  = 2", ["MTL931"]),
        (
            "stem = all\n  pool = all\n  last = depth + edge, segment",
            "stem = depth, edge, segment",
            ["MTL921", "MTL931"],
        ),
        ("[1, 2]", "[1, 4]", ["MTL501"]),
        ("[1, 2]", "[2, 1]", ["MTL503"]),
        ("patience  = 1", "budget = 1.5", ["MTL202"]),
    ],
)
def test_what_is_doubtful_or_wrong_is_said(old: str, new: str, codes: list[str]) -> None:
    assert sorted(warnings(SOUND.replace(old, new))) == codes


@pytest.mark.parametrize(
    ("line", "contradicted"),
    [
        ("split(epoch=1, layer=last, tasks=segment, cosine=-0.1)", False),
        ("split(epoch=1, layer=last, tasks=depth + edge, cosine=-0.1)", False),
        ("split(epoch=1, layer=last, tasks=edge, cosine=-0.1)", True),
        ("split(epoch=1, layer=stem, tasks=segment, cosine=-0.1)", True),
    ],
)
def test_tasks_that_left_each_other_are_apart(line: str, contradicted: bool) -> None:
    found = warnings(f"{SOUND}\nhistory {{\n  {line}\n}}\n")
    assert found == (["MTL922"] if contradicted else [])


def test_of_two_sides_that_split_the_same_the_stronger_conflict_stays() -> None:
    line = "\nhistory {{\n  split(epoch=1, layer=last, tasks=segment, cosine={})\n}}\n"
    ours, theirs = (SOUND + line.format(cosine) for cosine in (-0.1, -0.3))
    for pair in ((ours, theirs), (theirs, ours)):
        merged = loads(merge(SOUND, *pair).source.text)
        assert [decision.fields["cosine"] for decision in merged.history] == [-0.3]


def test_layers_of_alternatives_are_refused() -> None:
    with pytest.raises(MtlError) as raised:
        loads(
            SOUND.replace("pool = max_pool2d(2)", "pool = parallel(a=max_pool2d(2), b=avg_pool2d(2))").replace(
                "  pool = all\n", ""
            )
        )
    assert "MTL505" in {each.code for each in raised.value.diagnostics}
