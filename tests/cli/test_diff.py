"""`mtsldsl diff`: two specs, three and more, and everything that can be named as one."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from mtsldsl.editing import loads
from tests.cli.differing import AFTER, BEFORE, diff
from tests.ir.specs import text


def same(*places: str | Path) -> bool:
    return diff(*places).output == "the two specs mean the same\n"


def test_a_difference_is_one_line_for_each_change(before: Path, after: Path) -> None:
    done = diff(before, after)
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "renamed enc2 -> stage2",
        "train.epochs: 4 -> 30",
        "merge   stem  segment + depth, edge, normal  ->  segment + depth, edge + normal",
        "parameters 19,506 -> 19,274 (-1.2 %)",
        "FLOPs      4,501,504 -> 4,390,912 (-2.5 %)",
    ]


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """A run of the same job that shares other layers."""
    path = tmp_path / "seed.mtl"
    path.write_text(BEFORE.replace("segment + depth, edge, normal", "segment, depth, edge + normal"), encoding="utf-8")
    return path


@pytest.mark.parametrize("specs", [("before", "after"), ("before", "before", "seed")])
def test_color_is_for_terminals_unless_asked_for_or_forbidden(
    before: Path, after: Path, seed: Path, specs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    places = [{"before": before, "after": after, "seed": seed}[name] for name in specs]

    def colored(*arguments: str, terminal: bool) -> bool:
        return "\x1b[" in diff(*places, *arguments, color=terminal).output

    assert [colored(terminal=terminal) for terminal in (False, True)] == [False, True]
    assert [colored("--color=always", terminal=False), colored("--color=never", terminal=True)] == [True, False]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert [colored(terminal=False), colored("--color=never", terminal=False)] == [True, False]
    monkeypatch.setenv("NO_COLOR", "1")
    assert [colored(terminal=True), colored("--color=always", terminal=False)] == [False, True]


def test_what_was_done_to_a_layer_has_its_color(before: Path, after: Path) -> None:
    assert "\x1b[32mmerge  \x1b[0m stem" in diff(before, after, "--color=always").output


def test_the_exit_status_says_whether_they_differ_where_it_is_asked_for(before: Path, after: Path, seed: Path) -> None:
    assert [diff(before, before).exit_code, diff(before, after).exit_code] == [0, 0]
    assert [diff(before, other, "--exit-code").exit_code for other in (before, after)] == [0, 1]
    assert [diff(before, before, other).exit_code for other in (before, seed)] == [0, 0]
    assert [diff(before, before, other, "--exit-code").exit_code for other in (before, seed)] == [0, 1]
    assert diff(before, after, "--exit-code", "--no-exit-code").exit_code == 0
    assert diff(before, before).output == "the two specs mean the same\n"


@pytest.mark.parametrize("flags", [(), ("--exit-code",)])
def test_a_spec_that_cannot_be_read_is_no_difference(before: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    broken = tmp_path / "broken.mtl"
    broken.write_text(BEFORE.replace("conv2d", "conv3d"), encoding="utf-8")
    for place, code in ((tmp_path / "nowhere.mtl", "MTL703"), (broken, "MTL107")):
        done = diff(before, place, *flags)
        assert done.exit_code == 2
        assert code in done.stderr
        assert diff(before, before, place, *flags).exit_code == 2


def test_json_has_all_that_the_text_has(before: Path, after: Path) -> None:
    printed = json.loads(diff(before, after, "--json").output)
    assert printed["format_version"] == 1
    assert printed["layers"] == {
        "added": [],
        "removed": [],
        "changed": [],
        "renamed": [["enc2", "stage2"]],
        "components": {"added": {}, "removed": {}},
    }
    assert printed["keys"] == [{"key": "train.epochs", "from": 4, "to": 30}]
    assert printed["settings"] == ["train"]
    assert [(each["layer"], each["kind"]) for each in printed["sharing"]] == [("stem", "merge")]
    assert printed["cost"]["parameters"][0] > printed["cost"]["parameters"][1]


def test_the_history_is_looked_at_when_asked_for(before: Path, tmp_path: Path) -> None:
    line = "merge(epoch=1, layer=stem, tasks=segment + depth, similarity=0.5)"
    grown = tmp_path / "grown.mtl"
    grown.write_text(f"{BEFORE}\nhistory {{\n  {line}\n}}\n", encoding="utf-8")
    assert diff(before, grown, "--exit-code").exit_code == 0
    done = diff(before, grown, "--history", "--exit-code")
    assert done.exit_code == 1
    assert f"+ {line}" in done.output
    assert f"- {line}" in diff(grown, before, "--history").output


def test_a_run_folder_stands_for_its_evolved_spec(before: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.mtl").write_text(AFTER, encoding="utf-8")
    assert "train.epochs: 4 -> 30" in diff(before, tmp_path / "run").output


def test_the_sharing_of_a_layer_that_only_one_has_is_shown(before: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.mtl"
    text = BEFORE.replace("  dec1 =", "  mid = avg_pool2d(3, stride=1, padding=1)\n  dec1 =")
    more.write_text(
        text.replace("normal\n}", "normal\n  enc1..mid = segment + depth, edge, normal\n}"), encoding="utf-8"
    )
    shown = diff(before, more).output.splitlines()
    assert "layers added: mid" in shown
    assert "added   mid   segment + depth, edge, normal" in shown
    assert "removed mid   segment + depth, edge, normal" in diff(more, before).output.splitlines()
    components = json.loads(diff(before, more, "--json").output)["layers"]["components"]
    assert components == {"added": {"mid": [["segment", "depth"], ["edge"], ["normal"]]}, "removed": {}}


# Three and more


def test_more_than_two_give_the_consensus(before: Path, seed: Path) -> None:
    done = diff(before, before, seed)
    assert re.search(r"segment \+ depth +2 +0 +0 +0 +0", done.output)
    assert re.search(r"edge \+ normal +1 +0 +0 +0 +0", done.output)
    assert re.search(rf"{re.escape(str(seed))} +2 of 30 answers differ", done.output)
    assert done.output.count("the nearest to the consensus") == 1
    printed = json.loads(diff(before, before, seed, "--json").output)
    assert printed["format_version"] == 1
    assert [run["distance"] for run in printed["runs"]] == [0, 0, 2]
    assert {"layer": "stem", "tasks": ["edge", "normal"], "runs": 1, "shared": False} in printed["pairs"]


def test_a_consensus_tells_what_else_differs(before: Path, tmp_path: Path) -> None:
    other, next_seed = tmp_path / "other.mtl", tmp_path / "next.mtl"
    other.write_text(BEFORE.replace("epochs = 4", "epochs = 5"), encoding="utf-8")
    next_seed.write_text(BEFORE.replace("epochs = 4", "epochs = 4\n  seed = 1"), encoding="utf-8")
    done = diff(before, other, next_seed, "--exit-code")
    assert done.exit_code == 1
    assert re.search(
        rf"apart from the sharing, other than in {before}:\n{other} +train.epochs: 4 -> 5\n{next_seed} +train.seed: 0 -> 1\n$",
        done.output,
    )
    runs = json.loads(diff(before, other, next_seed, "--json").output)["runs"]
    assert [run["keys"] for run in runs] == [
        [],
        [{"key": "train.epochs", "from": 4, "to": 5}],
        [{"key": "train.seed", "from": 0, "to": 1}],
    ]
    assert diff(before, before, next_seed, "--exit-code").exit_code == 0


def test_the_consensus_is_written_as_the_first_spec_with_another_sharing(
    before: Path, seed: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.mtl"
    mine.write_text(f"# mine\n{BEFORE}# at the end\n", encoding="utf-8")
    output = tmp_path / "agreed.mtl"
    done = diff(mine, seed, seed, "-o", output)
    assert done.exit_code == 0
    assert done.stderr == f"written: {output}, {mine} with the sharing that most runs agree on\n"
    assert done.stdout == diff(mine, seed, seed).stdout
    text_of_most = mine.read_text(encoding="utf-8").replace(
        "segment + depth, edge, normal", "segment, depth, edge + normal"
    )
    assert output.read_text(encoding="utf-8") == text_of_most
    assert diff(mine, seed, seed, "-o", "-").stdout == text_of_most
    assert json.loads(diff(mine, seed, seed, "-o", output, "--json").stdout)["nearest"] == str(seed)


def test_the_consensus_is_written_over_no_other_file(before: Path, seed: Path, tmp_path: Path) -> None:
    kept = seed.read_bytes()
    done = diff(before, before, seed, "-o", seed)
    assert (done.exit_code, f"error MTL706: {seed} is there already" in done.stderr) == (2, True)
    assert seed.read_bytes() == kept
    assert diff(before, seed, seed, "-o", before).exit_code == 0  # named twice: it is meant
    assert loads(before.read_text(encoding="utf-8")).sharing == loads(seed.read_text(encoding="utf-8")).sharing
    for words, said in (
        ((before, seed, "-o", tmp_path / "new.mtl"), "-o writes the consensus of three specs and more"),
        ((before, seed, seed, "-o", tmp_path), "is a folder"),
        ((before, seed, seed, "-o", "-", "--json"), "both print"),
    ):
        done = diff(*words)
        assert (done.exit_code, said in done.stderr) == (2, True)


def test_the_consensus_is_not_written_where_it_would_import_other_files(
    before: Path, seed: Path, tmp_path: Path
) -> None:
    backbone = BEFORE[BEFORE.index("backbone {") :].partition("\n}\n")[0] + "\n}\n"
    (tmp_path / "net.mtl").write_text(f"mtl 1\n\n{backbone}", encoding="utf-8")
    importing = BEFORE.replace(backbone, "").replace("mtl 1\n", 'mtl 1\n\nimport "net.mtl"\n', 1)
    for path in (before, seed):
        path.write_text(importing, encoding="utf-8")
    (tmp_path / "inner").mkdir()
    done = diff(before, before, seed, "-o", tmp_path / "inner/agreed.mtl")
    assert (done.exit_code, "inner/agreed.mtl:" in done.stderr) == (2, True)
    assert not (tmp_path / "inner/agreed.mtl").exists()
    assert diff(before, before, seed, "-o", tmp_path / "agreed.mtl").exit_code == 0


LONG = text().replace(
    "  dec1 =", "".join(f"  a_long_name_of_layer_{n} = conv2d(16, 3)\n" for n in range(20)) + "  dec1 ="
)


def test_a_table_of_many_layers_is_folded_and_loses_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / "long.mtl"
    long.write_text(LONG, encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "80")
    table = diff(long, long, long).output.split("answers differ")[0].splitlines()[:-2]
    assert max(map(len, table)) <= 80
    heads = [line for line in table if line.startswith("tasks ")]
    assert [name for line in heads for name in line.split()[1:]] == [layer.name for layer in loads(LONG).layers]
    assert sum(line.startswith("segment + depth") for line in table) == len(heads) > 1
    monkeypatch.delenv("COLUMNS")
    assert diff(long, long, long).output.count("tasks ") == 1  # no terminal: nothing to fit into


def test_options_for_two_specs_are_refused_for_three(before: Path, tmp_path: Path) -> None:
    for option in (("--html", tmp_path / "page.html"), ("--history",), ("--path", before)):
        assert diff(before, before, before, *option).exit_code == 2


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
    assert same("HEAD:specs/a.mtl", ":specs/a.mtl")
    assert same("HEAD:specs/a.mtl", "HEAD:runs/a/1")
    monkeypatch.chdir(repository / "specs")
    assert "train.epochs: 4 -> 30" in diff("HEAD:./a.mtl", "a.mtl").output


def test_a_file_with_a_colon_in_its_name_comes_before_a_revision(repository: Path) -> None:
    (repository / "HEAD:x.mtl").write_text(BEFORE, encoding="utf-8")
    assert same("HEAD:x.mtl", "HEAD:specs/a.mtl")


UNIT = "mtl 1\n\nblock unit() = conv2d(16, {})\n"
IMPORTING = BEFORE.replace("mtl 1\n", 'mtl 1\n\nimport "unit.mtl"\n').replace("enc2 = conv2d(16, 3)", "enc2 = unit")
AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def git(*arguments: str, fails: bool = False) -> str:
    done = subprocess.run(["git", *AUTHOR, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stdout


@pytest.fixture
def importing(repository: Path) -> Path:
    """The repository with a spec that imports a file, both committed."""
    spec, unit = repository / "specs" / "a.mtl", repository / "specs" / "unit.mtl"
    spec.write_text(IMPORTING, encoding="utf-8")
    unit.write_text(UNIT.format(3), encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "-m", "second")
    return spec


def test_a_spec_of_a_revision_imports_the_files_of_that_revision(importing: Path) -> None:
    importing.with_name("unit.mtl").write_text(UNIT.format(5), encoding="utf-8")
    done = diff("HEAD:specs/a.mtl", "specs/a.mtl")
    assert "backbone.enc2: conv2d(out_channels=16, kernel_size=3" in done.output


def test_a_copy_elsewhere_is_read_as_if_it_lay_at_the_path(importing: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mtl"
    copy.write_text(IMPORTING.replace("epochs = 4", "epochs = 5"), encoding="utf-8")
    assert diff(copy, "specs/a.mtl").exit_code == 2
    assert diff(copy, "specs/a.mtl", "--path", "specs/a.mtl").output.startswith("train.epochs: 5 -> 4\n")
    copy.write_text(IMPORTING.replace("epochs = 4", "epochs = four"), encoding="utf-8")
    assert "specs/a.mtl (A):" in diff(copy, "specs/a.mtl", "--path", "specs/a.mtl").stderr


def test_a_side_of_a_conflict_imports_what_is_in_no_conflict(importing: Path) -> None:
    git("checkout", "--quiet", "-b", "other")
    importing.write_text(IMPORTING.replace("epochs = 4", "epochs = 5"), encoding="utf-8")
    git("commit", "--quiet", "-am", "theirs")
    git("checkout", "--quiet", "-")
    importing.write_text(IMPORTING.replace("epochs = 4", "epochs = 6"), encoding="utf-8")
    git("commit", "--quiet", "-am", "ours")
    git("merge", "other", fails=True)
    assert diff(":2:specs/a.mtl", ":3:specs/a.mtl").output.startswith("train.epochs: 6 -> 5\n")
    git("rm", "--quiet", "--cached", "specs/unit.mtl")
    assert "specs/unit.mtl" in diff(":2:specs/a.mtl", ":3:specs/a.mtl").stderr


@pytest.mark.parametrize("place", ["HEAD:nowhere.mtl", "nothing:specs/a.mtl", "-p:specs/a.mtl", "HEAD:specs"])
def test_a_revision_without_the_spec_is_an_error_that_names_it(repository: Path, place: str) -> None:
    done = diff("specs/a.mtl", "--", place)
    assert done.exit_code == 2
    assert "MTL703" in done.output
    assert place in done.output


def test_the_letter_of_a_drive_is_no_revision(repository: Path) -> None:
    for place in ("C:\\specs\\a.mtl", "C:/specs/a.mtl"):
        assert f"there is no file {place}" in diff("specs/a.mtl", place).output


def test_the_root_of_a_revision_is_a_folder_like_another(repository: Path) -> None:
    (repository / "spec.mtl").write_text(BEFORE, encoding="utf-8")
    git("add", "spec.mtl")
    git("commit", "--quiet", "-m", "at the root")
    assert same("HEAD:", "HEAD:specs/a.mtl")


# A spec that one side does not have


@pytest.mark.parametrize(("places", "side"), [(("/dev/null", "before"), "B"), (("before", "/dev/null"), "A")])
def test_a_spec_that_only_one_side_has_is_said_to_be(before: Path, places: tuple[str, str], side: str) -> None:
    named = [before if place == "before" else place for place in places]
    done = diff(*named, "--exit-code")
    assert done.exit_code == 1
    assert done.output == f"only in {side}: {before} (4 tasks, 5 layers, 19,506 parameters)\n"
    assert diff(*named, "--path", "specs/a.mtl").output.startswith(f"only in {side}: specs/a.mtl (4 tasks")
    printed = json.loads(diff(*named, "--json").output)
    sign = "added" if side == "B" else "removed"
    assert (printed["format_version"], printed["only_in"]) == (1, side)
    assert printed["tasks"][sign] == ["segment", "depth", "edge", "normal"]
    assert printed["layers"][sign] == ["stem", "enc1", "enc2", "dec1", "dec2"]
    assert printed["cost"]["parameters"] == ([0, 19506] if side == "B" else [19506, 0])


def test_no_spec_at_all_is_wrong_usage(before: Path) -> None:
    assert diff("/dev/null", "/dev/null").exit_code == 2
    assert diff("/dev/null", before, before).exit_code == 2
    assert diff("/dev/null", before, "--html", before.with_name("page.html")).exit_code == 2
