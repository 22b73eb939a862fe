"""`mtsldsl git`: real git merges specs by what they mean."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.spec.specs import text

BASE = text("sharing {\n  stem = segment, depth, edge, normal\n  enc1 = segment, depth, edge, normal\n}\n")
LINE = "*.mtl diff=mtsldsl merge=mtsldsl"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command in a new repository, with a home of its own and nobody's configuration."""
    home, folder = tmp_path / "home", tmp_path / "repository"
    home.mkdir()
    folder.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "XDG_"))}
    names = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**kept, **names, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_MERGE_AUTOEDIT": "no"}

    def execute(*command: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", *command] if command[0] == "mtsldsl" else list(command)
        return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    assert execute("git", "init", "--quiet", "--initial-branch=main").returncode == 0
    return execute


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repository"


def evolve(run: Run, folder: Path, base: str, ours: str, theirs: str) -> subprocess.CompletedProcess[str]:
    """Two branches from one base, each with its own version of a spec, and the merge of theirs into ours."""
    assert run("mtsldsl", "git", "install").returncode == 0
    for branch, content in (("main", base), ("theirs", theirs), ("main", ours)):
        if branch != "main" or content is ours:
            run("git", "checkout", "--quiet", *(["-b"] if branch == "theirs" else []), branch)
        (folder / "a.mtl").write_text(content, encoding="utf-8")
        run("git", "add", ".")
        assert run("git", "commit", "--quiet", "-m", branch).returncode == 0
    return run("git", "merge", "theirs")


def test_two_branches_that_evolved_one_spec_merge_into_the_join(run: Run, folder: Path) -> None:
    ours = BASE.replace("stem = segment, depth, edge", "stem = segment + depth, edge").replace(
        "enc1 = segment, depth", "enc1 = segment + depth"
    )
    theirs = BASE.replace("stem = segment, depth, edge", "stem = segment, depth + edge").replace(
        "epochs = 4", "epochs = 8  # longer"
    )
    done = evolve(run, folder, BASE, ours, theirs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "a.mtl").read_text(encoding="utf-8") == BASE.replace(
        "stem = segment, depth, edge", "stem = segment + depth + edge"
    ).replace("enc1 = segment, depth", "enc1 = segment + depth").replace("epochs = 4", "epochs = 8  # longer")
    assert run("git", "status", "--porcelain").stdout == ""


def test_a_true_conflict_stops_with_markers_and_the_file_is_unmerged(run: Run, folder: Path) -> None:
    base = BASE.replace("stem = segment, depth", "stem = segment + depth")
    done = evolve(
        run, folder, base, BASE, base.replace("stem = segment + depth, edge", "stem = segment + depth + edge")
    )
    assert done.returncode == 1
    assert "a.mtl: conflict at sharing.stem: one side split what the other merged" in done.stdout + done.stderr
    assert run("git", "status", "--porcelain").stdout == "UU a.mtl\n"
    assert (
        "sharing {\n"
        "<<<<<<< ours\n"
        "  stem = segment, depth, edge, normal\n"
        "=======\n"
        "  stem = segment + depth + edge, normal\n"
        ">>>>>>> theirs\n"
        "  enc1 = segment, depth, edge, normal\n"
        "}\n"
    ) in (folder / "a.mtl").read_text(encoding="utf-8")


def test_a_spec_that_both_branches_added_is_merged_where_they_agree(run: Run, folder: Path) -> None:
    assert run("mtsldsl", "git", "install").returncode == 0
    run("git", "add", ".")
    assert run("git", "commit", "--quiet", "-m", "base").returncode == 0
    for branch, old, new in (
        ("theirs", "edge, normal", "edge + normal"),
        ("ours", "segment, depth", "segment + depth"),
    ):
        run("git", "checkout", "--quiet", "-b", branch, "main")
        (folder / "a.mtl").write_text(BASE.replace(old, new, 1), encoding="utf-8")
        run("git", "add", ".")
        run("git", "commit", "--quiet", "-m", branch)
    assert run("git", "merge", "theirs").returncode == 0
    assert "stem = segment + depth, edge + normal" in (folder / "a.mtl").read_text(encoding="utf-8")


def test_a_file_that_is_no_spec_is_merged_as_git_would_and_left_to_look_at(run: Run, folder: Path) -> None:
    done = evolve(
        run, folder, BASE, BASE.replace("stem = segment,", "stem ="), BASE.replace("epochs = 4", "epochs = 8")
    )
    assert done.returncode == 1
    assert "MTL403" in done.stdout + done.stderr
    assert run("git", "status", "--porcelain").stdout == "UU a.mtl\n"
    assert "epochs = 8" in (folder / "a.mtl").read_text(encoding="utf-8")


def test_the_head_of_a_hunk_is_its_block(run: Run, folder: Path) -> None:
    run("mtsldsl", "git", "install")
    (folder / "a.mtl").write_text(BASE, encoding="utf-8")
    run("git", "add", ".")
    run("git", "commit", "--quiet", "-m", "base")
    (folder / "a.mtl").write_text(BASE.replace("dec2 = resize_as(stem)", "dec2 = resize_as(enc1)"), encoding="utf-8")
    assert " @@ backbone {\n" in run("git", "diff", "--unified=0").stdout


def test_git_difftool_compares_what_specs_mean(run: Run, folder: Path) -> None:
    run("mtsldsl", "git", "install")
    (folder / "a.mtl").write_text(BASE, encoding="utf-8")
    run("git", "add", ".")
    run("git", "commit", "--quiet", "-m", "base")
    (folder / "a.mtl").write_text(BASE.replace("epochs = 4", "epochs = 8"), encoding="utf-8")
    assert "train.epochs: 4 -> 8" in run("git", "difftool", "-y", "--tool=mtsldsl").stdout


def test_installing_twice_changes_nothing_and_uninstalling_takes_all_away(run: Run, folder: Path) -> None:
    attributes, configuration = folder / ".gitattributes", folder / ".git" / "config"
    attributes.write_text("*.npz binary", encoding="utf-8")
    before = configuration.read_text(encoding="utf-8")
    run("mtsldsl", "git", "install")
    first = attributes.read_text(encoding="utf-8"), configuration.read_text(encoding="utf-8")
    assert first[0] == f"*.npz binary\n{LINE}\n"
    run("mtsldsl", "git", "install")
    assert (attributes.read_text(encoding="utf-8"), configuration.read_text(encoding="utf-8")) == first
    for _ in range(2):
        assert run("mtsldsl", "git", "uninstall").returncode == 0
    assert attributes.read_text(encoding="utf-8") == "*.npz binary\n"
    assert configuration.read_text(encoding="utf-8") == before


def test_a_file_of_attributes_that_nothing_is_left_of_is_gone(run: Run, folder: Path) -> None:
    run("mtsldsl", "git", "install")
    assert (folder / ".gitattributes").read_text(encoding="utf-8") == f"{LINE}\n"
    run("mtsldsl", "git", "uninstall")
    assert not (folder / ".gitattributes").exists()


def test_it_can_be_set_up_for_all_repositories_of_a_user(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("mtsldsl", "git", "install", "--global").returncode == 0
    assert (tmp_path / "home" / ".config" / "git" / "attributes").read_text(encoding="utf-8") == f"{LINE}\n"
    assert "merge: mtsldsl" in run("git", "check-attr", "merge", "a.mtl").stdout
    assert "merge %O %A %B -o %A" in run("git", "config", "merge.mtsldsl.driver").stdout
    assert not (folder / ".gitattributes").exists()
    assert run("mtsldsl", "git", "uninstall", "--global").returncode == 0
    assert run("git", "config", "merge.mtsldsl.driver").returncode == 1


def test_outside_a_repository_it_says_so(run: Run, folder: Path) -> None:
    (folder / ".git").rename(folder.parent / "elsewhere")
    done = run("mtsldsl", "git", "install")
    assert done.returncode == 1
    assert "not a git repository" in done.stderr
    assert "MTL703" in done.stderr
