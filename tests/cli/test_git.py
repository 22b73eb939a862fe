"""`mtsldsl git`: real git merges specs by what they mean."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mtsldsl.editing import load
from tests.ir.data_blocks import TWO
from tests.ir.specs import text

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


ROUTED = BASE.replace(
    "  enc1 = segment, depth, edge, normal\n", "  enc1 = wide: segment + depth, plain: edge + normal  # routed\n"
)


def test_two_branches_that_switch_different_alternatives_merge_bit_by_bit(run: Run, folder: Path) -> None:
    base = re.sub(r"(?m)^  enc1 = .*\(.*$", "  enc1 = parallel(wide=conv2d(8, 5), plain=conv2d(8, 3))", ROUTED)
    assert base != ROUTED
    ours = base.replace("wide: segment + depth", "wide: segment")
    theirs = base.replace("plain: edge + normal", "plain: edge + normal + segment")
    merged = evolve(run, folder, base, ours, theirs)
    assert merged.returncode == 0, merged.stdout + merged.stderr
    spec = load(folder / "a.mtl")
    uses = {task: spec.sharing.uses("enc1", task) for task in spec.sharing.tasks}
    assert uses == {"segment": ("wide", "plain"), "depth": (), "edge": ("plain",), "normal": ("plain",)}
    assert "# routed" in (folder / "a.mtl").read_text(encoding="utf-8")


def test_two_branches_that_changed_different_data_blocks_merge(run: Run, folder: Path) -> None:
    ours, theirs = TWO.replace("batch   = 8", "batch   = 4"), TWO.replace("batch = 16", "batch = 2")
    done = evolve(run, folder, TWO, ours, theirs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [data.batch for data in load(folder / "a.mtl").blocks] == [2, 4]


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
    assert re.search(
        r"sharing \{\n"
        r"<<<<<<< \S.*\n"  # what git calls the side, if its version says so
        r"  stem = segment, depth, edge, normal\n"
        r"=======\n"
        r"  stem = segment \+ depth \+ edge, normal\n"
        r">>>>>>> \S.*\n"
        r"  enc1 = segment, depth, edge, normal\n"
        r"\}\n",
        (folder / "a.mtl").read_text(encoding="utf-8"),
    )


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


def test_a_file_that_is_no_spec_is_merged_as_git_would(run: Run, folder: Path) -> None:
    ours = BASE.replace("stem = segment,", "stem =")
    done = evolve(run, folder, BASE, ours, BASE.replace("epochs = 4", "epochs = 8"))
    assert done.returncode == 0
    assert "MTL403" in done.stdout + done.stderr
    assert "a.mtl: merged line by line instead" in done.stdout + done.stderr
    assert (folder / "a.mtl").read_text(encoding="utf-8") == ours.replace("epochs = 4", "epochs = 8")


def test_changes_that_do_not_fit_together_stop_with_markers(run: Run, folder: Path) -> None:
    ours = BASE.replace("conv2d(5, 1) | resize_as(image)", "dec1 | conv2d(5, 1) | resize_as(image)")
    theirs = BASE.replace("  dec1 = concat(enc1) | conv2d(8, 3) | batch_norm | relu\n", "")
    assert evolve(run, folder, BASE, ours, theirs).returncode == 1
    assert "<<<<<<< " in (folder / "a.mtl").read_text(encoding="utf-8")


def test_a_spec_that_uses_what_its_branch_added_to_an_import_is_merged(run: Run, folder: Path) -> None:
    base = BASE.replace("mtl 1\n", 'mtl 1\n\nimport "unit.mtl"\n')
    (folder / "unit.mtl").write_text("mtl 1\n\nblock unit() = conv2d(16, 3)\n", encoding="utf-8")
    run("mtsldsl", "git", "install")
    (folder / "a.mtl").write_text(base, encoding="utf-8")
    run("git", "add", ".")
    run("git", "commit", "--quiet", "-m", "base")
    run("git", "checkout", "--quiet", "-b", "theirs")
    with (folder / "unit.mtl").open("a", encoding="utf-8") as stream:
        stream.write("block other() = conv2d(16, 5)\n")
    (folder / "a.mtl").write_text(base.replace("enc2 = conv2d(16, 3)", "enc2 = other"), encoding="utf-8")
    run("git", "commit", "--quiet", "-am", "theirs")
    run("git", "checkout", "--quiet", "main")
    (folder / "a.mtl").write_text(base.replace("epochs = 4", "epochs = 8"), encoding="utf-8")
    run("git", "commit", "--quiet", "-am", "ours")
    done = run("git", "merge", "theirs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "merged line by line instead" in done.stdout + done.stderr
    merged = (folder / "a.mtl").read_text(encoding="utf-8")
    assert "enc2 = other" in merged
    assert "epochs = 8" in merged


@pytest.mark.soak
def test_branches_that_crossed_are_merged(run: Run, folder: Path) -> None:
    def commit(branch: str, old: str, new: str) -> None:
        run("git", "checkout", "--quiet", branch)
        content = (folder / "a.mtl").read_text(encoding="utf-8")
        assert old in content
        (folder / "a.mtl").write_text(content.replace(old, new), encoding="utf-8")
        run("git", "commit", "--quiet", "-am", "a change")

    run("mtsldsl", "git", "install")
    (folder / "a.mtl").write_text(BASE, encoding="utf-8")
    run("git", "add", ".")
    run("git", "commit", "--quiet", "-m", "base")
    run("git", "branch", "theirs")
    commit("main", "epochs = 4", "epochs = 5")
    commit("theirs", "epochs = 4", "epochs = 6")
    run("git", "branch", "crossed")
    resolved = BASE.replace("epochs = 4", "epochs = 7")
    for branch, other in (("theirs", "main"), ("main", "crossed")):
        run("git", "checkout", "--quiet", branch)
        assert run("git", "merge", other).returncode == 1
        (folder / "a.mtl").write_text(resolved, encoding="utf-8")
        run("git", "commit", "--quiet", "-am", "resolved")
    commit("main", "stem = segment, depth", "stem = segment + depth")
    commit("theirs", "stem = segment, depth, edge, normal", "stem = segment, depth, edge + normal")
    run("git", "checkout", "--quiet", "main")
    done = run("git", "merge", "theirs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stem = segment + depth, edge + normal" in (folder / "a.mtl").read_text(encoding="utf-8")


def test_conflicts_are_in_the_style_that_git_is_set_to(run: Run, folder: Path) -> None:
    run("git", "config", "merge.conflictStyle", "diff3")
    epochs = [BASE.replace("epochs = 4", f"epochs = {number}") for number in (5, 6)]
    assert evolve(run, folder, BASE, *epochs).returncode == 1
    written = (folder / "a.mtl").read_text(encoding="utf-8")
    assert "\n  epochs = 5\n||||||| " in written
    assert "\n  epochs = 4\n=======\n  epochs = 6\n>>>>>>> " in written


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


def test_git_difftool_reads_imports_from_where_the_spec_lies(run: Run, folder: Path) -> None:
    base = BASE.replace("mtl 1\n", 'mtl 1\n\nimport "unit.mtl"\n').replace("enc2 = conv2d(16, 3)", "enc2 = unit")
    (folder / "unit.mtl").write_text("mtl 1\n\nblock unit() = conv2d(16, 3)\n", encoding="utf-8")
    run("mtsldsl", "git", "install")
    (folder / "a.mtl").write_text(base, encoding="utf-8")
    run("git", "add", ".")
    run("git", "commit", "--quiet", "-m", "base")
    (folder / "a.mtl").write_text(base.replace("epochs = 4", "epochs = 8"), encoding="utf-8")
    (folder / "b.mtl").write_text(base, encoding="utf-8")
    run("git", "add", ".")
    done = run("git", "difftool", "-y", "--tool=mtsldsl", "HEAD")
    assert "train.epochs: 4 -> 8" in done.stdout
    assert "only in B: b.mtl" in done.stdout
    assert "error" not in done.stderr


def test_a_line_of_the_attributes_that_wins_is_named(run: Run, folder: Path) -> None:
    (folder / ".gitattributes").write_text(f"{LINE}\n*.mtl merge=union\n", encoding="utf-8")
    done = run("mtsldsl", "git", "install")
    assert "another line of the attributes wins, merge=union" in done.stderr


def test_attributes_that_cannot_be_read_leave_everything_as_it_is(run: Run, folder: Path) -> None:
    (folder / ".gitattributes").write_bytes(b"\xff\n")
    assert run("mtsldsl", "git", "install").returncode == 1
    assert run("git", "config", "merge.mtsldsl.driver").returncode == 1


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
    assert "merge %O %A %B -o %A.merged" in run("git", "config", "merge.mtsldsl.driver").stdout
    assert not (folder / ".gitattributes").exists()
    assert run("mtsldsl", "git", "uninstall", "--global").returncode == 0
    assert run("git", "config", "merge.mtsldsl.driver").returncode == 1


def test_outside_a_repository_it_says_so(run: Run, folder: Path) -> None:
    (folder / ".git").rename(folder.parent / "elsewhere")
    done = run("mtsldsl", "git", "install")
    assert done.returncode == 1
    assert "not a git repository" in done.stderr
    assert "MTL703" in done.stderr


# Where the program is gone

GONE = {
    "the script is gone": lambda script: script.unlink(),
    "its interpreter is gone": lambda script: script.write_text("#!/nowhere/python\n", encoding="utf-8"),
    "its package is gone": lambda script: script.write_text(
        "#!/bin/sh\necho no module >&2\nexit 1\n", encoding="utf-8"
    ),
    "it is killed": lambda script: script.write_text("#!/bin/sh\nkill -9 $$\n", encoding="utf-8"),
}


def lose_the_program(run: Run, tmp_path: Path, lose: Callable[[Path], object]) -> None:
    """Install a driver whose program is a script of its own, and take that away."""
    assert run("mtsldsl", "git", "install").returncode == 0
    script = tmp_path / "environment" / "mtsldsl"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    script.chmod(0o755)
    driver = run("git", "config", "merge.mtsldsl.driver").stdout.rstrip("\n")
    run("git", "config", "merge.mtsldsl.driver", re.sub("^.*? merge %O", f"{script} merge %O", driver, count=1))
    lose(script)


def commit_versions(run: Run, folder: Path, base: str, ours: str, theirs: str) -> None:
    (folder / "a.mtl").write_text(base, encoding="utf-8")
    run("git", "add", ".")
    run("git", "commit", "--quiet", "-m", "base")
    for branch, content in (("theirs", theirs), ("ours", ours)):
        run("git", "checkout", "--quiet", "-b", branch, "main")
        (folder / "a.mtl").write_text(content, encoding="utf-8")
        assert run("git", "commit", "--quiet", "-am", branch).returncode == 0


@pytest.mark.parametrize("gone", GONE)
def test_without_the_program_a_conflict_is_marked_and_has_both_sides(
    run: Run, folder: Path, tmp_path: Path, gone: str
) -> None:
    lose_the_program(run, tmp_path, GONE[gone])
    commit_versions(run, folder, BASE, *(BASE.replace("epochs = 4", f"epochs = {number}") for number in (5, 6)))
    done = run("git", "merge", "theirs")
    assert done.returncode == 1
    assert "merged line by line instead" in done.stdout + done.stderr
    assert run("git", "status", "--porcelain").stdout == "UU a.mtl\n"
    marked = "<<<<<<< ours\n  epochs = 5\n=======\n  epochs = 6\n>>>>>>> theirs\n"
    assert (folder / "a.mtl").read_text(encoding="utf-8") == BASE.replace("  epochs = 4\n", marked)


@pytest.mark.parametrize("gone", GONE)
def test_without_the_program_what_touches_other_lines_is_merged(
    run: Run, folder: Path, tmp_path: Path, gone: str
) -> None:
    lose_the_program(run, tmp_path, GONE[gone])
    ours, theirs = (
        BASE.replace("epochs = 4", "epochs = 5"),
        BASE.replace("stem = segment, depth", "stem = segment + depth"),
    )
    commit_versions(run, folder, BASE, ours, theirs)
    done = run("git", "merge", "theirs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "a.mtl").read_text(encoding="utf-8") == theirs.replace("epochs = 4", "epochs = 5")
    assert run("git", "status", "--porcelain").stdout == ""


# A configuration that does not take it


@pytest.mark.parametrize("way", ["no home", "twice", "locked", "no git"])
def test_installing_for_all_repositories_never_proposes_what_was_done(run: Run, tmp_path: Path, way: str) -> None:
    home = tmp_path / "home"
    if way == "twice":
        for number in (1, 2):
            run("git", "config", "--global", "--add", "merge.mtsldsl.driver", f"old{number}")
        assert run("mtsldsl", "git", "install", "--global").returncode == 0
        assert len(run("git", "config", "--get-all", "merge.mtsldsl.driver").stdout.splitlines()) == 1
        return
    command = [sys.executable, "-m", "mtsldsl", "git", "install", "--global"]
    if way == "locked":
        (home / ".gitconfig.lock").touch()
        done = run(*command)
        assert "could not lock config file" in done.stderr
    elif way == "no git":
        done = run("env", f"PATH={home}", *command)
        assert "git is not installed" in done.stderr
    else:
        done = run("env", "-u", "HOME", *command)
        assert "HOME" in done.stderr
    assert done.returncode == 1
    assert "MTL703" in done.stderr
    assert "--global" not in done.stderr
    assert "Traceback" not in done.stderr
