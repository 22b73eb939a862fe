"""The colours of pages: text and lines stand out from what is behind them, in the light and in the dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from mtsldsl.runtime.run.drawing import COLOURS, MARKERS, SIGNS
from tests.page_rules import contrast, palettes

STYLE = (files("mtsldsl.pages") / "templates" / "style.css.jinja").read_text(encoding="utf-8")
LIGHT, DARK = palettes(STYLE)
TEXT, LINE = 4.5, 3.0
"""The least contrasts that WCAG 2.2 asks for at level AA."""

FILLED = ["own", "shared", "uses", "merge", "split", "both", "one"]


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out(colours: dict[str, str]) -> None:
    assert all(contrast(colours[text], colours["page"]) >= TEXT for text in ("ink", "soft", "link"))
    assert all(contrast(colours["ink"], colours[fill]) >= TEXT for fill in FILLED)
    lines = ["rule", *(f"{fill}-line" for fill in FILLED)]
    assert all(contrast(colours[line], colours["page"]) >= LINE for line in lines)


def test_every_colour_of_the_style_has_a_name_in_the_light_and_in_the_dark() -> None:
    assert LIGHT.keys() == DARK.keys()
    rest = re.sub(r":root \{.*?\}", "", STYLE, flags=re.S)
    assert not re.search(r"#[0-9a-f]{3,8}\b", rest)
    assert set(re.findall(r"var\(--([\w-]+)\)", rest)) <= LIGHT.keys()


def test_curves_stand_out_and_are_told_apart_without_colours() -> None:
    for page in (LIGHT["page"], DARK["page"]):
        assert min(contrast(colour, page) for colour in COLOURS) >= LINE
    assert len(set(COLOURS)) == len(set(MARKERS)) == len(set(SIGNS)) == len(COLOURS)
