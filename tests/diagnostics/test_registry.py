"""The registry of codes: every example is reported as its entry says, every code is raised, and no other.

`UPDATE_EXPECTED=1 pytest tests/diagnostics` writes the reports on the examples anew; read the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mtsldsl.diagnostics import CODES, Diagnostic, MtlError, render_all
from mtsldsl.diagnostics.registry import FAMILIES, FRAME, REGISTRY, Code, whole
from mtsldsl.spec.checking import check
from mtsldsl.syntax import read_source

ROOT = Path(__file__).parents[2]
EXPECTED = Path(__file__).parent / "examples"
EXAMPLES = [entry for entry in REGISTRY.values() if entry.example]
MENDED = [entry for entry in EXAMPLES if entry.instead]

RAISED_BY = {
    "MTL005": "tests/syntax/test_files.py",
    "MTL112": "tests/spec/test_overrides.py",
    "MTL407": "tests/spec/test_rewrite.py",
    "MTL601": "tests/runtime/data/test_loading.py",
    "MTL602": "tests/runtime/data/test_nyuv2.py",
    "MTL603": "tests/runtime/data/test_loading.py",
    "MTL701": "tests/codegen/test_files.py",
    "MTL702": "tests/diagnostics/test_run_time_codes.py",
    "MTL703": "tests/syntax/test_files.py",
    "MTL704": "tests/syntax/test_edit.py",
    "MTL801": "tests/cli/test_train.py",
    "MTL802": "tests/diagnostics/test_run_time_codes.py",
    "MTL803": "tests/runtime/test_similarity.py",
    "MTL804": "tests/runtime/test_similarity.py",
    "MTL805": "tests/runtime/test_transfer.py",
    "MTL806": "tests/runtime/test_own_modules.py",
    "MTL807": "tests/runtime/test_own_modules.py",
}
"""For each code that no text alone can cause, tests that raise it for real."""


def found(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Diagnostic, ...]:
    """What is reported, warnings included, of a text in a file `spec.mtl`."""
    monkeypatch.chdir(folder)
    Path("spec.mtl").write_text(text, encoding="utf-8")
    return check(read_source("spec.mtl"), pedantic=True).diagnostics


def test_the_frame_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("\n".join(FRAME.values()), tmp_path, monkeypatch) == ()


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.code)
def test_an_example_is_reported_once_with_its_code_and_no_other(
    entry: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = found(whole(entry.example), tmp_path, monkeypatch)
    assert [diagnostic.code for diagnostic in reported] == [entry.code]
    expected = EXPECTED / f"{entry.code.lower()}.expected"
    text = f"{render_all(reported)}\n"
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", MENDED, ids=lambda entry: entry.code)
def test_an_example_that_is_mended_has_no_problem(entry: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(whole(entry.instead), tmp_path, monkeypatch) == ()


def test_no_expected_report_lacks_its_example() -> None:
    assert {path.stem.upper() for path in EXPECTED.glob("*.expected")} == {entry.code for entry in EXAMPLES}


@pytest.mark.parametrize("entry", [entry for entry in REGISTRY.values() if not entry.example], ids=lambda e: e.code)
def test_a_code_without_an_example_says_when_it_occurs_and_is_raised_by_a_test(entry: Code) -> None:
    assert entry.occurs
    assert entry.code in (ROOT / RAISED_BY[entry.code]).read_text(encoding="utf-8")


def test_codes_with_an_example_need_no_other_test() -> None:
    assert not RAISED_BY.keys() & {entry.code for entry in EXAMPLES}


def test_every_code_is_raised_somewhere_and_every_one_that_is_raised_is_registered() -> None:
    registry = ROOT / "mtsldsl" / "diagnostics" / "registry"
    named = set()
    for path in (ROOT / "mtsldsl").rglob("*.py"):
        if registry not in path.parents:
            code = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.S)
            named |= set(re.findall(r'"(MTL\d{3})"', code))
    assert named == set(CODES)


def test_codes_are_in_order_and_in_the_family_of_their_number() -> None:
    assert list(REGISTRY) == sorted(REGISTRY)
    for number, family in enumerate(FAMILIES):
        assert all(entry.code.startswith(f"MTL{number}") for entry in family.codes)


@pytest.mark.parametrize("entry", REGISTRY.values(), ids=lambda entry: entry.code)
def test_what_is_said_of_a_code_is_a_phrase_and_sentences(entry: Code) -> None:
    assert not entry.title.endswith(".")
    assert entry.why.endswith(".")
    assert entry.remedy.endswith(".")
    assert not entry.occurs.endswith(".")


def test_a_code_that_is_not_registered_cannot_be_reported() -> None:
    with pytest.raises(ValueError, match="MTL000"):
        MtlError.of("MTL000", "a cause", "a remedy")
