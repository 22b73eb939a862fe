from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
from mtsldsl.diagnostics import Source
from mtsldsl.syntax.format import format_text

UGLY = "mtl 1\nlet a=1 # one\n"
CLEAN = f"mtl 1\nlet a = 1{' ' * 36}# one\n"


def fmt(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["fmt", *map(str, arguments)], input=stdin)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "a.mtl"
    path.write_bytes(UGLY.encode())
    return path


def test_a_file_is_rewritten_in_the_one_style_with_its_mode(spec: Path) -> None:
    spec.chmod(0o640)
    done = fmt(spec)
    assert (done.exit_code, done.stdout) == (0, f"{spec}: formatted\n")
    assert spec.read_text() == CLEAN
    assert stat.S_IMODE(spec.stat().st_mode) == 0o640
    assert list(spec.parent.iterdir()) == [spec]


def test_a_file_that_is_clean_is_not_touched(spec: Path) -> None:
    fmt(spec)
    before = spec.stat()
    done = fmt(spec)
    assert (done.exit_code, done.output) == (0, "")
    after = spec.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("options", [["--check"], ["--diff"], ["--check", "--diff"]])
def test_checking_and_showing_the_difference_write_nothing(spec: Path, options: list[str]) -> None:
    assert fmt(*options, spec).exit_code == 1
    assert spec.read_text() == UGLY
    fmt(spec)
    assert fmt(*options, spec).exit_code == 0


def test_check_names_the_files_that_would_change_and_exits_1(spec: Path) -> None:
    clean = spec.with_name("clean.mtl")
    clean.write_text(CLEAN)
    done = fmt("--check", spec, clean)
    assert (done.exit_code, done.stdout) == (1, f"{spec}\n")
    assert "1 file would change" in done.stderr
    assert fmt("--check", clean).exit_code == 0


def test_the_difference_is_a_patch(spec: Path) -> None:
    done = fmt("--diff", spec)
    assert done.stdout.splitlines()[:2] == [f"--- {spec}", f"+++ {spec} (formatted)"]
    assert "-let a=1 # one\n+let a = 1" in done.stdout


def test_the_difference_says_where_a_last_line_end_was_missing(spec: Path) -> None:
    spec.write_text("let a=1")
    assert "-let a=1\n\\ No newline at end of file\n+let a = 1\n" in fmt("--diff", spec).stdout


def test_a_folder_stands_for_the_specs_in_it_without_hidden_ones(spec: Path) -> None:
    for name in ("deep/b.mtl", "deep/er/c.mtl", "deep/notes.txt", ".hidden/d.mtl"):
        path = spec.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(UGLY)
    done = fmt("--check", spec.parent)
    assert sorted(Path(line).name for line in done.stdout.splitlines()) == ["a.mtl", "b.mtl", "c.mtl"]


def test_standard_input_goes_to_standard_output() -> None:
    done = fmt("-", stdin=UGLY.encode())
    assert (done.exit_code, done.stdout) == (0, CLEAN)


def test_line_endings_and_the_byte_order_mark_of_standard_input_are_kept() -> None:
    done = fmt("-", stdin=b"\xef\xbb\xbflet a=1\r\nlet b=2")
    assert done.stdout_bytes == b"\xef\xbb\xbflet a = 1\r\nlet b = 2\r\n"


def test_line_endings_and_the_byte_order_mark_of_a_file_are_kept(spec: Path) -> None:
    spec.write_bytes(b"\xef\xbb\xbflet a=1\r\nlet b=2")
    assert fmt(spec).exit_code == 0
    assert spec.read_bytes() == b"\xef\xbb\xbflet a = 1\r\nlet b = 2\r\n"


def test_checking_standard_input_prints_no_text() -> None:
    done = fmt("--check", "-", stdin=UGLY.encode())
    assert (done.exit_code, done.stdout) == (1, "<stdin>\n")


