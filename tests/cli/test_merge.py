"""`mtsldsl merge`: what it writes, what it says, and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
from tests.ir.specs import text

BASE = text("sharing {\n  stem = segment, depth, edge, normal\n}\n")
OURS = BASE.replace("stem = segment, depth", "stem = segment + depth")
THEIRS = BASE.replace("edge, normal", "edge + normal  # alike").replace("epochs = 4", "epochs = 8")


def merge(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["merge", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, content in (("base", BASE), ("ours", OURS), ("theirs", THEIRS)):
        Path(f"{name}.mtl").write_text(content, encoding="utf-8")
    return tmp_path


def test_a_merge_goes_to_standard_output_or_to_a_file(folder: Path) -> None:
    done = merge("base.mtl", "ours.mtl", "theirs.mtl")
    assert done.exit_code == 0
    assert done.stderr == ""
    assert done.stdout == THEIRS.replace("stem = segment, depth", "stem = segment + depth")
    assert merge("base.mtl", "ours.mtl", "theirs.mtl", "-o", "ours.mtl").output == ""
    assert Path("ours.mtl").read_text(encoding="utf-8") == done.stdout


def test_conflicts_are_marked_in_the_text_and_named_on_standard_error(folder: Path) -> None:
    Path("ours.mtl").write_text(OURS.replace("epochs = 4", "epochs = 6"), encoding="utf-8")
    done = merge("base.mtl", "ours.mtl", "theirs.mtl", "-o", "out.mtl")
    assert done.exit_code == 1
    assert done.stderr == "ours.mtl: conflict at train.epochs: `4` became `6` in ours and `8` in theirs\n"
    written = Path("out.mtl").read_text(encoding="utf-8")
    assert "<<<<<<< ours\n  epochs = 6\n=======\n  epochs = 8\n>>>>>>> theirs\n" in written
    assert "stem = segment + depth, edge + normal  # alike" in written


def test_line_endings_and_the_byte_order_mark_of_ours_stay(folder: Path) -> None:
    ours = OURS.replace("\n", "\r\n").encode("utf-8-sig")
    Path("ours.mtl").write_bytes(ours)
    assert merge("base.mtl", "ours.mtl", "theirs.mtl", "-o", "out.mtl").exit_code == 0
    wanted = THEIRS.replace("stem = segment, depth", "stem = segment + depth").replace("\n", "\r\n")
    assert Path("out.mtl").read_bytes() == wanted.encode("utf-8-sig")


def test_the_markers_can_be_longer(folder: Path) -> None:
    Path("ours.mtl").write_text(OURS.replace("epochs = 4", "epochs = 6"), encoding="utf-8")
    assert "\n<<<<<<<<< ours\n" in merge("base.mtl", "ours.mtl", "theirs.mtl", "--marker-size", "9").stdout


def test_a_side_that_is_no_spec_is_an_error_and_nothing_is_written(folder: Path) -> None:
    Path("theirs.mtl").write_text(THEIRS.replace("epochs", "epoch"), encoding="utf-8")
    done = merge("base.mtl", "ours.mtl", "theirs.mtl", "-o", "out.mtl")
    assert done.exit_code == 2
    assert "theirs.mtl:" in done.stderr
    assert not Path("out.mtl").exists()


def test_sides_that_are_no_specs_can_be_merged_line_by_line(folder: Path) -> None:
    Path("theirs.mtl").write_text(THEIRS.replace("epochs", "epoch"), encoding="utf-8")
    done = merge("base.mtl", "ours.mtl", "theirs.mtl", "-o", "out.mtl", "--or-lines")
    assert done.exit_code == 1
    assert "merged line by line" in done.stderr
    written = Path("out.mtl").read_text(encoding="utf-8")
    assert "epoch = 8" in written
    assert "<<<<<<< ours\n  stem = segment + depth, edge, normal\n=======\n" in written


def test_messages_and_imports_are_of_the_given_path(folder: Path) -> None:
    Path("specs").mkdir()
    Path("specs/unit.mtl").write_text("mtl 1\n\nblock unit() = conv2d(16, 3)\n", encoding="utf-8")
    for name in ("base", "ours", "theirs"):
        path = Path(f"{name}.mtl")
        content = path.read_text(encoding="utf-8").replace("mtl 1\n", 'mtl 1\n\nimport "unit.mtl"\n')
        path.write_text(content.replace("enc2 = conv2d(16, 3)", "enc2 = unit"), encoding="utf-8")
    assert merge("base.mtl", "ours.mtl", "theirs.mtl").exit_code == 2
    done = merge("base.mtl", "ours.mtl", "theirs.mtl", "--path", "specs/a.mtl")
    assert done.exit_code == 0
    assert "stem = segment + depth, edge + normal  # alike" in done.stdout


def test_a_dash_is_standard_output_and_a_folder_no_file(folder: Path) -> None:
    done = merge("base.mtl", "ours.mtl", "theirs.mtl", "-o", "-")
    assert done.stdout == THEIRS.replace("stem = segment, depth", "stem = segment + depth")
    assert not Path("-").exists()
    done = merge("base.mtl", "ours.mtl", "theirs.mtl", "-o", ".")
    assert done.exit_code == 2
    assert "-o takes the file to write, and . is a folder" in done.stderr


def test_the_markers_have_the_names_that_are_given(folder: Path) -> None:
    Path("ours.mtl").write_text(OURS.replace("epochs = 4", "epochs = 6"), encoding="utf-8")
    labels = ("-L", "HEAD", "-L", "abc123", "-L", "feature")
    written = merge("base.mtl", "ours.mtl", "theirs.mtl", *labels).stdout
    assert "<<<<<<< HEAD\n  epochs = 6\n=======\n  epochs = 8\n>>>>>>> feature\n" in written
    unknown = ("-L", "%X", "-L", "%S", "-L", "%Y")
    assert "<<<<<<< ours\n" in merge("base.mtl", "ours.mtl", "theirs.mtl", *unknown).stdout


def test_lines_are_said_to_be_merged_only_after_that_was_done(folder: Path) -> None:
    Path("theirs.mtl").write_text(THEIRS.replace("epochs", "epoch"), encoding="utf-8")
    done = merge("HEAD:base.mtl", "ours.mtl", "theirs.mtl", "--or-lines")
    assert done.exit_code == 2
    assert "line by line" not in done.stderr


def test_lines_that_git_merges_without_conflict_are_no_conflict(folder: Path) -> None:
    base = BASE.replace("stem = segment, depth,", "stem = segment,")
    for name, content in (("base", base), ("ours", BASE), ("theirs", base.replace("mtl 1\n", "mtl 1  # alike\n"))):
        Path(f"{name}.mtl").write_text(content, encoding="utf-8")
    done = merge("base.mtl", "ours.mtl", "theirs.mtl", "--or-lines")
    assert done.exit_code == 0
    assert "base.mtl:" in done.stderr
    assert "merged line by line" in done.stderr
    assert done.stdout == BASE.replace("mtl 1\n", "mtl 1  # alike\n")


def test_conflicts_of_the_base_count_as_its_first_side(folder: Path) -> None:
    marked = "<<<<<<< a\n  epochs = 4\n=======\n  epochs = 7\n>>>>>>> b"
    Path("base.mtl").write_text(BASE.replace("  epochs = 4", marked), encoding="utf-8")
    done = merge("base.mtl", "ours.mtl", "theirs.mtl")
    assert done.exit_code == 0
    assert done.stdout == THEIRS.replace("stem = segment, depth", "stem = segment + depth")
