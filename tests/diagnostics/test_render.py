from __future__ import annotations

import pytest

from mtsldsl.diagnostics import CODES, Diagnostic, MtlError, Source, Span, nearest, render, suggestion


def shown(text: str, start: int, end: int) -> list[str]:
    span = Span(Source("t.mtl", text), start, end)
    return render(Diagnostic("MTL001", "a cause", "a remedy", span)).split("\n")


def test_a_report_has_place_code_cause_line_carets_and_remedy() -> None:
    assert shown("a = 1\nbb = 22\n", 6, 8) == [
        "t.mtl:2:1: error MTL001: a cause",
        "    2 | bb = 22",
        "      | ^^",
        "  remedy: a remedy",
    ]


def test_tabs_before_the_carets_stay_tabs() -> None:
    assert shown("\ta\tb = 1", 3, 4)[1:3] == ["    1 | \ta\tb = 1", "      | \t \t^"]


def test_wide_characters_take_two_columns() -> None:
    assert shown("漢字 = 1", 5, 6)[2] == "      |        ^"
    assert shown("漢字 = 1", 0, 2)[2] == "      | ^^^^"


def test_combining_characters_take_no_column() -> None:
    assert shown("e\u0301 = 1", 3, 4)[2] == "      |   ^"


def test_a_span_of_several_lines_is_underlined_on_its_first() -> None:
    assert shown("abc\ndef\n", 1, 6)[1:3] == ["    1 | abc", "      |  ^^"]


def test_an_empty_span_gets_one_caret() -> None:
    assert shown("abc\ndef\n", 3, 3)[1:3] == ["    1 | abc", "      |    ^"]


@pytest.mark.parametrize("text", ["abc\n", "abc", "", "\n\n", "abc\r\n"])
def test_the_end_of_the_file_is_named(text: str) -> None:
    assert shown(text, len(text), len(text))[2].endswith("^ the end of the file")


def test_windows_line_endings_are_not_shown() -> None:
    assert shown("abc\r\ndef\r\n", 0, 5)[1:3] == ["    1 | abc", "      | ^^^"]


@pytest.mark.parametrize("start", [0, 500, 990])
def test_a_very_long_line_is_cut_around_the_span(start: int) -> None:
    text = "".join(str(index % 10) for index in range(1000))
    _, line, carets, _ = shown(text, start, start + 4)
    assert len(line) < 150
    assert [letter for letter, mark in zip(line, carets.ljust(len(line)), strict=True) if mark == "^"] == list(
        text[start : start + 4]
    )
    assert line.endswith("...") == (start < 900)


def test_a_span_longer_than_the_window_ends_with_it() -> None:
    _, line, carets, _ = shown("x" * 1000, 10, 900)
    assert len(carets) <= len(line)


def test_control_characters_never_reach_the_terminal() -> None:
    text = "a\x1b[31m\u202eb\u2028c"
    assert shown(text, 0, 1)[1] == "    1 | a?[31m?b?c"
    diagnostic = Diagnostic("MTL001", "\x1b]0;x\x07", "\x1b", Span(Source("\x1b", text), 0, 1))
    assert "\x1b" not in render(diagnostic)


def test_a_report_without_place_is_two_lines() -> None:
    assert render(Diagnostic("MTL703", "a cause", "a remedy")) == "error MTL703: a cause\n  remedy: a remedy"


def test_an_error_reads_as_all_its_reports() -> None:
    first, second = Diagnostic("MTL001", "one", "a"), Diagnostic("MTL002", "two", "b")
    assert str(MtlError([first, second])) == f"{render(first)}\n{render(second)}"


def test_only_registered_codes_are_taken() -> None:
    with pytest.raises(ValueError, match="MTL999"):
        Diagnostic("MTL999", "a", "b")


def test_codes_are_in_order_and_say_what_they_mean() -> None:
    assert list(CODES) == sorted(CODES)
    assert all(meaning and not meaning.endswith(".") for meaning in CODES.values())


def test_the_nearest_name_is_found_whatever_its_case() -> None:
    assert nearest("reluu", ["relu", "gelu"]) == "relu"
    assert nearest("ReLU", ["relu", "gelu"]) == "relu"
    assert nearest("wholly_other", ["relu", "gelu"]) is None


def test_a_suggestion_names_the_nearest_or_all() -> None:
    assert suggestion("rellu", ["relu", "gelu"], "operators") == "did you mean `relu`?"
    assert suggestion("x", ["relu", "gelu"], "operators") == "the known operators are: relu, gelu"
    assert suggestion("x", [], "operators") == "there are no operators here"
