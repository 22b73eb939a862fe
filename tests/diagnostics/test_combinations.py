"""Several mistakes of any kinds in one text: each has its one report, at its place, and there is no other."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import Source, render_all
from mtsldsl.editing.checking import check
from tests.diagnostics.mistakes import CATALOGUE, SOUND, Mistake, independent, plant

Place = tuple[str, int, int]


def said(text: str) -> tuple[list[Place], str]:
    """The code, line and column of every report, and all reports in words."""
    found = check(Source("t.mtl", text)).diagnostics
    return [(each.code, *each.place) for each in found], render_all(found)


def test_the_text_without_mistakes_is_sound() -> None:
    assert said(SOUND) == ([], "")


def test_the_catalogue_is_large_and_spoils_most_lines() -> None:
    assert len(CATALOGUE) > 180
    touched = {line for mistake in CATALOGUE for line in mistake.lines}
    written = {number for number, line in enumerate(SOUND.splitlines()) if line.strip(" }")}
    assert len(written - touched) <= 2


@pytest.mark.parametrize("mistake", CATALOGUE, ids=str)
def test_one_mistake_has_one_report_at_its_place(mistake: Mistake) -> None:
    text, places = plant([mistake])
    found, words = said(text)
    assert found == places, words


@given(st.lists(st.sampled_from(CATALOGUE), min_size=2, max_size=14, unique=True))
@settings(max_examples=60, deadline=None)
def test_independent_mistakes_are_all_reported_and_nothing_else_is(drawn: list[Mistake]) -> None:
    mistakes: list[Mistake] = []
    for mistake in drawn:
        if all(independent(mistake, other) for other in mistakes):
            mistakes.append(mistake)
    text, places = plant(mistakes)
    found, words = said(text)
    assert found == places, words


def test_the_sharing_of_a_layer_that_cannot_be_read_is_checked_all_the_same() -> None:
    spoiled = ("let ^wdith = 12", "wide      = ^segment, depth + edge")
    text, places = plant([mistake for mistake in CATALOGUE if mistake.wrong in spoiled])
    assert [code for code, *_ in places] == ["MTL107", "MTL405"]
    found, words = said(text)
    assert found == places, words


def test_most_pairs_of_the_catalogue_are_independent() -> None:
    pairs = list(combinations(CATALOGUE, 2))
    assert sum(independent(*pair) for pair in pairs) > 0.8 * len(pairs)
