"""`mtsldsl diff --html`: what the page holds, and where it may be written."""

from __future__ import annotations

import json
import os
import re
import sys
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mtsldsl.editing import loads
from mtsldsl.pages.saving import Saving
from tests import page_rules
from tests.cli.differing import AFTER, BEFORE, diff
from tests.runtime.test_report import run, spec_text, write

FACT = re.compile(r"<dt>(.*?)</dt><dd>(?:<code>)?(.*?)(?:</code>)?</dd>")


def test_the_page_is_whole_in_itself_and_draws_both_sharings(before: Path, after: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = diff(before, after, "--html", page)
    assert done.output.endswith(f"side by side: {page}\n")
    written = page.read_text(encoding="utf-8")
    page_rules.check(written)
    drawings = [ET.fromstring(each) for each in re.findall(r"<svg.*?</svg>", written, re.S)]
    kinds = [[box.get("class") for box in drawing.iter("rect")] for drawing in drawings]
    assert [each.count("head") for each in kinds] == [4, 4]
    assert [each.count("merge") for each in kinds] == [3, 2]
    assert [sum(kind != "head" for kind in each) for each in kinds] == [3 + 4 * 4, 2 + 4 * 4]
    assert "train.epochs" in written
    diff(before, after, "--html", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == written


@pytest.mark.parametrize("after_is_a_run", [False, True])
def test_a_run_folder_says_what_is_known_of_its_run_below_the_drawing(
    before: Path, tmp_path: Path, after_is_a_run: bool
) -> None:
    folder = run(3, tmp_path)
    first = json.loads(folder.events.read_text(encoding="utf-8").splitlines()[0])
    kind = first.pop("event")
    write(folder, kind, **{**first, "command": "mtsldsl train a.mtl --set x='<1>'"})
    write(folder, "end", folder="x", seconds=12.34, peak_memory_mb=1234.5)
    sides = (before, folder.path) if after_is_a_run else (folder.path, before)
    assert diff(*sides, "--html", tmp_path / "page.html").exit_code == 0
    figures = re.findall("<figure>(.*?)</figure>", (tmp_path / "page.html").read_text(encoding="utf-8"), re.S)
    other, of_run = figures if after_is_a_run else reversed(figures)
    assert "<dl>" not in other
    drawing, facts = of_run.index('<svg class="sharing"'), of_run.index("<dl>")
    assert drawing < facts
    saving = Saving.of(loads(spec_text(3))).words()
    assert "% fewer" in saving
    assert f": {saving} than a network for each task" in of_run
    assert [tuple(map(unescape, each)) for each in FACT.findall(of_run[facts:])] == [
        ("Epoch kept", "3 of 3"),
        ("Chosen by", "gain"),
        ("Time", "12.34 s in all, with at most 1,234 MB of memory"),
        ("Command", "mtsldsl train a.mtl --set x='<1>'"),
    ]


def test_names_and_strings_cannot_break_out_of_the_page(before: Path, tmp_path: Path) -> None:
    odd = tmp_path / "<b>&\" onload='.mtl"
    odd.write_text(AFTER.replace("data scenes {", 'data nyuv2 {\n  root = "</code><script>\'"'), encoding="utf-8")
    assert diff(before, odd, "--html", tmp_path / "page.html").exit_code == 0
    written = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>" not in written
    assert "<script" not in written
    assert "&lt;/code&gt;&lt;script&gt;" in written
    drawing = drawings(tmp_path / "page.html")[1]
    assert drawing.get("aria-label") == f"The sharing of {odd}, the second"
    assert drawing.get("onload") is None


def test_a_page_is_never_written_over_anything_but_a_page(before: Path, after: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("keep me\n", encoding="utf-8")
    (tmp_path / "run").mkdir()
    evolved = tmp_path / "run" / "spec.mtl"
    evolved.write_text(AFTER, encoding="utf-8")
    for target in (before, after, notes, evolved, tmp_path / "new.mtl", tmp_path / "run"):
        kept = target.read_bytes() if target.is_file() else None
        done = diff("--html", target, before, after)
        assert done.exit_code == 2
        assert "--html" in done.stderr
        assert str(target) in done.stderr
        assert (target.read_bytes() if target.is_file() else None) == kept
    page = tmp_path / "page.html"
    for _ in range(2):
        assert diff("--html", page, before, after).exit_code == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_goes_to_standard_output_alone(before: Path, after: Path, tmp_path: Path) -> None:
    diff(before, after, "--html", tmp_path / "page.html")
    done = diff(before, after, "--html", "-")
    assert done.stdout == (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not (Path.cwd() / "-").exists()
    assert diff(before, after, "--html", "-", "--json").exit_code == 2


TASK, LAYER = "t" * 60, "l" * 90
LONG = BEFORE.replace("segment", TASK).replace("depth", "segmentation_of_rooms").replace("enc1", LAYER)
CHARACTER = 0.61 * 12
"""Pixels that a character of the drawing needs: fonts of one width for all have 0.6 of their size."""


def drawings(page: Path) -> list[ET.Element]:
    found = re.findall(r"<svg.*?</svg>", page.read_text(encoding="utf-8"), re.S)
    return [ET.fromstring(each) for each in found]


def test_long_names_fit_into_what_is_drawn_and_are_told_in_full(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mtl").write_text(LONG, encoding="utf-8")
    diff(tmp_path / "a.mtl", tmp_path / "b.mtl", "--html", tmp_path / "page.html")
    both = drawings(tmp_path / "page.html")
    assert len(both) == 2
    for drawing in both:
        boxes = list(drawing.iter("rect"))
        heads = [box for box in boxes if box.get("class") == "head"]
        texts = [text for text in drawing.iter("text") if text.get("class") == "box"]
        assert len(heads) == 4
        for box in heads:
            left, width = float(box.get("x", "")), float(box.get("width", ""))
            (text,) = (text for text in texts[-4:] if left < float(text.get("x", "")) < left + width)
            assert len(text.text or "") * CHARACTER <= width
        assert {box.findtext("title", "").split(";")[0] for box in heads} >= {f"head of {TASK}"}
        labels = [text for text in drawing.iter("text") if text.get("class") == "layer"]
        assert max(len((label.text or "").strip()) for label in labels) * CHARACTER <= min(
            float(box.get("x", "")) for box in boxes
        )
        assert LAYER in [label.findtext("title") for label in labels]
        right = max(float(box.get("x", "")) + float(box.get("width", "")) for box in boxes)
        assert right <= float(drawing.get("width", ""))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_file_whose_name_is_no_text_has_a_page_too(before: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff.mtl")
    odd.write_text(AFTER, encoding="utf-8")
    assert diff(before, odd, "--html", tmp_path / "page.html").exit_code == 0
    assert "?.mtl" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_page_says_what_the_lines_say_of_layers(before: Path, tmp_path: Path) -> None:
    swapped = BEFORE.replace("enc1", "other").replace("enc2", "enc1").replace("other", "enc2")
    moved = swapped.replace("  dec1 =", "  more = gelu\n  dec1 =")
    segment = moved[moved.index("task segment") : moved.index("task depth")]
    after = tmp_path / "after.mtl"
    after.write_text(moved.replace(segment, "").replace("backbone {", f"{segment}backbone {{"), encoding="utf-8")
    diff(before, after, "--html", tmp_path / "page.html")
    written = re.sub(r"\s+", " ", (tmp_path / "page.html").read_text(encoding="utf-8"))
    rows = re.findall(r'<tr class="(\w*)"> <td>(.*?)</td>', written)
    assert rows == [
        ("", "stem"),
        ("", "enc1 &rarr; enc2"),
        ("", "enc2 &rarr; enc1"),
        ("added", "more"),
        ("", "dec1"),
        ("", "dec2"),
    ]
    assert "Tasks in another order" in written


def test_a_layer_that_is_gone_stands_beside_no_layer_that_took_its_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.mtl", tmp_path / "other.mtl"
    lines = "  enc1 = max_pool2d(3, stride=1) | softplus\n  enc2 = conv2d(16, 3) | batch_norm | relu\n"
    start, end = BEFORE.index("  enc1 ="), BEFORE.index("  dec1 =")
    one.write_text(BEFORE[:start] + lines + BEFORE[end:], encoding="utf-8")
    other.write_text(
        BEFORE[:start] + lines.splitlines(True)[1].replace("enc2", "enc1") + BEFORE[end:], encoding="utf-8"
    )
    assert {"layers removed: enc1", "renamed enc2 -> enc1"} <= set(diff(one, other).output.splitlines())
    diff(one, other, "--html", tmp_path / "page.html")
    written = re.sub(r"\s+", " ", (tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [cell for _, cell in re.findall(r'<tr class="(\w*)"> <td>(.*?)</td>', written)][1:3] == [
        "enc1",
        "enc2 &rarr; enc1",
    ]
