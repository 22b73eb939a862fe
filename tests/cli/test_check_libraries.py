"""`mtsldsl check` of files that hold blocks for others to import, and of folders."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
from mtsldsl.runtime.run.folder import RunFolder
from tests.ir.specs import BODY

BLOCKS = """\
mtl 1

let width = 8

block cbr(channels, kernel=3, stride=1) =
    conv2d(channels, kernel, stride=stride) | batch_norm | relu

block pair(channels, norm=batch_norm) = residual(cbr(channels) | conv2d(channels, 3) | norm) | skip(enc1)

block skip(layer) = concat(layer) | resize_as(photo)
"""
BACKBONE = """
backbone {
  stem = cbr(width)
  enc1 = cbr(2 * width, stride=2) | resize_as(stem)
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(text: str, *arguments: str) -> Result:
    Path("blocks.mtl").write_text(text)
    return CliRunner().invoke(main, ["check", "blocks.mtl", *arguments], catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BLOCKS, "3 blocks, 1 constant"),
        (BLOCKS + BACKBONE, "3 blocks, 1 constant, a backbone of 2 layers"),
        ("mtl 1\nbackbone {\n  stem = relu\n}\n", "a backbone of 1 layer"),
        ("mtl 1\nlet width = 8\n", "1 constant"),
        ('mtl 1\nimport "other.mtl"\n', "1 import"),
    ],
)
def test_a_sound_file_of_blocks_is_a_library(folder: Path, text: str, said: str) -> None:
    (folder / "other.mtl").write_text("mtl 1\nlet height = 8\n")
    done = check(text, "--strict")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"blocks.mtl: a library to import: {said}\n"


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("conv2d(channels, kernel, stride=stride)", "conv2d(channels, kernel, strid=stride)", "MTL203"),
        ("conv2d(channels, kernel, stride=stride)", "conv2d(channels, kernel, stride=0)", "MTL202"),
        ("conv2d(channels, kernel, stride=stride)", "conv2d(kernel_size=kernel)", "MTL204"),
        ("conv2d(channels, kernel, stride=stride)", "convv2d(channels, kernel)", "MTL107"),
        ("kernel=3, stride=1", 'kernel="3", stride=1', "MTL201"),
        ("residual(cbr(channels)", "residual(cbr(chanels=channels)", "MTL203"),
        ("| skip(enc1)", "| pair(4)", "MTL111"),
        ("let width = 8", "let width = 8\nlet width = 9", "MTL108"),
        ("mtl 1\n", 'mtl 1\nimport "none.mtl"\n', "MTL113"),
        ("batch_norm | relu", "batch_norm relu", "MTL001"),
    ],
)
def test_its_mistakes_are_found_without_a_use(folder: Path, right: str, wrong: str, code: str) -> None:
    done = check((BLOCKS + BACKBONE).replace(right, wrong, 1), "--output-format", "json")
    assert done.exit_code == 1
    assert [found["code"] for found in json.loads(done.stdout)["diagnostics"]] == [code]


def test_a_mistake_in_its_backbone_is_found(folder: Path) -> None:
    done = check(BLOCKS + BACKBONE.replace("stride=2", "strid=2"))
    assert done.exit_code == 1
    assert done.stderr.count("error MTL203") == done.stderr.count("error") == 1


def test_its_mistakes_are_fixed(folder: Path) -> None:
    done = check(BLOCKS.replace("stride=stride", "strid=stride"), "--fix")
    assert (done.exit_code, Path("blocks.mtl").read_text()) == (0, BLOCKS)


def test_a_constant_may_be_set(folder: Path) -> None:
    assert check(BLOCKS + BACKBONE, "--set", "width=16").exit_code == 0
    done = check(BLOCKS + BACKBONE, "--set", "width=-4")
    assert (done.exit_code, done.stderr.count("error MTL202")) == (1, 1)


@pytest.mark.parametrize("kind", ["data", "task", "train"])
def test_a_spec_that_lacks_something_is_no_library(folder: Path, kind: str) -> None:
    blocks = BODY.split("\n\n")
    done = check("\n\n".join(each for each in blocks if not each.startswith(kind)))
    assert done.exit_code == 1
    assert f"there is no block `{kind}`" in done.stderr


def test_a_text_without_anything_is_no_library(folder: Path) -> None:
    assert check("mtl 1\n").stderr.count("error MTL103") == 4


def test_a_folder_is_checked_file_by_file(folder: Path) -> None:
    Path("lib/.old").mkdir(parents=True)
    Path("lib/spec.mtl").write_text(BODY)
    Path("lib/blocks.mtl").write_text(BLOCKS)
    Path("lib/wrong.mtl").write_text(BLOCKS.replace("relu", "rellu()"))
    Path("lib/.old/broken.mtl").write_text("{")
    done = CliRunner().invoke(main, ["check", ".", "lib/spec.mtl"], catch_exceptions=False)
    assert done.exit_code == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["lib/blocks.mtl", "lib/spec.mtl"]
    assert done.stderr.startswith("lib/wrong.mtl:6:")
    assert "1 problem" in done.stderr


def test_a_folder_without_specs_is_told(folder: Path) -> None:
    done = CliRunner().invoke(main, ["check", "."], catch_exceptions=False)
    assert (done.exit_code, done.stderr) == (0, ".: there is no .mtl file in this folder\n")


# What a person did not write


def lay_out(folder: Path) -> None:
    """A project with a spec, a finished run under another name than `runs`, and an environment with a spec in it."""
    run, environment = folder / "results" / "first", folder / "python" / "lib"
    for place in (run / "checkpoints" / "epoch-001", run / "evolution", environment, folder / "ignored"):
        place.mkdir(parents=True)
    (run / "events.jsonl").touch()
    (folder / "python" / "pyvenv.cfg").touch()
    for place in (folder, run, run / "checkpoints" / "epoch-001", run / "evolution", environment, folder / "ignored"):
        (place / "spec.mtl").write_text(UGLY, encoding="utf-8")


def test_a_run_is_one_from_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create(tmp_path / "results", "s")
    (run.path / "spec.mtl").write_text(UGLY, encoding="utf-8")  # no event is written before the data is there
    (tmp_path / "spec.mtl").write_text("mtl 1\nlet a = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["fmt", "--check", "."], catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, "")


UGLY = "mtl 1\nlet   a = 1\n"


def ugly(folder: Path) -> set[str]:
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*.mtl") if each.read_text() == UGLY}


@pytest.mark.parametrize("with_git", [True, False])
def test_a_folder_is_searched_for_what_a_person_wrote(
    with_git: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    if with_git:
        subprocess.run(["git", "init", "--quiet"], check=True)
        (tmp_path / ".gitignore").write_text("/ignored/\n", encoding="utf-8")
    before = ugly(tmp_path)
    assert CliRunner().invoke(main, ["fmt", "."], catch_exceptions=False).exit_code == 0
    changed = before - ugly(tmp_path)
    assert changed == ({"spec.mtl"} if with_git else {"spec.mtl", "ignored/spec.mtl"})


@pytest.mark.parametrize("named", ["results/first", "results/first/spec.mtl", "ignored", "python/lib/spec.mtl"])
def test_what_is_named_is_taken_whatever_it_is(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    (tmp_path / ".gitignore").write_text("/ignored/\n/python/\n", encoding="utf-8")
    before = ugly(tmp_path)
    assert CliRunner().invoke(main, ["fmt", named], catch_exceptions=False).exit_code == 0
    assert before - ugly(tmp_path) >= {named if named.endswith(".mtl") else f"{named}/spec.mtl"}
