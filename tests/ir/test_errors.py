"""Every kind of mistake in a specification, with the report that a person gets: the `.expected` file beside the text.

`UPDATE_EXPECTED=1 pytest tests/ir/test_errors.py` writes the reports anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtsldsl.diagnostics import CODES, MtlError
from mtsldsl.editing import loads

ERRORS = sorted((Path(__file__).parent / "errors").glob("*.mtl"))

RAISED_ELSEWHERE = {
    "MTL112",  # by overrides, test_overrides
    "MTL407",  # by rewriting, test_rewrite
}


def report(path: Path) -> tuple[str, MtlError]:
    with pytest.raises(MtlError) as caught:
        loads(path.read_text(encoding="utf-8"), path.name, path=path)
    return f"{caught.value}\n", caught.value


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_a_mistake_is_reported_as_expected(path: Path) -> None:
    expected = path.with_suffix(".expected")
    text, _ = report(path)
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_a_report_is_in_the_order_of_places_and_names_the_code_of_its_file(path: Path) -> None:
    _, error = report(path)
    sources = list(dict.fromkeys(diagnostic.span.source.name for diagnostic in error.diagnostics if diagnostic.span))
    places = [(sources.index(found.span.source.name), found.place) for found in error.diagnostics if found.span]
    assert places == sorted(places)
    if path.stem.startswith("mtl"):
        assert path.stem[:6].upper() in {diagnostic.code for diagnostic in error.diagnostics}


def test_every_code_of_a_specification_has_a_text_that_raises_it() -> None:
    shown = {path.stem[:6].upper() for path in ERRORS}
    codes = {code for code in CODES if code[3] in "12345"} - RAISED_ELSEWHERE
    assert codes <= shown
