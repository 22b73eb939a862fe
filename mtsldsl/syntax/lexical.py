"""What is wrong with characters, numbers and strings, and how it is mended."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from mtsldsl.diagnostics import Diagnostic, Source, Span

if TYPE_CHECKING:
    from lark import Token

_LOOK_ALIKES = {
    "\u00a0": " ", "\u2007": " ", "\u202f": " ", "\u3000": " ", "\u200b": "", "\u200c": "", "\u200d": "", "\ufeff": "",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"', "\u2018": '"', "\u2019": '"',
    "\u2013": "-", "\u2014": "-", "\u2212": "-", "\u00d7": "*", "\u2217": "*", "\u00b7": "*", "\uff5c": "|",
    "\u2223": "|", "\u00a6": "|", "\uff08": "(", "\uff09": ")", "\uff3b": "[", "\uff3d": "]", "\uff5b": "{",
    "\uff5d": "}", "\uff0c": ",", "\u201a": ",", "\uff1a": ":", "\uff1d": "=", "\uff0b": "+", "\u2026": "..",
}  # fmt: skip
_ASCII_REMEDIES = {
    ";": "remove it: the line's end ends an entry",
    "'": 'write strings in double quotes: "…"',
    "`": 'write names bare and strings in double quotes: "…"',
    "-": "write names with `_` instead, numbers with the `-` directly before the first digit",
    "/": "start comments with `#`, and write paths as strings in double quotes",
    ".": "write a range of layers with two dots, `a..b`, numbers with a digit on each side of the point, and a metric "
    "of a task as one word, `depth.rmse`",
    "\\": "remove it: a line goes on by itself inside brackets, and before or after `|`",
    "%": "write names and numbers without it",
    "!": "write `false` to turn something off",
    "\x00": "save the file as UTF-8 text",
}

_REPORTED = re.compile(r"(?P<name>[A-Za-z_]\w*\.[A-Za-z_]\w*)_(?P<whole>[0-9]+)\.\Z", re.ASCII)
"""A metric as runs report it up to its point, `normal.within_11.25`, which is no spelling of the language."""

_LONGEST = 200
"""Characters of the longest such spelling that is looked for."""

_DIGITS = re.compile(r"[0-9]*")


def shortened(text: str) -> str:
    """What is there, in a line of a report."""
    return text if len(text) <= 40 else f"{text[:37]}..."


def span_of(source: Source, token: Token) -> Span:
    """The place of a token."""
    return Span(source, token.start_pos or 0, token.end_pos or 0)


def report(source: Source, token: Token) -> Diagnostic:
    """The report for a token that no text may have."""
    span = span_of(source, token)
    if token.type == "BAD_NUMBER":
        return _bad_number(str(token), span)
    if token.type == "BAD_STRING":
        return _bad_string(str(token), span)
    character = str(token)
    known = _LOOK_ALIKES.get(character)
    if known is not None:
        remedy = f"write `{known}` instead" if known.strip() else f"put {'a plain space' if known else 'nothing'} there"
    elif character == "." and (digits := _digits_at(source, span.end)):
        key = _REPORTED.search(source.text[max(0, span.end - _LONGEST) : span.end])
        remedy = "write a digit before the point: `0.5`"
        if key:
            remedy = f"write the metric as its task has it: `{key['name']}({key['whole']}.{digits})`"
    elif character in _ASCII_REMEDIES:
        remedy = _ASCII_REMEDIES[character]
    elif unicodedata.category(character)[0] == "L":
        remedy = "spell names with the letters a to z, digits and `_`"
    else:
        remedy = "remove it, or put it into a string or a comment"
    return Diagnostic("MTL003", f"{_character(character)} is no part of the language", remedy, span)


def _digits_at(source: Source, start: int) -> str:
    match = _DIGITS.match(source.text, start)
    return match[0] if match else ""


def _character(character: str) -> str:
    if character.isascii() and character.isprintable():
        return f"the character `{character}`"
    name = unicodedata.name(character, "").lower()
    shown = f"`{character}` " if character.isprintable() and not character.isspace() else ""
    return f"the character {shown}U+{ord(character):04X}{f' ({name})' if name else ''}"


def _bad_number(text: str, span: Span) -> Diagnostic:
    if text.endswith(".") and text[:-1].lstrip("-").isdigit():
        remedy = f"write `{text}0`"
    elif text.replace("_", "").lstrip("-").isdigit():
        remedy = f"write `{text.replace('_', '')}`"
    else:
        remedy = "write numbers like `3`, `0.5` or `1e-4`, and start names with a letter"
    return Diagnostic("MTL009", f"`{shortened(text)}` is neither a number nor a name", remedy, span)


def _bad_string(text: str, span: Span) -> Diagnostic:
    index = 1
    while index < len(text) and text[index] != '"':
        index += 2 if text[index] == "\\" else 1
    if index >= len(text):
        end = span.start + len(text.rstrip("\r"))
        return Diagnostic(
            "MTL004",
            "a string that starts here is not closed on its line",
            'close it with `"`; write a quote inside a string as `\\"` and a line break as `\\n`',
            Span(span.source, span.start, end),
        )
    for index in range(1, len(text) - 1):
        if text[index] < " " and text[index] != "\t":
            place = Span(span.source, span.start + index, span.start + index + 1)
            return Diagnostic(
                "MTL009", f"{_character(text[index])} in a string", "remove it, or write an escape", place
            )
    return Diagnostic(
        "MTL009",
        "a string with an escape that the language does not have",
        'the escapes are `\\\\`, `\\"`, `\\n`, `\\r`, `\\t` and `\\u` with four hexadecimal digits of a character; '
        "write a backslash as `\\\\`",
        _escape_in(text, span),
    )


def _escape_in(text: str, span: Span) -> Span:
    index = 1
    while index < len(text) - 1:
        if text[index] == "\\":
            if text[index + 1] not in '"\\nrt':
                code = text[index + 2 : index + 6]
                hexadecimal = len(code) == 4 and all(digit in "0123456789abcdefABCDEF" for digit in code)
                if text[index + 1] != "u" or not hexadecimal or 0xD800 <= int(code, 16) < 0xE000:
                    return Span(span.source, span.start + index, span.start + index + 2)
            index += 1
        index += 1
    return span


def carriage_returns(source: Source) -> Diagnostic:
    """The report for a text whose lines end as no system ends them any more; `source` has line feeds in their place."""
    end = source.text.index("\n")
    cause = "the lines end with a carriage return alone, which is no line end here"
    return Diagnostic("MTL003", cause, "save the file with line feeds (LF) as line ends", Span(source, end, end))
