"""Diagnostics for other programs: JSON, and GitHub's workflow commands. SARIF has a module of its own.

Each takes pairs of the file that was checked, as it was named, and a diagnostic about it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from mtsldsl.diagnostics.codes import CODES
from mtsldsl.diagnostics.diagnostic import Diagnostic, Fix, Severity
from mtsldsl.diagnostics.location import Location, locate, location

Found: TypeAlias = tuple[str, Diagnostic]
"""The file that was checked, and what was found in it."""

STANDARD_INPUT = "<stdin>"
"""What a text from the standard input is called."""

JSON_VERSION = 1
"""Counts up when a field goes or changes its meaning; new fields may come without."""


def as_json(found: Iterable[Found], fixed: Iterable[Found] = (), ignored: Iterable[Found] = ()) -> str:
    """A JSON object with every diagnostic, those that were mended meanwhile, and those that a comment ignores."""
    remaining = list(found)
    counts = Counter(diagnostic.severity for _, diagnostic in remaining)
    mended = [record_of(*each) for each in fixed]
    left_out = [record_of(*each) for each in ignored]
    content = {
        "format_version": JSON_VERSION,
        "summary": {
            "errors": counts[Severity.ERROR],
            "warnings": counts[Severity.WARNING],
            "fixed": len(mended),
            "ignored": len(left_out),
        },
        "diagnostics": [record_of(*each) for each in remaining],
        "fixed": mended,
        "ignored": left_out,
    }
    return json.dumps(content, indent=2)


def record_of(file: str, diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic about a file in plain data."""
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "title": CODES[diagnostic.code],
        **_place(location(diagnostic, file)),
        "cause": diagnostic.cause,
        "remedy": str(diagnostic.remedy),
        "fix": _fix(diagnostic.fix) if diagnostic.fix else None,
    }


def _place(place: Location) -> dict[str, Any]:
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {"edits": [{**_place(locate(edit.span)), "text": edit.text} for edit in fix.edits]}


def as_github(found: Iterable[Found]) -> str:
    """A workflow command a line, which GitHub shows beside the line of the file.

    Columns are for a range within one line alone, and the standard input is no file of the repository.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    return "\n".join(_command(*each) for each in found)


def _command(file: str, diagnostic: Diagnostic) -> str:
    place = location(diagnostic, file)
    in_file, on_a_line = place.file != STANDARD_INPUT, place.line == place.end_line
    properties: Mapping[str, str | int | None] = {
        "file": place.file if in_file else None,
        "line": place.line if in_file else None,
        "endLine": place.end_line if in_file else None,
        "col": place.column if in_file and on_a_line else None,
        "endColumn": place.end_column if in_file and on_a_line else None,
        "title": f"{diagnostic.code} {CODES[diagnostic.code]}",
    }
    written = ",".join(f"{name}={_escaped(value)}" for name, value in properties.items() if value is not None)
    message = _one_line(f"{diagnostic.cause}; remedy: {diagnostic.remedy}")
    return f"::{diagnostic.severity} {written}::{message}"


def _one_line(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped(value: str | int) -> str:
    return _one_line(str(value)).replace(":", "%3A").replace(",", "%2C")