def test_a_file_with_mistakes_is_reported_and_left_while_others_are_formatted(spec: Path) -> None:
    broken = spec.with_name("broken.mtl")
    broken.write_text("let a=\nlet b  = (1\n")
    done = fmt(broken, spec)
    assert done.exit_code == 2
    assert "error MTL" in done.stderr
    assert broken.read_text() == "let a=\nlet b  = (1\n"
    assert spec.read_text() == CLEAN


@pytest.mark.parametrize("data", [b"\xff\xfe", b"let a = \xe9"])
def test_bytes_that_are_no_text_are_reported(spec: Path, data: bytes) -> None:
    spec.write_bytes(data)
    done = fmt(spec)
    assert done.exit_code == 2
    assert "MTL005" in done.stderr
    assert spec.read_bytes() == data


@pytest.mark.parametrize("arguments", [["-", "a.mtl"], ["--chek", "a.mtl"], ["--stdin-filename", "a.mtl", "a.mtl"]])
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    assert fmt(*arguments).exit_code == 2


def test_a_path_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    done = fmt(tmp_path / "none.mtl")
    assert done.exit_code == 2
    assert "MTL703" in done.stderr


def test_a_link_out_of_the_folder_is_refused(spec: Path) -> None:
    inside = spec.parent / "inside"
    inside.mkdir()
    link = inside / "link.mtl"
    link.symlink_to(spec)
    done = fmt(link)
    assert done.exit_code == 2
    assert "another folder" in done.stderr
    assert spec.read_text() == UGLY


@pytest.mark.skipif(os.name != "posix", reason="names of files are text elsewhere")
def test_a_name_that_is_no_text_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.mtl")
    path.write_text(UGLY)
    assert fmt(tmp_path).exit_code == 0
    assert path.read_text() == CLEAN


@pytest.mark.parametrize("options", [["--check"], ["--diff"]])
def test_a_text_with_mistakes_is_no_text_that_would_change(spec: Path, options: list[str]) -> None:
    broken = spec.with_name("broken.mtl")
    broken.write_text("let a=")
    assert fmt(*options, spec, broken).exit_code == 2
    assert fmt(*options, broken).exit_code == 2


def test_a_save_during_the_formatting_is_kept(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def saved_meanwhile(source: Source) -> str:
        spec.write_text("let a=2  # saved meanwhile\n")
        return format_text(source)

    monkeypatch.setattr("mtsldsl.syntax.format.format_text", saved_meanwhile)
    done = fmt(spec)
    assert done.exit_code == 2
    assert "MTL704" in done.stderr
    assert "was changed meanwhile" in done.stderr
    assert spec.read_text() == "let a=2  # saved meanwhile\n"


def test_the_standard_input_can_have_a_name() -> None:
    assert fmt("--check", "--stdin-filename", "mine.mtl", "-", stdin=UGLY.encode()).stdout == "mine.mtl\n"
    assert "mine.mtl:1:" in fmt("--stdin-filename", "mine.mtl", "-", stdin=b"let a=").stderr


def test_a_folder_without_specs_is_said(tmp_path: Path) -> None:
    done = fmt(tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"{tmp_path}: there is no .mtl file in this folder\n"


def in_a_process(arguments: list[str], **streams: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "mtsldsl", "fmt", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, **streams)


def test_a_pipe_that_is_named_as_a_file_can_be_checked_and_is_not_replaced() -> None:
    checked = in_a_process(["--check", "/dev/stdin"], input=UGLY.encode(), stdout=subprocess.PIPE)
    assert (checked.returncode, checked.stdout) == (1, b"/dev/stdin\n")
    formatted = in_a_process(["/dev/stdin"], input=UGLY.encode(), stdout=subprocess.PIPE)
    assert (formatted.returncode, formatted.stdout) == (2, b"")
    assert b"`-` is the standard input" in formatted.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("options", [["-"], ["--diff", "-"]])
def test_an_output_that_is_full_is_a_problem_and_no_traceback(options: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = in_a_process(options, input=UGLY.encode(), stdout=full)
    assert done.returncode == 2
    assert b"MTL703: the output, or a file, cannot be written: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
