"""Diagnostics as SARIF 2.1.0, the format in which tools exchange findings about code.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mtsldsl import __version__
from mtsldsl.diagnostics.diagnostic import Diagnostic, Fix, Severity
from mtsldsl.diagnostics.explained import REGISTRY
from mtsldsl.diagnostics.formats import Found
from mtsldsl.diagnostics.location import Location, locate, location

_SUPPRESSED = [{"kind": "inSource"}]
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(found: Iterable[Found], ignored: Iterable[Found] = ()) -> str:
    """A SARIF log with one run of mtsldsl: a rule for each code that was found, a result for each diagnostic.

    Those that a comment ignores are results too, suppressed in the source (section 3.27.23 of the standard).
    """
    reported = list(found)
    results = [*reported, *ignored]
    codes = sorted({diagnostic.code for _, diagnostic in results})
    files = list(dict.fromkeys(location(diagnostic, file).file for file, diagnostic in results))
    run = {
        "tool": {
            "driver": {"name": "mtsldsl", "semanticVersion": __version__, "rules": [_rule(code) for code in codes]}
        },
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": {"uri": uri(file)}} for file in files],
        "results": [
            {**_result(*each, codes, files), "suppressions": _SUPPRESSED if index >= len(reported) else []}
            for index, each in enumerate(results)
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def uri(file: str) -> str:
    """The file as a URI: relative as it is, absolute with its scheme."""
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _rule(code: str) -> dict[str, Any]:
    entry = REGISTRY[code]
    return {
        "id": code,
        "shortDescription": {"text": entry.title},
        "fullDescription": {"text": entry.why},
        "help": {"text": entry.remedy},
        "defaultConfiguration": {"level": "warning" if code.startswith("MTL9") else "error"},
    }


def _result(file: str, diagnostic: Diagnostic, codes: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    place = location(diagnostic, file)
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": "error" if diagnostic.severity is Severity.ERROR else "warning",
        "message": {"text": f"{diagnostic.cause}; remedy: {diagnostic.remedy}"},
        "locations": [{"physicalLocation": _physical(place, files.index(place.file))}],
    }
    if diagnostic.fix:
        result["fixes"] = [_fix(diagnostic.fix, str(diagnostic.remedy))]
    return result


def _physical(place: Location, index: int) -> dict[str, Any]:
    artifact = {"uri": uri(place.file), "index": index}
    if place.line is None:
        return {"artifactLocation": artifact}
    return {"artifactLocation": artifact, "region": _region(place)}


def _region(place: Location) -> dict[str, Any]:
    return {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }


def _fix(fix: Fix, description: str) -> dict[str, Any]:
    replacements = [
        {"deletedRegion": _region(locate(edit.span)), "insertedContent": {"text": edit.text}} for edit in fix.edits
    ]
    change = {"artifactLocation": {"uri": uri(locate(fix.span).file)}, "replacements": replacements}
    return {"description": {"text": description}, "artifactChanges": [change]}
