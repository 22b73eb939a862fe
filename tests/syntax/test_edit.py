from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.syntax import TextEdit, apply_edits, parse, tree, verify
from mtsldsl.syntax.edit import (
    append_section,
    insert_items,
    line_ending,
    remove_item,
    replace_item,
    replace_value,
)
from tests.laws import law
from tests.syntax.trees import files


def read(text: str) -> tree.File:
    return parse(Source("t.mtl", text))


def section(file: tree.File, index: int = 0) -> tree.Section:
    found = [statement for statement in file.statements if isinstance(statement, tree.Section)][index]
    assert isinstance(found, tree.Section)
    return found


def inserted(text: str, *lines: str) -> str:
    file = read(text)
    edit = insert_items(file, section(file), lines)
    verify(text, apply_edits(text, [edit]), [edit])
    return apply_edits(text, [edit])


def removed(text: str) -> str:
    file = read(text)
    edit = remove_item(file, section(file).items[0])
    verify(text, apply_edits(text, [edit]), [edit])
    return apply_edits(text, [edit])


def test_edits_are_made_at_once_whatever_their_order() -> None:
    edits = [TextEdit(4, 5, "E"), TextEdit(0, 1, "A"), TextEdit(2, 2, "x"), TextEdit(2, 2, "y")]
    assert apply_edits("abcde", edits) == "AbxycdE"


@pytest.mark.parametrize("edits", [[TextEdit(0, 3, ""), TextEdit(2, 4, "")], [TextEdit(0, 9, "")]])
def test_edits_that_overlap_or_lie_outside_are_refused(edits: list[TextEdit]) -> None:
    with pytest.raises(ValueError, match="overlaps another edit or lies outside"):
        apply_edits("abcde", edits)


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="no range"):
        TextEdit(3, 2, "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a {\n  b = 1\n}\n", "a {\n  b = 1\n  c = 2\n}\n"),
        ("a {\n\tb = 1  # one\n}\n", "a {\n\tb = 1  # one\n\tc = 2\n}\n"),
        ("a {\n  b = 1\n  # last\n\n}\n", "a {\n  b = 1\n  # last\n  c = 2\n\n}\n"),
        ("a {\r\n  b = 1\r\n}\r\n", "a {\r\n  b = 1\r\n  c = 2\r\n}\r\n"),
        ("a {}", "a {\n  c = 2\n}"),
        ("a {  # empty\n}", "a {  # empty\n  c = 2\n}"),
        ("a { b = 1 }\n", "a { b = 1\n  c = 2\n}\n"),
        ("a {\n}\n", "a {\n  c = 2\n}\n"),
        ("  a {\n  }\n", "  a {\n    c = 2\n  }\n"),
        ("a {\n    b = f(\n  1)\n}", "a {\n    b = f(\n  1)\n    c = 2\n}"),
    ],
)
def test_an_item_goes_to_the_end_of_its_section_indented_like_its_siblings(before: str, after: str) -> None:
    assert inserted(before, "c = 2") == after


def test_several_items_keep_their_order() -> None:
    assert inserted("a {\r\n}\r\n", "c = 2", "d = 3") == "a {\r\n  c = 2\r\n  d = 3\r\n}\r\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a {\n  b = 1\n  c = 2\n}\n", "a {\n  c = 2\n}\n"),
        ("a {\r\n  b = f(\r\n 1)\r\n  c = 2\r\n}\r\n", "a {\r\n  c = 2\r\n}\r\n"),
        ("a {\n  b = 1  # why\n  c = 2\n}\n", "a {\n  # why\n  c = 2\n}\n"),
        ("a { b = 1 }\n", "a {  }\n"),
    ],
)
def test_removing_an_item_removes_its_line_but_no_comment(before: str, after: str) -> None:
    assert removed(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mtl 1\n", "mtl 1\n\ns {\n  a = b\n}\n"),
        ("mtl 1\n\n", "mtl 1\n\ns {\n  a = b\n}\n"),
        ("mtl 1", "mtl 1\n\ns {\n  a = b\n}"),
        ("mtl 1\r\n", "mtl 1\r\n\r\ns {\r\n  a = b\r\n}\r\n"),
        ("mtl 1\r\n\r\n", "mtl 1\r\n\r\ns {\r\n  a = b\r\n}\r\n"),
        ("", "s {\n  a = b\n}\n"),
        ("mtl 1 # last", "mtl 1 # last\n\ns {\n  a = b\n}"),
    ],
)
def test_a_section_is_appended_after_a_blank_line(before: str, after: str) -> None:
    edit = append_section(read(before), "s {\n  a = b\n}\n")
    assert apply_edits(before, [edit]) == after


def test_replacing_a_value_touches_nothing_else() -> None:
    text = "a {\r\n  b   =   c + d   # why\r\n}"
    file = read(text)
    item = section(file).items[0]
    assert isinstance(item, tree.Entry)
    assert apply_edits(text, [replace_value(item, "c, d")]) == "a {\r\n  b   =   c, d   # why\r\n}"


