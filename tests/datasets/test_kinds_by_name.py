"""What a data kind is like it says of itself: no file outside of its folder asks which one it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtsldsl.datasets.registry import DATASETS

PACKAGE = Path(__file__).parents[2] / "mtsldsl"


def asked(text: str) -> Iterator[str]:
    """Comparisons of a `kind` with names of data kinds, and tables with several such names as keys."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and ast.unparse(node.left).rpartition(".")[2] == "kind":
            known = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)} & DATASETS.keys()
            yield from (f"{ast.unparse(node)}" for _ in sorted(known)[:1])
        elif isinstance(node, ast.Dict):
            keys = {each.value for each in node.keys if isinstance(each, ast.Constant)} & DATASETS.keys()
            if len(keys) > 1:
                yield f"a table by {', '.join(sorted(keys))}"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('data.kind == "folder"', 1),
        ('kind in ("arrays", "python")', 1),
        ('found = {"arrays": 1, "table": 2}', 1),
        ('found = {"table": 1}', 0),
        ('task.target.kind == "values"', 0),
        ('data_kind("folder")', 0),
    ],
)
def test_what_asks_is_found(text: str, count: int) -> None:
    assert len(list(asked(text))) == count


def test_nobody_asks_which_kind_of_data_it_is() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): asking
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "datasets") and (asking := list(asked(path.read_text(encoding="utf-8"))))
    }
    assert found.keys() == {"cli/new.py"}, "whose starters have such names"
