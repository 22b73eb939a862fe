"""Each text under `errors/` beside what is said of it. `MTSLDSL_PROMOTE=1` writes what is said now; read the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.syntax import parse
from mtsldsl.syntax.files import decode_source

ERRORS = Path(__file__).parent / "errors"
PROMOTE = os.environ.get("MTSLDSL_PROMOTE") == "1"


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(MtlError) as caught:
        parse(Source("t.mtl", text))
    return caught.value.diagnostics


def places(text: str) -> list[tuple[str, int, int]]:
    return [(diagnostic.code, *diagnostic.place) for diagnostic in mistakes(text)]


@pytest.mark.parametrize("path", sorted(ERRORS.glob("*.mtl")), ids=lambda path: path.stem)
def test_each_text_gets_the_expected_reports(path: Path) -> None:
    with pytest.raises(MtlError) as caught:
        parse(decode_source(path.name, path.read_bytes()))
    said = f"{caught.value}\n"
    expected = path.with_suffix(".expected")
    if PROMOTE:
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


def test_no_expected_output_lacks_its_text() -> None:
    assert {path.stem for path in ERRORS.glob("*.expected")} == {path.stem for path in ERRORS.glob("*.mtl")}


def test_every_planted_mistake_is_reported_once_on_its_line() -> None:
    text = (ERRORS / "many.mtl").read_text(encoding="utf-8")
    planted = [2, 5, 6, 7, 8, 12, 13, 14, 15, 18, 20, 23, 27, 28, 29, 30, 31, 35, 36, 40, 41, 43, 44]
    assert [line for _, line, _ in places(text)] == planted


def test_columns_count_code_points_after_tabs_and_wide_characters() -> None:
    assert places('mtl 1\na {\n\tb = f("é漢", 1 2)\n}\n') == [("MTL001", 3, 16)]


def test_windows_line_endings_do_not_move_places() -> None:
    text = "mtl 1\r\na {\r\n  b = \r\n  c = 1 2\r\n}\r\n"
    assert places(text) == [("MTL001", 3, 6), ("MTL001", 4, 9)]


def test_a_byte_order_mark_does_not_move_places() -> None:
    source = decode_source("t.mtl", b"\xef\xbb\xbfmtl\n")
    with pytest.raises(MtlError) as caught:
        parse(source)
    assert caught.value.diagnostics[0].place == (1, 4)


def test_an_unclosed_block_points_at_the_block_that_was_left_open() -> None:
    assert places("mtl 1\na {\n  x = 1\n\nb {\n  y = 1\n}\n") == [("MTL002", 2, 3)]


def test_brackets_without_end_are_refused() -> None:
    assert places("mtl 1\nlet a = " + "(" * 5000 + "1" + ")" * 5000 + "\n")[0][0] == "MTL008"


def test_a_product_of_many_factors_is_refused() -> None:
    assert places("mtl 1\nlet a = " + " * ".join(["2"] * 5000) + "\n") == [("MTL008", 2, 9)]


def test_a_number_out_of_range_does_not_hide_another_mistake() -> None:
    assert places("mtl 1\nlet a = 1e999\nlet b = 1 2\n") == [("MTL008", 2, 9), ("MTL001", 3, 11)]


def test_the_words_of_the_parser_library_never_show() -> None:
    reports = [path.read_text(encoding="utf-8") for path in ERRORS.glob("*.expected")]
    assert reports
    for said in reports:
        for word in ("VBAR", "LPAR", "RSQB", "NEWLINE", "$END", "Token", "Unexpected", "EQUAL"):
            assert word not in said


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\u00a0", "\u200b", "\u2028", "\U0001f600", "\ufeff", "é"])
def test_any_strange_character_is_named(character: str) -> None:
    (problem,) = mistakes(f"mtl 1\nlet a = {character}1\n")
    assert (problem.code, problem.place) == ("MTL003", (2, 9))
    assert f"U+{ord(character):04X}" in problem.cause


SAMPLE = """\
mtl 1

data nyuv2 {
  root    = "data/nyuv2"
  augment = [hflip, random_scale(1.0, 1.2)]
}
let width = 64

block basic(channels, stride=1) =
    residual(conv2d(channels, 3) | relu)
    | relu

block head(out) =
  concat(
    enc1 | conv2d(out, 1),
    enc2 | conv2d(out, 1),
  )

backbone {
  enc1 = basic(64) * 2
  enc2 = basic(128, stride=2)
}

sharing {
  enc1 = a + b, c
}
"""
SLIPS = [index for index, character in enumerate(SAMPLE) if character in '(){}[]|+*,="']


@pytest.mark.parametrize("index", SLIPS)
@pytest.mark.parametrize("slip", ["left out", "typed twice"])
def test_one_slip_gives_one_report_at_most(index: int, slip: str) -> None:
    middle = SAMPLE[index] * (2 if slip == "typed twice" else 0)
    try:
        parse(Source("t.mtl", SAMPLE[:index] + middle + SAMPLE[index + 1 :]))
    except MtlError as error:
        reports = len(error.diagnostics)
    else:
        reports = 0
    assert reports <= 1


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("let = 5", "write `let name = …`"),
        ("mlt 1", "write `mtl 1`"),
        ("mtl 1\nlet width 16", "write `let width = …`"),
        ("mtl 1\nlet width : 16", "write `let width = …`"),
        ("mtl 1\ntask depth = {\n}", "write `task depth {`"),
        ("mtl 1\n{\n}", "write it before the `{`, as in `train {`"),
        ("mtl 1\ntrain {\n  seed = 0,\n}", "remove it"),
        ("mtl 1\ntrain {\n  optimizer = adam(lr=1e-3,, eps=1e-8)\n}", "remove it"),
        ("mtl 1\ntrain {\n  optimizer = adam(lr 2e-3)\n}", "put a comma between the two, or `=` where `lr` is the name of an argument"),
        ("mtl 1\nstructure mtsl {\n  similarity = cka[samples=32]\n}", "arguments go in parentheses: `cka(…)`"),
        ("mtl 1\ntrain:\n  seed = 0\n", "write `train {`, and `}` on a line of its own after its last"),
        ("mtl 1\ntrain:\n  seed = 0\n}", "write `train {`"),
        ("mtl 1\n[train]\nseed = 0", "write `train {`, and `}` on a line of its own after its last"),
        ("mtl 1\ntrain {\n  seed = 0\nend", "write `}` instead"),
        ("mtl 1\ntrain {\n  let x = 0\n}", "put it above the block; an entry of the block has no word before its key"),
        ("mtl 1\ntrain {\n  seed = 0\n}\n  epochs = 3\n}", "remove it: the block is closed further down"),
        ("mtl 1\ntask", "add a name or `{`"),
        ("mtl 1\ntask depth", "add a name or `{`"),
        ("mtl 1\nlet", "add a name"),
        ("mtl 1\ntrain", "add `{`"),
    ],
)  # fmt: skip
def test_a_habit_has_its_own_remedy(text: str, remedy: str) -> None:
    (found,) = mistakes(text)
    assert str(found.remedy) == remedy
