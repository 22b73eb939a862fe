"""The picture of a run's page in the documentation: the commands that the page names make one like it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests import prepared
from tests.docs.pages import DOCS, ROOT, examples
from tests.docs.test_language import words_of
from tests.pages.test_in_a_browser import BROWSER

PICTURE = "docs/report.png"
SHORT = ("--set", "train.epochs=2", "--set", "data.images=128", "--device", "cpu", "--quiet")


def seen(path: Path) -> tuple[tuple[int, int], int]:
    """The size of a picture, and how many colours it has."""
    with Image.open(path) as picture:
        return picture.size, len(picture.convert("RGB").getcolors(picture.width * picture.height) or ())


def commands() -> list[list[str]]:
    """Those of docs/report.md that make the picture."""
    (example,) = [each for each in examples(DOCS / "report.md", "console") if PICTURE in each.text]
    return words_of(example)


def test_the_command_that_is_named_makes_a_picture_of_that_size() -> None:
    train, draw = commands()
    assert train[:2] == ["mtsldsl", "train"]
    size, colours = seen(ROOT / PICTURE)
    assert f"--window-size={size[0]},{size[1]}" in draw
    assert colours > 200


@pytest.mark.soak
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to draw the page with")
def test_a_page_of_the_same_spec_is_drawn_as_the_picture_is(tmp_path: Path) -> None:
    train, draw = commands()
    (tmp_path / "specs").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / train[2]).write_bytes((ROOT / train[2]).read_bytes())
    done = prepared.run("-m", *train, *SHORT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    own = ["--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    subprocess.run([str(BROWSER), *own, *draw[1:-1], (tmp_path / draw[-1]).as_uri()], cwd=tmp_path, check=True)
    size, colours = seen(tmp_path / PICTURE)
    assert size == seen(ROOT / PICTURE)[0]
    assert colours > 200
