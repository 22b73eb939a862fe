"""Texts in which conflicts of a merge are still marked."""

from __future__ import annotations

from mtsldsl.diagnostics import Source
from mtsldsl.editing.checking import check
from mtsldsl.syntax.recovery import our_side
from tests.ir.specs import text

MARKED = text().replace(
    "  epochs = 4\n", "<<<<<<< HEAD\n  epochs = 5\n||||||| base\n  epochs = 4\n=======\n  epochs = 6\n>>>>>>> feature\n"
)


def test_a_conflict_is_reported_once_with_its_lines() -> None:
    first = MARKED[: MARKED.index("<<<<<<<")].count("\n") + 1
    reported = check(Source("a.mtl", MARKED)).diagnostics
    assert [(each.code, each.cause) for each in reported] == [
        ("MTL010", f"an unresolved merge conflict, lines {first} to {first + 6}")
    ]
    assert reported[0].span is not None
    assert reported[0].span.line == first


def test_every_conflict_is_reported() -> None:
    twice = MARKED.replace("  target = values(1)\n", "<<<<<<< a\n  target = values(1)\n=======\n>>>>>>> b\n")
    assert [each.code for each in check(Source("a.mtl", twice)).diagnostics] == ["MTL010", "MTL010"]


def test_markers_with_carriage_returns_are_markers() -> None:
    assert [each.code for each in check(Source("a.mtl", MARKED.replace("\n", "\r\n"))).diagnostics] == ["MTL010"]


def test_our_side_is_the_text_without_the_other() -> None:
    assert our_side(MARKED) == text().replace("epochs = 4", "epochs = 5")
    nested = "zero\n<<<<<<< a\none\n<<<<<<<<< b\ntwo\n=========\nthree\n>>>>>>>>> c\n=======\nfour\n>>>>>>> d\nfive\n"
    assert our_side(nested) == "zero\nfive\n"
    assert our_side("a = b\n=======\n") == "a = b\n=======\n"


def test_conflicts_in_conflicts_without_end_are_read_too() -> None:
    depth = 2000
    source = Source("a.mtl", "<<<<<<< a\n" * depth + "=======\n>>>>>>> b\n" * depth)
    assert "MTL010" in {each.code for each in check(source).diagnostics}
