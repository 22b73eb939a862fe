"""`mtsldsl diff`: two specs, three and more, and everything that can be named as one."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
from tests.spec.specs import text

BEFORE = text("sharing {\n  stem = segment + depth, edge, normal\n}\n")
AFTER = (
    BEFORE.replace("epochs = 4", "epochs = 30")
    .replace("enc2", "stage2")
    .replace("segment + depth, edge, normal", "segment + depth, edge + normal")
)


def diff(*arguments: str | Path, color: bool = False) -> Result:
    return CliRunner().invoke(main, ["diff", *map(str, arguments)], color=color)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    path = tmp_path / "before.mtl"
    path.write_text(BEFORE, encoding="utf-8")
    return path


@pytest.fixture
def after(tmp_path: Path) -> Path:
    path = tmp_path / "after.mtl"
    path.write_text(AFTER, encoding="utf-8")
    return path


def test_a_difference_is_one_line_for_each_change(before: Path, after: Path) -> None:
    done = diff(before, after)
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "renamed enc2 -> stage2",
        "train.epochs: 4 -> 30",
        "merge   stem  segment + depth, edge, normal  ->  segment + depth, edge + normal",
        "parameters 19,506 -> 19,274 (-1.2 %)",
        "FLOPs      4,501,504 -> 4,390,912 (-2.5 %)",
    ]


def test_color_is_for_terminals(before: Path, after: Path) -> None:
    assert "\x1b[" not in diff(before, after).output
    assert "\x1b[32mmerge  \x1b[0m stem" in diff(before, after, color=True).output


def test_the_exit_status_says_whether_they_differ_unless_told_not_to(before: Path, after: Path) -> None:
    assert [diff(before, before).exit_code, diff(before, after).exit_code] == [0, 1]
    assert diff(before, after, "--exit-code").exit_code == 1
    assert diff(before, after, "--no-exit-code").exit_code == 0
    assert diff(before, before).output == "the two specs mean the same\n"


def test_json_has_all_that_the_text_has(before: Path, after: Path) -> None:
    printed = json.loads(diff(before, after, "--json").output)
    assert printed["format_version"] == 1
    assert printed["layers"] == {"added": [], "removed": [], "changed": [], "renamed": [["enc2", "stage2"]]}
    assert printed["keys"] == [{"key": "train.epochs", "from": 4, "to": 30}]
    assert printed["settings"] == ["train"]
    assert [(each["layer"], each["kind"]) for each in printed["sharing"]] == [("stem", "merge")]
    assert printed["cost"]["parameters"][0] > printed["cost"]["parameters"][1]


def test_the_history_is_looked_at_when_asked_for(before: Path, tmp_path: Path) -> None:
    line = "merge(epoch=1, layer=stem, tasks=segment + depth, similarity=0.5)"
    grown = tmp_path / "grown.mtl"
    grown.write_text(f"{BEFORE}\nhistory {{\n  {line}\n}}\n", encoding="utf-8")
    assert diff(before, grown).exit_code == 0
    done = diff(before, grown, "--history")
    assert done.exit_code == 1
    assert f"+ {line}" in done.output
    assert f"- {line}" in diff(grown, before, "--history").output


def test_a_run_folder_stands_for_its_evolved_spec(before: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.mtl").write_text(AFTER, encoding="utf-8")
    assert "train.epochs: 4 -> 30" in diff(before, tmp_path / "run").output


def test_the_page_is_whole_in_itself_and_draws_both_sharings(before: Path, after: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = diff(before, after, "--html", page)
    assert done.output.endswith(f"side by side: {page}\n")
    written = page.read_text(encoding="utf-8")
    assert "<script" not in written
    assert not re.search(r"(src|href|url)\s*[=(]", written)
    drawings = [ET.fromstring(each) for each in re.findall(r"<svg.*?</svg>", written, re.S)]
    kinds = [[box.get("class") for box in drawing.iter("rect")] for drawing in drawings]
    assert [each.count("head") for each in kinds] == [4, 4]
    assert [each.count("merge") for each in kinds] == [3, 2]
    assert [sum(kind != "head" for kind in each) for each in kinds] == [3 + 4 * 4, 2 + 4 * 4]
    assert "train.epochs" in written
    diff(before, after, "--html", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == written


def test_names_cannot_break_out_of_the_page(before: Path, tmp_path: Path) -> None:
    odd = tmp_path / "<b>&.mtl"
    odd.write_text(AFTER, encoding="utf-8")
    diff(before, odd, "--html", tmp_path / "page.html")
    assert "<b>" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_more_than_two_give_the_consensus(before: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mtl"
    other.write_text(BEFORE.replace("segment + depth, edge, normal", "segment, depth, edge + normal"), encoding="utf-8")
    done = diff(before, before, other)
    assert done.exit_code == 1
    assert re.search(r"segment \+ depth +2 +0 +0 +0 +0", done.output)
    assert re.search(r"edge \+ normal +1 +0 +0 +0 +0", done.output)
    assert re.search(rf"{re.escape(str(other))} +2 of 30 answers differ", done.output)
    printed = json.loads(diff(before, before, other, "--json").output)
    assert printed["format_version"] == 1
    assert [run["distance"] for run in printed["runs"]] == [0, 0, 2]
    assert {"layer": "stem", "tasks": ["edge", "normal"], "runs": 1, "shared": False} in printed["pairs"]
    assert diff(before, before, before).exit_code == 0


def test_a_page_of_a_consensus_is_wrong_usage(before: Path, tmp_path: Path) -> None:
    assert diff(before, before, before, "--html", tmp_path / "page.html").exit_code == 2


# Revisions of git


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "repository"
    (folder / "specs").mkdir(parents=True)
    (folder / "runs" / "a" / "1").mkdir(parents=True)
    (folder / "specs" / "a.mtl").write_text(BEFORE, encoding="utf-8")
    (folder / "runs" / "a" / "1" / "spec.mtl").write_text(BEFORE, encoding="utf-8")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "first"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "specs" / "a.mtl").write_text(AFTER, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def test_a_spec_of_a_revision_is_compared_with_that_on_the_disk(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "train.epochs: 4 -> 30" in diff("HEAD:specs/a.mtl", "specs/a.mtl").output
    assert diff("HEAD:specs/a.mtl", ":specs/a.mtl").exit_code == 0
    assert diff("HEAD:specs/a.mtl", "HEAD:runs/a/1").exit_code == 0
    monkeypatch.chdir(repository / "specs")
    assert "train.epochs: 4 -> 30" in diff("HEAD:./a.mtl", "a.mtl").output


def test_a_file_with_a_colon_in_its_name_comes_before_a_revision(repository: Path) -> None:
    (repository / "HEAD:x.mtl").write_text(BEFORE, encoding="utf-8")
    assert diff("HEAD:x.mtl", "HEAD:specs/a.mtl").exit_code == 0


def test_a_spec_of_a_revision_imports_the_files_of_that_revision(repository: Path) -> None:
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "second"]
    importing = BEFORE.replace("mtl 1\n", 'mtl 1\n\nimport "unit.mtl"\n').replace("enc2 = conv2d(16, 3)", "enc2 = unit")
    (repository / "specs" / "a.mtl").write_text(importing, encoding="utf-8")
    unit = repository / "specs" / "unit.mtl"
    unit.write_text("mtl 1\n\nblock unit() = conv2d(16, 3)\n", encoding="utf-8")
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    subprocess.run(commit, cwd=repository, check=True)
    unit.write_text("mtl 1\n\nblock unit() = conv2d(16, 5)\n", encoding="utf-8")
    done = diff("HEAD:specs/a.mtl", "specs/a.mtl")
    assert "backbone.enc2: conv2d(out_channels=16, kernel_size=3" in done.output


@pytest.mark.parametrize("place", ["HEAD:nowhere.mtl", "nothing:specs/a.mtl", "-p:specs/a.mtl", "HEAD:specs"])
def test_a_revision_without_the_spec_is_an_error_that_names_it(repository: Path, place: str) -> None:
    done = diff("specs/a.mtl", "--", place)
    assert done.exit_code == 1
    assert "MTL703" in done.output
    assert place in done.output


def test_the_letter_of_a_drive_is_no_revision(repository: Path) -> None:
    for place in ("C:\\specs\\a.mtl", "C:/specs/a.mtl"):
        assert f"there is no file {place}" in diff("specs/a.mtl", place).output