def test_an_item_can_become_several_lines() -> None:
    text = "s {\n    a..c = all  # of them\n    d = each\n}\n"
    file = read(text)
    edit = replace_item(file, section(file).items[0], ["a = all", "b = all"])
    assert apply_edits(text, [edit]) == "s {\n    a = all\n    b = all  # of them\n    d = each\n}\n"


def test_an_edit_that_would_lose_a_comment_is_refused_at_the_comment() -> None:
    text = "a {\n  b = f(1,  # one\n    2)\n}\n"
    file = read(text)
    item = section(file).items[0]
    assert isinstance(item, tree.Entry)
    edit = replace_value(item, "g")
    with pytest.raises(MtlError) as caught:
        verify(text, apply_edits(text, [edit]), [edit], "t.mtl")
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.place, problem.span and problem.span.text) == ("MTL704", (2, 13), "# one")


def test_an_edit_that_would_comment_out_what_follows_is_refused() -> None:
    text = "a { b = 1 }\n"
    edit = TextEdit(8, 9, "2 #")
    with pytest.raises(MtlError, match="MTL704"):
        verify(text, apply_edits(text, [edit]), [edit])


def test_an_edit_may_add_a_whole_comment() -> None:
    text = "a {\n}\n"
    edit = TextEdit(3, 3, "  # kept by the tool")
    verify(text, apply_edits(text, [edit]), [edit])


def test_a_change_outside_the_edits_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the edits"):
        verify("a b", "A c", [TextEdit(0, 1, "A")])


@pytest.mark.parametrize(("text", "ending"), [("", "\n"), ("a\nb\r\n", "\n"), ("a\r\nb\n", "\r\n"), ("\n", "\n")])
def test_the_line_ending_is_that_of_the_first_line(text: str, ending: str) -> None:
    assert line_ending(text) == ending


@law(60)
@given(files(), st.data())
def test_inserting_keeps_every_byte_and_says_what_was_meant(pair: tuple[Any, str], data: st.DataObject) -> None:
    _, text = pair
    file = read(text)
    sections = [statement for statement in file.statements if isinstance(statement, tree.Section)]
    assume(sections)
    chosen = data.draw(st.sampled_from(sections))
    edit = insert_items(file, chosen, ["new_1 = a + b", "merge(x=1)"])
    after = apply_edits(text, [edit])
    verify(text, after, [edit])
    assert not text[edit.start : edit.end].strip()
    items = [
        item
        for one, other in zip(file.statements, read(after).statements, strict=True)
        if one is chosen and isinstance(other, tree.Section)
        for item in other.items
    ]
    assert tuple(items[:-2]) == chosen.items
    assert items[-2:] == list(section(read("s {\nnew_1 = a + b\nmerge(x=1)\n}")).items)


def removals(file: tree.File, *, commented: bool) -> list[tuple[tree.Section, int, TextEdit]]:
    """The items of a text with what removes each: those that a comment goes with, or the others."""
    found = []
    for section_ in file.statements:
        for index, item in enumerate(section_.items if isinstance(section_, tree.Section) else ()):
            edit = remove_item(file, item)
            inside = any(edit.start <= comment.span.start < edit.end for comment in file.comments)
            if inside == commented:
                assert isinstance(section_, tree.Section)
                found.append((section_, index, edit))
    return found


@law(60)
@given(files(), st.data())
def test_removing_an_item_with_its_comment_is_noticed(pair: tuple[Any, str], data: st.DataObject) -> None:
    _, text = pair
    found = removals(read(text), commented=True)
    assume(found)
    _, _, edit = data.draw(st.sampled_from(found))
    with pytest.raises(MtlError, match="MTL704"):
        verify(text, apply_edits(text, [edit]), [edit])


SELDOM_FITS = [HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.too_slow]
"""Few items can be removed from a drawn text."""


@law(60, suppress_health_check=SELDOM_FITS)
@given(files(), st.data())
def test_removing_keeps_every_other_item_and_comment(pair: tuple[Any, str], data: st.DataObject) -> None:
    _, text = pair
    file = read(text)
    found = removals(file, commented=False)
    assume(found)
    chosen, index, edit = data.draw(st.sampled_from(found))
    after = apply_edits(text, [edit])
    verify(text, after, [edit])
    kept = chosen.items[:index] + chosen.items[index + 1 :]
    assert read(after).statements == tuple(
        attrs.evolve(s, items=kept) if s is chosen else s  # type: ignore[misc]
        for s in file.statements
    )


@settings(max_examples=40, deadline=None)
@given(files())
def test_appending_keeps_the_whole_text_before_it(pair: tuple[Any, str]) -> None:
    _, text = pair
    file = read(text)
    edit = append_section(file, "s {\n  a = b\n}\n")
    after = apply_edits(text, [edit])
    verify(text, after, [edit])
    assert after.startswith(text)
    assert read(after).statements == (*file.statements, section(read("s {\n  a = b\n}")))
