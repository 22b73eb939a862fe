"""The registry of codes: every example is reported as its entry says, every code is raised, and no other.

`UPDATE_EXPECTED=1 pytest tests/diagnostics` writes the reports on the examples anew; read the difference.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mtsldsl.diagnostics import CODES, Diagnostic, MtlError, render_all
from mtsldsl.diagnostics.examples import FRAME, whole
from mtsldsl.diagnostics.explained import REGISTRY, Code, families
from mtsldsl.editing.checking import check
from mtsldsl.syntax import read_source
from tests.diagnostics.scenarios import report_of

ROOT = Path(__file__).parents[2]
EXPECTED = Path(__file__).parent / "examples"
EXAMPLES = [entry for entry in REGISTRY.values() if not entry.console]
CONSOLE = [entry for entry in REGISTRY.values() if entry.console]
MENDED = [entry for entry in EXAMPLES if entry.instead]


def found(text: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Diagnostic, ...]:
    """What is reported, warnings included, of a text in a file `spec.mtl`."""
    monkeypatch.chdir(folder)
    Path("spec.mtl").write_bytes(text)
    return check(read_source("spec.mtl"), pedantic=True).diagnostics


def test_the_frame_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("\n".join(FRAME.values()).encode(), tmp_path, monkeypatch) == ()


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.code)
def test_an_example_is_reported_once_with_its_code_and_no_other(
    entry: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = EXPECTED / f"{entry.code.lower()}.mtl"
    if os.environ.get("UPDATE_EXPECTED"):
        path.write_bytes(whole(entry.example).encode("utf-8"))
    assert path.read_bytes() == whole(entry.example).encode("utf-8")
    reported = found(path.read_bytes(), tmp_path, monkeypatch)
    assert [diagnostic.code for diagnostic in reported] == [entry.code]
    _compare(f"{render_all(reported)}\n", entry.code)


@pytest.mark.parametrize("entry", CONSOLE, ids=lambda entry: entry.code)
def test_a_command_that_fails_says_what_its_code_says_and_no_more(
    entry: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert entry.occurs
    monkeypatch.chdir(tmp_path)
    said = report_of(entry)
    assert re.findall(r"^(?:[^ ]+: )?error (MTL\d+):", said, re.M) == [entry.code], said
    _compare(said, entry.code)


def _compare(said: str, code: str) -> None:
    expected = EXPECTED / f"{code.lower()}.expected"
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", MENDED, ids=lambda entry: entry.code)
def test_an_example_that_is_mended_has_no_problem(entry: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(whole(entry.instead).encode(), tmp_path, monkeypatch) == ()


def test_every_code_has_its_example_and_its_expected_report() -> None:
    assert {path.stem.upper() for path in EXPECTED.glob("*.expected")} == set(REGISTRY)
    assert {path.stem.upper() for path in EXPECTED.glob("*.mtl")} == {entry.code for entry in EXAMPLES}
    assert all(entry.example or entry.console for entry in REGISTRY.values())


def test_every_code_is_raised_somewhere_and_every_one_that_is_raised_is_registered() -> None:
    table = ROOT / "mtsldsl" / "diagnostics" / "codes.py"
    named = set()
    for path in (ROOT / "mtsldsl").rglob("*.py"):
        if path != table:
            code = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.S)
            named |= set(re.findall(r'"(MTL\d{3})"', code))
    assert named == set(CODES)


def test_every_page_is_that_of_a_code_and_reporting_reads_none() -> None:
    pages = ROOT / "mtsldsl" / "diagnostics" / "pages"
    assert {path.stem for path in pages.glob("*.md")} == set(CODES)
    program = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == 'open' else None)\n"
        "from mtsldsl.diagnostics import MtlError\n"
        "str(MtlError.of('MTL703', 'a cause', 'a remedy'))\n"
        "assert not [name for name in opened if name.endswith('.md')], opened\n"
        "assert 'mtsldsl.diagnostics.explained' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_codes_are_in_order_and_in_the_family_of_their_number() -> None:
    assert list(REGISTRY) == sorted(REGISTRY)
    for number, family in enumerate(families()):
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
