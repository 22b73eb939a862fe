from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError, Source, Span
from mtsldsl.syntax import parse, tree
from tests.laws import law
from tests.syntax.trees import files

VALUES = tuple({*get_args(tree.Value)} - {tree.Name})


def read(text: str) -> tree.File:
    return parse(Source("t.mtl", text))


def value(text: str) -> tree.Value:
    (definition,) = read(f"let x = {text}").statements
    assert isinstance(definition, tree.Definition)
    return definition.value


def entry(text: str) -> tree.Entry:
    (section,) = read(f"a {{\n{text}\n}}").statements
    assert isinstance(section, tree.Section)
    (item,) = section.items
    assert isinstance(item, tree.Entry)
    return item


def spelled(node: Any) -> str:
    """A value in prefix notation, so that grouping shows."""
    match node:
        case tree.Name(text):
            return text
        case tree.Number(number):
            return str(number)
        case tree.Group(inner):
            return f"<{spelled(inner)}>"
        case tree.Pipeline(parts):
            return f"(| {' '.join(map(spelled, parts))})"
        case tree.Sum(parts):
            return f"(+ {' '.join(map(spelled, parts))})"
        case tree.Product(left, right):
            return f"(* {spelled(left)} {spelled(right)})"
    raise AssertionError(node)


@law(80)
@given(files())
def test_a_text_reads_as_the_tree_that_it_was_printed_from(pair: tuple[tuple[Any, ...], str]) -> None:
    statements, text = pair
    assert read(text).statements == statements


@law(40)
@given(files())
def test_every_span_covers_exactly_its_node(pair: tuple[tuple[Any, ...], str]) -> None:
    _, text = pair
    statements = read(text).statements
    found = nodes(statements)
    names = [node for node in found if isinstance(node, tree.Name)]
    values = [node for node in found if isinstance(node, VALUES)]
    assume(values)
    assert [node.span.text for node in names] == [node.text for node in names]
    for node in values:
        (block,) = read(f"a {{ b = {node.span.text}\n}}").statements
        assert isinstance(block, tree.Section)
        (entry,) = block.items
        assert isinstance(entry, tree.Entry)
        again = entry.value
        assert again == node
        assert again.span.text == node.span.text
    for statement in statements:
        assert read(statement.span.text).statements == (statement,)


def nodes(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [node for item in value for node in nodes(item)]
    if not attrs.has(type(value)) or isinstance(value, Span):
        return []
    inner = [getattr(value, field.name) for field in attrs.fields(type(value)) if field.name not in ("span", "body")]
    return [value, *(node for item in inner for node in nodes(item))]


@settings(max_examples=40, deadline=None)
@given(files())
def test_comments_are_covered_exactly_and_in_order(pair: tuple[tuple[Any, ...], str]) -> None:
    _, text = pair
    comments = read(text).comments
    starts = [comment.span.start for comment in comments]
    assert starts == sorted(set(starts))
    for comment in comments:
        assert comment.span.text == comment.text
        assert comment.text.startswith("#")
        assert text[comment.span.end : comment.span.end + 2] in ("", "\r\n") or text[comment.span.end] == "\n"


TOKENS = [
    "a", "b = ", "task", "mtl 1", "true", "3", "1e-4", '"s"', '"s', "(", ")", "[", "]", "{", "}", "|", "+", "*", ",", ":",
    "=", "..", "\n", "\n", "\r\n", " ", "  ", "# c\n", ";", "é", "\x00", "-", "\\",
]  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=40).map("".join) | st.text(max_size=40))
def test_any_text_gives_a_tree_or_mistakes_with_places(text: str) -> None:
    problem = None
    try:
        read(text)
    except MtlError as error:
        problem = error
    assume(problem is not None)
    assert problem is not None
    assert problem.diagnostics
    assert str(problem)
    for diagnostic in problem.diagnostics:
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a | b * 2 | c", "(| a (* b 2) c)"),
        ("a + b * 2 | c", "(| (+ a (* b 2)) c)"),
        ("a * 2 * 3", "(* (* a 2) 3)"),
        ("(a | b) * 2", "(* <(| a b)> 2)"),
        ("a + (b) + c", "(+ a <b> c)"),
    ],
)
def test_operators_bind_in_the_documented_order(text: str, meaning: str) -> None:
    assert spelled(value(text)) == meaning


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("-3", -3), ("0.5", 0.5), ("1e-4", 1e-4), ("-2.5E+3", -2500.0), ("007", 7), ("1e3", 1000.0)],
)
def test_numbers_keep_their_kind(text: str, number: float) -> None:
    read_back = value(text)
    assert isinstance(read_back, tree.Number)
    assert read_back.value == number
    assert type(read_back.value) is type(number)


def test_strings_resolve_their_escapes() -> None:
    assert value(r'"a\"b\\\n\t\r\u00e9 # no comment"').value == 'a"b\\\n\t\ré # no comment'  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "let x = a\n  | b",
        "let x = a |\n  b",
        "let x = a # why\n  # and why\n\n  | b",
        "let x =\n  a | b",
        "let x = a\r\n\t| b\r\n",
        "\ufefflet x = a | b",
    ],
)
def test_a_pipeline_goes_on_before_and_after_its_bars(text: str) -> None:
    assert spelled(read(text).statements[0].value) == "(| a b)"  # type: ignore[union-attr]


def test_line_ends_inside_brackets_end_nothing() -> None:
    assert value("f(\n  a=1,\n\n  b=[\n 2,\n 3 # three\n ],\n)") == value("f(a=1, b=[2, 3])")


def test_a_range_of_layers_has_its_last_layer() -> None:
    item = entry("stem..enc4 = all")
    assert (item.key.text, item.last and item.last.text) == ("stem", "enc4")


def test_components_go_on_after_a_comma() -> None:
    assert entry("a = b + c,\n   d").value == entry("a = b + c, d").value


def test_one_component_without_label_is_a_plain_value() -> None:
    assert entry("a = b + c").value == value("b + c")


def test_a_labelled_component_keeps_its_label() -> None:
    components = entry("mix = conv3: a + b, skip: c").value
    assert isinstance(components, tree.Components)
    assert [component.label and component.label.text for component in components.items] == ["conv3", "skip"]


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "\r\n\r\n", "\ufeff"])
def test_a_text_without_statements_is_an_empty_file(text: str) -> None:
    assert read(text).statements == ()


def test_the_body_of_a_section_lies_between_its_braces() -> None:
    (section,) = read("a b {\n  c = 1\n}").statements
    assert isinstance(section, tree.Section)
    assert section.body.text == "\n  c = 1\n"


def test_a_deep_but_legal_text_is_read() -> None:
    assert isinstance(value("(" * 60 + "1" + ")" * 60), tree.Group)


def test_importing_the_room_loads_no_parser_library() -> None:
    program = "import sys, mtsldsl.syntax; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
