"""Diagnostics for other programs: JSON, GitHub's commands, SARIF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtsldsl.diagnostics import CODES, Diagnostic, Severity, Source, Span, suggestion
from mtsldsl.diagnostics.examples import whole
from mtsldsl.diagnostics.explained import REGISTRY
from mtsldsl.diagnostics.formats import Found, as_github, as_json
from mtsldsl.diagnostics.sarif import as_sarif, uri
from mtsldsl.editing.checking import check
from tests.diagnostics.sarif import SARIF

SOURCE = Source("specs/a b.mtl", "mtl 1\ntrain {\n  epoch = 4  # é漢\n}\n")
START = SOURCE.text.index("epoch")
UNKNOWN = Diagnostic(
    "MTL104",
    "`train` has no key `epoch`",
    suggestion("epoch", ["epochs"], "keys"),
    Span(SOURCE, START, START + 5),
)
AFTER = Diagnostic("MTL106", "50 % wrong:\ntwo, lines", "mend it", Span(SOURCE, len(SOURCE.text), len(SOURCE.text)))
NOWHERE = Diagnostic("MTL703", "there is no file x.mtl", "check the path")
WARNING = Diagnostic("MTL911", "no head reads it", "leave it out", Span(SOURCE, 0, 3), Severity.WARNING)
FOUND: list[Found] = [("specs/a b.mtl", each) for each in (UNKNOWN, AFTER, NOWHERE, WARNING)]


def test_json_says_everything_of_a_diagnostic() -> None:
    content = json.loads(as_json(FOUND))
    assert content["format_version"] == 1
    assert content["summary"] == {"errors": 3, "warnings": 1, "fixed": 0, "ignored": 0}
    assert content["diagnostics"][0] == {
        "code": "MTL104",
        "severity": "error",
        "title": CODES["MTL104"],
        "file": "specs/a b.mtl",
        "line": 3,
        "column": 3,
        "end_line": 3,
        "end_column": 8,
        "cause": "`train` has no key `epoch`",
        "remedy": "did you mean `epochs`?",
        "fix": {
            "edits": [
                {
                    "file": "specs/a b.mtl",
                    "line": 3,
                    "column": 3,
                    "end_line": 3,
                    "end_column": 8,
                    "text": "epochs",
                }
            ]
        },
    }


def test_json_of_a_problem_without_a_place_names_the_file_alone() -> None:
    record = json.loads(as_json(FOUND))["diagnostics"][2]
    assert (record["file"], record["line"], record["end_column"], record["fix"]) == ("specs/a b.mtl", None, None, None)


def test_json_lists_what_was_fixed_apart() -> None:
    content = json.loads(as_json([], FOUND[:1]))
    assert content["diagnostics"] == []
    assert [each["code"] for each in content["fixed"]] == ["MTL104"]
    assert content["summary"]["fixed"] == 1


def test_github_gets_a_command_a_line_with_all_signs_escaped() -> None:
    lines = as_github(FOUND).splitlines()
    assert lines[0] == (
        "::error file=specs/a b.mtl,line=3,endLine=3,col=3,endColumn=8,title=MTL104 an unknown key::"
        "`train` has no key `epoch`; remedy: did you mean `epochs`?"
    )
    assert lines[1].endswith("::50 %25 wrong:%0Atwo, lines; remedy: mend it")
    assert lines[2].startswith("::error file=specs/a b.mtl,title=MTL703 ")
    assert lines[3].startswith("::warning ")
    assert len(lines) == 4


def test_github_escapes_what_would_end_a_property() -> None:
    source = Source("a,b:c%.mtl", "x")
    (line,) = as_github([("", Diagnostic("MTL104", "c", "r", Span(source, 0, 1)))]).splitlines()
    assert line.startswith("::error file=a%2Cb%3Ac%25.mtl,line=1,")


def log_of(found: list[Found]) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(as_sarif(found))
    return log


@pytest.mark.parametrize("found", [[], FOUND, FOUND[::-1] * 2], ids=["nothing", "some", "more"])
def test_sarif_fits_the_schema(found: list[Found]) -> None:
    assert list(SARIF.iter_errors(log_of(found))) == []


@pytest.mark.parametrize("entry", [each for each in REGISTRY.values() if not each.console], ids=lambda each: each.code)
def test_sarif_of_every_example_fits_the_schema(entry: Any) -> None:
    report = check(Source("spec.mtl", whole(entry.example)), pedantic=True)
    log = log_of([("spec.mtl", each) for each in report.diagnostics])
    assert list(SARIF.iter_errors(log)) == []
    assert len(log["runs"][0]["results"]) == len(report.diagnostics) > 0


def test_sarif_results_point_at_their_rules_artifacts_and_regions() -> None:
    (run,) = log_of(FOUND)["runs"]
    rules, results = run["tool"]["driver"]["rules"], run["results"]
    assert [rules[each["ruleIndex"]]["id"] for each in results] == [each["ruleId"] for each in results]
    place = results[0]["locations"][0]["physicalLocation"]
    assert run["artifacts"][place["artifactLocation"]["index"]]["location"]["uri"] == "specs/a%20b.mtl"
    assert place["region"] == {"startLine": 3, "startColumn": 3, "endLine": 3, "endColumn": 8}
    assert run["columnKind"] == "unicodeCodePoints"
    assert "region" not in results[2]["locations"][0]["physicalLocation"]
    assert [each["level"] for each in results] == ["error", "error", "error", "warning"]


def test_what_is_ignored_is_a_suppressed_result() -> None:
    log: dict[str, Any] = json.loads(as_sarif([FOUND[0]], [FOUND[3]]))
    assert list(SARIF.iter_errors(log)) == []
    assert [(each["ruleId"], each["suppressions"]) for each in log["runs"][0]["results"]] == [
        ("MTL104", []),
        ("MTL911", [{"kind": "inSource"}]),
    ]


def test_json_has_what_is_ignored_apart() -> None:
    content = json.loads(as_json([FOUND[0]], (), [FOUND[3]]))
    assert content["summary"] == {"errors": 1, "warnings": 0, "fixed": 0, "ignored": 1}
    assert [each["code"] for each in content["ignored"]] == ["MTL911"]


def test_sarif_has_the_fix_as_a_replacement() -> None:
    (fix,) = log_of(FOUND)["runs"][0]["results"][0]["fixes"]
    (replacement,) = fix["artifactChanges"][0]["replacements"]
    assert replacement["insertedContent"] == {"text": "epochs"}
    assert replacement["deletedRegion"]["startColumn"] == 3


def test_a_uri_is_relative_as_the_file_is_or_has_its_scheme() -> None:
    assert uri("specs/é #1.mtl") == "specs/%C3%A9%20%231.mtl"
    assert uri(str(Path("/tmp/x y.mtl"))) == "file:///tmp/x%20y.mtl"


def _broken(change: str) -> dict[str, Any]:
    log = log_of(FOUND)
    run = log["runs"][0]
    match change:
        case "version":
            log["version"] = "2.0"
        case "no driver":
            del run["tool"]["driver"]
        case "line 0":
            run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
        case "text line":
            run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = "3"
        case "level":
            run["results"][0]["level"] = "severe"
        case "more":
            run["results"][0]["colour"] = "red"
        case "empty message":
            run["results"][0]["message"] = {}
        case "no scheme":
            run["versionControlProvenance"] = [{"revisionId": "1"}]
        case "no replacement":
            run["results"][0]["fixes"][0]["artifactChanges"][0]["replacements"] = []
    return log


@pytest.mark.parametrize(
    "change",
    ["version", "no driver", "line 0", "text line", "level", "more", "empty message", "no scheme", "no replacement"],
)
def test_a_log_that_is_not_sarif_is_noticed(change: str) -> None:
    assert list(SARIF.iter_errors(_broken(change))) != []


def test_github_gets_columns_for_a_range_on_one_line_alone() -> None:
    source = Source("a.mtl", "one\ntwo\n")
    (line,) = as_github([("a.mtl", Diagnostic("MTL104", "c", "r", Span(source, 1, 6)))]).splitlines()
    assert line.startswith("::error file=a.mtl,line=1,endLine=2,title=")
