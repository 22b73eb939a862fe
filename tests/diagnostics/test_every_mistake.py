"""Every independent mistake of a text in one run, in its writing and in its meaning, each once and on its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import Diagnostic, MtlError, Source, render_all
from mtsldsl.spec.checking import check

PLANTED = Path(__file__).parent / "planted" / "twenty.mtl"
SPEC = Path(__file__).parents[2] / "specs" / "scenes.mtl"
LEARNED = """
sharing {
  stem..enc1 = all
  enc2       = segment + edge, depth, normal
}

history {
  merge(epoch=2, layer=enc2, tasks=segment + edge, similarity=0.95)
}
"""
SOUND = SPEC.read_text(encoding="utf-8") + LEARNED


def reports(text: str, name: str = "t.mtl") -> tuple[Diagnostic, ...]:
    return check(Source(name, text)).diagnostics


def planted(text: str) -> list[int]:
    """The lines on which a mistake is planted."""
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if "# planted: " in line]
    above = [number - 2 for number, line in enumerate(text.splitlines(), start=1) if "planted there" in line]
    return sorted([*lines, *above])


def test_every_planted_mistake_is_reported_once_on_its_line() -> None:
    text = PLANTED.read_text(encoding="utf-8")
    found = reports(text, PLANTED.name)
    assert [each.place[0] for each in found] == planted(text)
    assert len(found) >= 20
    expected = PLANTED.with_suffix(".expected")
    said = f"{render_all(found)}\n"
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


def test_the_planted_mistakes_are_of_both_kinds() -> None:
    codes = [each.code for each in reports(PLANTED.read_text(encoding="utf-8"))]
    assert sum(code.startswith("MTL0") for code in codes) >= 5
    assert sum(not code.startswith("MTL0") for code in codes) >= 10


def test_a_clean_text_has_no_report() -> None:
    assert reports(SOUND) == ()


def _slips() -> list[tuple[int, str]]:
    lines = SOUND.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    return [
        (start + column, kind)
        for start, line in zip(starts, lines, strict=True)
        for column, character in enumerate(line.partition("#")[0])
        if character in '(){}[]|+*,="'
        for kind in ("left out", "typed twice")
    ]


SAME_NAME = ("block basic", "block up")
"""Where a sign is left out of a block's parameters, names run together: then other names are missing indeed."""


@pytest.mark.parametrize("kind", ["left out", "typed twice"])
def test_one_slip_anywhere_gives_one_report(kind: str) -> None:
    more = []
    for index, which in _slips():
        line = SOUND[SOUND.rfind("\n", 0, index) + 1 : SOUND.find("\n", index)]
        if which != kind or (line.startswith(SAME_NAME) and kind == "left out"):
            continue
        middle = SOUND[index] * 2 if kind == "typed twice" else ""
        found = reports(SOUND[:index] + middle + SOUND[index + 1 :])
        if len(found) > 1:
            more.append((line, index, [each.code for each in found]))
    assert more == []


def test_each_line_left_out_but_one_never_hides_what_is_wrong_elsewhere() -> None:
    wrong = SOUND.replace("epochs    = 14", "epochs    = 0")
    for line in ("  batch   = 16\n", "  loss   = l1\n", "  enc2 = basic(24, stride=2)\n"):
        spoilt = wrong.replace(line, line.replace("=", "= =", 1))
        assert {each.code for each in reports(spoilt)} == {"MTL001", "MTL202"}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("data scenes {", "data scenes = {"),
        ("task depth {", "task depth = {"),
        ("task depth {", 'task "depth" {'),
        ("task depth {", "task depth\n{"),
        ("task depth {", "task depth\n  {"),
        ("backbone {", "backbone\n\t{"),
        ("backbone {", "backbone: {"),
        ("train {", "train"),
        ("structure mtsl {", "structure mtsl ("),
        ("block up(channels, skip) =", "block up(channels, skip) = {"),
        ("block up(channels, skip) =", "block up(channels, skip)\n  ="),
        ("mtl 1", "mtl\n  1"),
        ("mtl 1", "mtl one"),
        ("mtl 1", "mlt 1"),
        ("mtl 1", "mtl: 1"),
        ("mtl 1", "mtl 1e999"),
        ("epochs    = 14", "epochs    14"),
        ("epochs    = 14", "epochs    : 14"),
        ("epochs    = 14", "epochs    = 1e999"),
        ("enc1 = basic(12)", "1enc = basic(12)"),
        ("enc1 = basic(12)", '"enc1" = basic(12)'),
        ("threshold  = 0.9", "threshold  = .9"),
        ("stem..enc1 = all", "stem...enc1 = all"),
    ],
)
def test_a_line_that_is_miswritten_is_the_only_report(line: str, wrong: str) -> None:
    assert SOUND.count(line) == 1
    found = reports(SOUND.replace(line, wrong))
    assert len(found) == 1, render_all(found)
    assert found[0].code.startswith("MTL0")


@pytest.mark.parametrize(
    ("line", "wrong", "code"),
    [
        ("train {", "trian {", "MTL101"),
        ("backbone {", "backbon {", "MTL101"),
        ("task depth {", "tsk depth {", "MTL101"),
        ("data scenes {", "dat scenes {", "MTL101"),
        ("data scenes {", "data scens {", "MTL110"),
        ("task depth {", "task {", "MTL110"),
        ("block basic", "blok basic", "MTL101"),
        ("epochs    = 14", "epoch     = 14", "MTL104"),
        ("input   = image", "imput   = image", "MTL104"),
        ("input   = image(3, 64, 64)", "input   = image(3, 0, 64)", "MTL202"),
        ("batch   = 16", "batch   = 0", "MTL202"),
        ("optimizer = adam", "optimizer = adm", "MTL206"),
        ("target = values(1)", "target = valeus(1)", "MTL206"),
        ("enc2 = basic(24, stride=2)", "enc2 = basic(24, strde=2)", "MTL203"),
    ],
)
def test_a_misspelt_name_is_the_only_report(line: str, wrong: str, code: str) -> None:
    assert SOUND.count(line) == 1
    found = reports(SOUND.replace(line, wrong))
    assert [each.code for each in found] == [code], render_all(found)


WORDS = st.sampled_from(
    ["{", "}", "(", ")", "[", "]", "=", "|", ",", "+", "*", "\n", '"', "#", "..", ":", "let", "block", "task", "é"]
)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_done_to_a_text_ends_with_reports_in_order(data: st.DataObject) -> None:
    text = SOUND
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.sampled_from([0, 0, 1, 3, 40])))
        text = text[:start] + data.draw(WORDS) + text[end:]
    found = reports(text)
    assert [each.place for each in found] == sorted(each.place for each in found)


def test_the_order_of_the_reports_is_that_of_their_places() -> None:
    found = reports(PLANTED.read_text(encoding="utf-8"))
    assert [each.place for each in found] == sorted(each.place for each in found)


def test_an_error_carries_the_reports_of_both_kinds() -> None:
    from mtsldsl.spec import loads

    with pytest.raises(MtlError) as caught:
        loads(SOUND.replace("epochs    = 14", "epochs    = 0").replace("batch   = 16", "batch   = 1 6"))
    assert [each.code for each in caught.value.diagnostics] == ["MTL001", "MTL202"]
