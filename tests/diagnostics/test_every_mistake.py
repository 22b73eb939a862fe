"""Every independent mistake of a text in one run, in its writing and in its meaning, each once and on its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import Diagnostic, MtlError, Source, render_all
from mtsldsl.editing.checking import check

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
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.soak)])
def test_one_slip_anywhere_gives_one_report(kind: str, every: int) -> None:
    more = []
    for index in [index for index, which in _slips() if which == kind][::every]:
        line = SOUND[SOUND.rfind("\n", 0, index) + 1 : SOUND.find("\n", index)]
        if line.startswith(SAME_NAME) and kind == "left out":
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
    from mtsldsl.editing import loads

    with pytest.raises(MtlError) as caught:
        loads(SOUND.replace("epochs    = 14", "epochs    = 0").replace("batch   = 16", "batch   = 1 6"))
    assert [each.code for each in caught.value.diagnostics] == ["MTL001", "MTL202"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("train {", "train:"),
        ("task depth {", "task depth:"),
        ("backbone {", "backbone:"),
        ("structure mtsl {", "[structure]"),
        ("train {", "[train]"),
    ],
)
def test_a_block_without_braces_is_one_report(line: str, wrong: str) -> None:
    """As YAML, TOML and INI files have them."""
    start = SOUND.index(line)
    end = SOUND.index("\n}", start)
    found = reports(SOUND[:start] + wrong + SOUND[start + len(line) : end] + SOUND[end + 2 :])
    label = 1 if wrong == "[structure]" else 0  # its own mistake: it says no method
    assert len(found) == 1 + label, render_all(found)
    assert all(each.place[0] == SOUND.count("\n", 0, start) + 1 for each in found)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("  epochs    = 14", "  epochs    = 14\n  let depth_limit = 3"),
        ("  epochs    = 14", '  epochs    = 14\n  let unused = "a"'),
        ("  seed      = 0\n}", "  seed      = 0\nend"),
        ("  enc2 = basic(24, stride=2)", "}\n  enc2 = basic(24, stride=2)"),
        ("block up(channels, skip)", "block up(channels, skip, skip)"),
        ("block up(channels, skip)", "block up(channels, skip, conv2d=1)"),
        ("data scenes {", "let relu = 16\n\ndata scenes {"),
        ("data scenes {", "let conv2d = 16\n\ndata scenes {"),
        ("data scenes {", "block batch_norm(c) = relu\n\ndata scenes {"),
        ("data scenes {", "let x = 1 let y = relu\n\ndata scenes {"),
        ("backbone {", "layers {"),
        ("backbone {", "net {"),
        ("train {", "training {"),
    ],
)
def test_a_habit_from_elsewhere_is_one_report(line: str, wrong: str) -> None:
    assert SOUND.count(line) == 1
    found = reports(SOUND.replace(line, wrong))
    assert len(found) == 1, render_all(found)


def test_a_text_with_carriage_returns_alone_has_one_report_beside_its_own() -> None:
    found = reports(SOUND.replace("\n", "\r"))
    assert [(each.code, each.place[0]) for each in found] == [("MTL003", 1)]
    wrong = reports(SOUND.replace("epochs    = 14", "epochs    = 0").replace("\n", "\r"))
    line = SOUND.count("\n", 0, SOUND.index("epochs    = 14")) + 1
    assert [(each.code, each.place[0]) for each in wrong] == [("MTL003", 1), ("MTL202", line)]


@pytest.mark.parametrize("value", ['"16"', "16.5", "0", "-16", "wdth", "[16]", "true"])
def test_a_wrong_constant_is_reported_once_where_it_is_defined(value: str) -> None:
    text = (SPEC.parent / "nyuv2_small.mtl").read_text(encoding="utf-8")
    assert "let width = 16" in text
    (found,) = reports(text.replace("let width = 16", f"let width = {value}"))
    assert found.span is not None
    assert found.span.text == value
    assert "`width`" in found.cause
    assert "did you mean `width`" not in found.remedy


def test_a_constant_that_is_right_elsewhere_is_reported_where_it_is_wrong() -> None:
    wrong = SOUND.replace("mtl 1\n", "mtl 1\n\nlet size = 16\n").replace("batch   = 16", "batch   = size")
    found = reports(wrong.replace("optimizer = adam(lr=2e-3)", "optimizer = size"))
    assert [(each.code, each.span and each.span.text) for each in found] == [("MTL201", "size")]


def test_all_arguments_of_a_call_are_judged_beside_an_unknown_one() -> None:
    text = SOUND.replace("adam(lr=2e-3)", "adam(lr=-1, eps=-2, q=3)")
    assert [each.code for each in reports(text)] == ["MTL202", "MTL202", "MTL203"]
    text = SOUND.replace("enc1 = basic(12)", 'enc1 = conv2d(widht, "3", stride="x", strid=4, groups=0)')
    assert [each.code for each in reports(text)] == ["MTL107", "MTL201", "MTL201", "MTL203", "MTL202"]
    text = SOUND.replace("similarity=0.95", 'similarity="0.95"').replace("merge(epoch=2", "merge(epch=2")
    assert [each.code for each in reports(text)] == ["MTL203", "MTL201"]


def test_a_constant_without_its_name_is_one_report_and_hides_no_other_name() -> None:
    text = (SPEC.parent / "nyuv2_small.mtl").read_text(encoding="utf-8").replace("let width = 16", "let = 16")
    assert [each.code for each in reports(text)] == ["MTL001"]
    wrong = SOUND.replace("mtl 1\n", "mtl 1\n\nlet = 3\n").replace("enc1 = basic(12)", "enc1 = basic(width)")
    assert [each.code for each in reports(wrong)] == ["MTL001", "MTL107"]


def test_what_is_wrong_whatever_a_broken_layer_gives_is_reported() -> None:
    broken = SOUND.replace("enc1 = basic(12)", "enc1 = basic()")
    assert [each.code for each in reports(broken)] == ["MTL204"]
    wide = broken.replace("head   = conv2d(1, 1) | resize_as(image)", "head   = conv2d(2, 1) | resize_as(image)", 1)
    assert wide != broken
    assert sorted(each.code for each in reports(wide)) == ["MTL204", "MTL303"]
    unsized = broken.replace("head   = conv2d(1, 1) | resize_as(image)", "head   = conv2d(1, 1)", 1)
    assert [each.code for each in reports(unsized)] == ["MTL204"]  # it may be of the right size


@pytest.mark.parametrize(
    ("line", "wrong", "name"),
    [
        ("enc2 = basic(24", "ecn2 = basic(24", "ecn2"),
        ("block basic", "block bsaic", "bsaic"),
        ("task edge {", "task egde {", "egde"),
        ("image(3, 64, 64)", "photo(3, 64, 64)", "photo"),
    ],
)
def test_a_name_that_is_misspelt_where_it_is_given_is_one_report_there(line: str, wrong: str, name: str) -> None:
    assert SOUND.count(line) == 1
    (found,) = reports(SOUND.replace(line, wrong))
    assert found.span is not None
    assert (found.code, found.span.text) == ("MTL107", name)
    assert found.fix is None


def test_an_operator_that_is_misspelt_twice_is_two_reports() -> None:
    text = SOUND.replace("task segment {", "let spare = gelu | tanh\n\ntask segment {")
    text = text.replace("enc1 = basic(12)", "enc1 = basic(12) | gleu").replace(
        "enc2 = basic(24, stride=2)", "enc2 = basic(24, stride=2) | gleu"
    )
    assert [each.cause for each in reports(text)] == ["`gleu` is no operator, block or layer"] * 2
