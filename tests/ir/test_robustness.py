"""Whatever is written, a text is read or its problems are reported: nothing else ever comes out."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.diagnostics import Diagnostic, MtlError, render
from mtsldsl.editing import dumps, loads
from tests.laws import law

FOLDER = Path(__file__).parent
TEXTS = [
    path.read_text(encoding="utf-8")
    for path in sorted([*(FOLDER / "errors").glob("*.mtl"), *(FOLDER.parents[1] / "specs").glob("*.mtl")])
]
WORD = re.compile(r"[A-Za-z_]\w*|-?\d+(?:\.\d+)?(?:e-?\d+)?")
WORDS = sorted({word for text in TEXTS for word in WORD.findall(text)})


@st.composite
def misspelled_texts(draw: st.DrawFn) -> str:
    """A text with up to three of its words replaced by words of any text, numbers by numbers and names by names."""
    text = draw(st.sampled_from(TEXTS))
    places = list(WORD.finditer(text))
    chosen = draw(st.lists(st.sampled_from(range(len(places))), min_size=1, max_size=3, unique=True))
    for index in sorted(chosen, reverse=True):
        place = places[index]
        is_name = place.group()[0].isalpha()
        word = draw(st.sampled_from([word for word in WORDS if word[0].isalpha() == is_name]))
        text = text[: place.start()] + word + text[place.end() :]
    return text


@law(150)
@given(misspelled_texts())
def test_a_text_is_read_or_its_problems_are_reported(text: str) -> None:
    problems: tuple[Diagnostic, ...] = ()
    try:
        spec = loads(text)
    except MtlError as error:
        problems = error.diagnostics
    if problems:
        assert all(problem.span is not None and problem.remedy and render(problem) for problem in problems)
    else:
        assert loads(dumps(spec)) == spec
