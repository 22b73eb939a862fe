from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.syntax import parse, read_source
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.format import WIDEST_KEY, format_text, hold_same
from tests.laws import law
from tests.syntax.trees import FREE, LINE, SPACE, draft, files, statements, texts

CASES = sorted((Path(__file__).parent / "format").glob("*.mtl"))
SPECS = sorted((Path(__file__).parents[2] / "specs").rglob("*.mtl"))


def formatted(text: str) -> str:
    return format_text(Source("t.mtl", text))


def remarks(text: str) -> list[str]:
    return [comment.text.rstrip() for comment in find_comments(Source("t.mtl", text))]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_each_case_is_laid_out_as_expected(case: Path) -> None:
    expected = case.with_suffix(".expected")
    after = format_text(read_source(case))
    if os.environ.get("MTSLDSL_PROMOTE"):
        expected.write_text(after, encoding="utf-8")
    assert after == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_the_specs_of_the_project_are_in_the_one_style(spec: Path) -> None:
    source = read_source(spec)
    assert format_text(source) == source.text


# Laws


@law(50)
@given(files())
def test_formatting_keeps_the_meaning_and_every_comment_in_order(pair: tuple[tuple[Any, ...], str]) -> None:
    parts, text = pair
    after = formatted(text)
    assert parse(Source("t.mtl", after)).statements == parts
    assert remarks(after) == remarks(text)


@law(30)
@given(files())
def test_formatting_again_changes_nothing(pair: tuple[tuple[Any, ...], str]) -> None:
    after = formatted(pair[1])
    assert formatted(after) == after


@law(30)
@given(files())
def test_formatted_text_has_no_stray_white_space(pair: tuple[tuple[Any, ...], str]) -> None:
    after = formatted(pair[1]).removeprefix("\ufeff")
    ending = "\r\n" if "\r\n" in after else "\n"
    assert after == "" or (after.endswith(ending) and not after.startswith(ending))
    assert after.count("\n") == after.count(ending)
    assert ending * 3 not in after
    for line in after.split(ending):
        assert "\t" not in line.partition('"')[0].partition("#")[0]
        assert line == line.rstrip(" \t\r\f")


def laid_out(draw: st.DrawFn, parts: tuple[Any, ...]) -> str:
    """A text of the statements, with line ends wherever one may stand, without comments and blank lines."""
    space = st.sampled_from(["", " ", "  ", "\t"])
    pieces = {SPACE: space, FREE: st.sampled_from(["", " ", "\n", "\n   ", "\r\n"]), LINE: space.map("\n".__add__)}
    text = FREE + LINE.join(map(draft, parts)) + FREE
    return "".join(draw(pieces[each]) if each in pieces else each for each in text)


@st.composite
def two_layouts(draw: st.DrawFn) -> tuple[str, str]:
    parts = draw(statements)
    return laid_out(draw, parts), laid_out(draw, parts)


@law(50)
@given(two_layouts())
def test_every_layout_of_the_same_words_becomes_the_same_text(pair: tuple[str, str]) -> None:
    first, second = (text.replace("\r\n", "\n") for text in pair)
    assert formatted(first) == formatted(second)


def bare(text: str) -> str:
    """The text in the one layout without its comments, blank lines and byte order mark."""
    text = text.removeprefix("\ufeff")
    for comment in reversed(find_comments(Source("t.mtl", text))):
        text = text[: comment.span.start] + text[comment.span.end :]
    lines = [line for line in formatted(text).replace("\r\n", "\n").split("\n") if line]
    return formatted("\n".join(lines))


@st.composite
def two_commented_layouts(draw: st.DrawFn) -> tuple[str, str]:
    parts = draw(statements)
    return draw(texts(parts)), draw(texts(parts))


@law(30)
@given(two_commented_layouts())
def test_comments_and_blank_lines_aside_every_layout_becomes_the_same_text(pair: tuple[str, str]) -> None:
    first, second = pair
    assert bare(formatted(first)) == bare(formatted(second))


# The bytes of a file


def test_the_line_ending_of_the_first_line_is_that_of_all() -> None:
    assert formatted("let a = 1\r\nlet b = 2\nlet c = 3") == "let a = 1\r\nlet b = 2\r\nlet c = 3\r\n"
    assert formatted("let a = 1\nlet b = 2\r\n# c\r\n") == "let a = 1\nlet b = 2\n# c\n"


def test_the_byte_order_mark_stays() -> None:
    assert formatted("\ufeff  let a=1") == "\ufefflet a = 1\n"
    assert formatted("let a=1").startswith("let")


def test_a_missing_last_line_end_is_added_and_others_are_removed() -> None:
    assert formatted("let a = 1") == formatted("let a = 1\n\n\n") == "let a = 1\n"


@pytest.mark.parametrize("text", ["", "\n", " \t\r\n\n"])
def test_a_text_without_words_becomes_empty(text: str) -> None:
    assert formatted(text) == ""


# What breaks and what does not


def test_a_line_of_sharing_stays_one_line_however_long() -> None:
    tasks = " + ".join(f"task{number}" for number in range(60))
    text = (
        f"sharing {{\n  enc1 = {tasks}, other\n}}\n\nhistory {{\n  merge(epoch=3, tasks={tasks}, similarity=0.9)\n}}\n"
    )
    assert formatted(text) == text


def test_a_trailing_comma_asks_for_one_item_a_line() -> None:
    assert formatted("a {\n b = [1, 2,]\n}") == "a {\n  b = [\n    1,\n    2,\n  ]\n}\n"


def test_a_column_of_equals_signs_never_makes_a_line_too_long() -> None:
    value = f"[{', '.join(['1'] * 35)}]"
    text = f"a {{\n  b = {value}\n  a_rather_long_key = 1\n  c = 2\n}}\n"
    after = formatted(text)
    assert max(map(len, after.split("\n"))) <= 120
    assert f"  b = {value}\n" in after
    assert "  c                 = 2\n" in after


def test_a_very_long_key_moves_no_other_line() -> None:
    key = "k" * (WIDEST_KEY + 1)
    assert f"  {key} = 1\n  a = 1\n" in formatted(f"x {{\n{key}=1\na=1\n}}")


def test_the_text_grows_at_most_in_proportion() -> None:
    key = "k" * 5_000
    text = f"x {{\n{key}=1 # c\n" + "a=1 # c\n" * 1_000 + "}"
    assert len(formatted(text)) < 20 * len(text)


# Refusals


def test_a_text_with_mistakes_is_not_formatted() -> None:
    with pytest.raises(MtlError, match="MTL001"):
        formatted("task {{")


@pytest.mark.parametrize(
    "after",
    [
        "let a = f(1, 2)\n",
        "let a = f(1, 2,) # why\n",
        "let b = f(1, 2) # why\n",
        "let a = f(1, 2) # Why\n",
        "let a = f(1, 2)\n# why # why\n",
        "# why\nlet a = f(1, 2)\n",
        "let a = f(1, 2 # why\n",
        "let a = f(1, 2,\n) # why",
        "let a = f(1, 2.0) # why",
        "let a = f(1, 2)\n# why\n",
    ],
)
def test_a_layout_that_would_change_words_or_comments_is_refused(after: str) -> None:
    with pytest.raises(MtlError, match=r"MTL704.*defect"):
        hold_same(parse(Source("t.mtl", "let a = f(1, 2) # why\n")), after)


def test_a_layout_that_changes_white_space_alone_is_accepted() -> None:
    hold_same(parse(Source("t.mtl", "let a = f(1, 2) # why  \n")), "let a=f(\n  1, 2\n)# why\n\n")
