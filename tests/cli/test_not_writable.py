"""What cannot be written, the output or a run folder, is a report and an exit status, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import prepared

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs" / "scenes.mtl"
FULL = Path("/dev/full")

COMMANDS = {
    "--help": 1,
    "--version": 1,
    "check --help": 1,
    f"check {SPEC}": 1,
    f"check --output-format json {SPEC}": 1,
    "explain MTL206": 1,
    f"show {SPEC}": 1,
    f"diff {SPEC} {ROOT / 'specs' / 'nyuv2.mtl'}": 2,
    f"merge {SPEC} {SPEC} {SPEC}": 2,
    "completion bash": 1,
    f"compile {SPEC} -o out": 1,
}
"""The exit status of commands whose output is not taken."""


def started(command: str, folder: Path, output: object) -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-m", "mtsldsl", *command.split()]
    return subprocess.run(words, cwd=folder, stdout=output, stderr=subprocess.PIPE, check=False)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_output_is_a_report(command: str, tmp_path: Path) -> None:
    with FULL.open("wb") as full:
        done = started(command, tmp_path, full)
    assert b"error MTL703: the output, or a file, cannot be written: No space left on device" in done.stderr
    assert done.returncode == COMMANDS[command]
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_seen_enough_is_no_matter(command: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = started(command, tmp_path, closed)
    assert done.stderr == b""


def test_a_run_folder_that_cannot_be_made_is_a_report(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    for options, place in (("", "runs"), ("--runs /proc/runs", "/proc/runs"), ("--runs /dev/null/x", "/dev/null/x")):
        done = prepared.run("-m", "mtsldsl", "train", str(SPEC), *options.split(), cwd=tmp_path)
        assert done.returncode == 1
        assert f"error MTL703: {place}" in done.stderr
        assert "no run folder can be made here" in done.stderr
        assert "--runs FOLDER" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_disk_that_is_full_during_a_run_is_a_report(tmp_path: Path) -> None:
    """Files of more than 20 kB are not taken, which the weights are."""
    program = (
        "import resource, signal, sys\n"
        "sys.dont_write_bytecode = True  # it would be cut off, and stay so\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from mtsldsl.cli import main\n"
        "main(['new', 'a', '--from', 'table'], standalone_mode=False)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "main(['train', 'a.mtl', '--quiet'])\n"
    )
    done = prepared.run("-c", program, cwd=tmp_path)
    assert done.returncode == 1
    assert "error MTL703: " in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.soak
def test_matplotlib_says_nothing_of_its_cache(tmp_path: Path) -> None:
    (tmp_path / "home").touch()  # no folder can be made in it
    prepared.run("-m", "mtsldsl", "new", "a", "--from", "table", cwd=tmp_path)
    text = (tmp_path / "a.mtl").read_text()
    assert "epochs    = 30" in text
    (tmp_path / "a.mtl").write_text(text.partition("structure mtsl")[0].replace("epochs    = 30", "epochs = 1"))
    prepared.run("-m", "mtsldsl", "compile", "a.mtl", cwd=tmp_path)
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "MPLCONFIGDIR": str(tmp_path / "home" / "matplotlib")}
    for words in (["generated/a/train.py"], ["-m", "mtsldsl", "eval", "runs/a/1"]):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "atplotlib" not in done.stderr
