from __future__ import annotations

import pytest

from mtsldsl.diagnostics import Source
from mtsldsl.syntax import parse
from mtsldsl.syntax.attachment import attached


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let a = 1  # c", "let a = 1"),
        ("let a = f(  # c\n  1\n)", "let a = f(  # c\n  1\n)"),
        ("let a = f(\n  # c\n  1\n)", "let a = f(\n  # c\n  1\n)"),
        ("let a = 1 |\n  # c\n  b", "let a = 1 |\n  # c\n  b"),
        ("let a = f(\n  1\n)  # c", "let a = f(\n  1\n)"),
        ("let a = 1\n# c", None),
        ("# c\nlet a = 1", None),
        ("a b {  # c\n  d = 1\n}", "a b {"),
        ("a [b,  # c\n  d] {\n}", "a [b,  # c\n  d] {"),
        ("a {\n  # c\n}", None),
        ("a {\n  d = 1  # c\n}", "d = 1"),
        ("a {\n  d = 1 }  # c", "a {\n  d = 1 }"),
        ("a {\n  d = 1\n}  # c", "a {\n  d = 1\n}"),
        ("a { d = 1  # c\n}", "d = 1"),
        ("a {}\t # c", "a {}"),
        ("a {\n}\n# c", None),
        ("mtl 1  # c\nlet a = 1", "mtl 1"),
        ('import "a.mtl"  # c', 'import "a.mtl"'),
    ],
)
def test_a_comment_belongs_to_what_it_stands_in_or_behind(text: str, expected: str | None) -> None:
    (found,) = attached(parse(Source("t.mtl", text)))
    assert (None if found is None else found.text) == expected
