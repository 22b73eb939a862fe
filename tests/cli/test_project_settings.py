"""`[tool.mtsldsl]` of pyproject.toml: what `check` and `fmt` do in a project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
from tests.ir.specs import BODY

LOOSE = BODY.replace("epochs = 4", "epochs   =   4")
DOUBTFUL = BODY.replace("epochs = 4", "epochs = 4\n  optimizer = adam(lr=10)")
"""With a rate that is allowed, and hardly ever meant."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("spec.mtl", "drafts/one.mtl", "jobs/old/two.mtl", "jobs/three.mtl"):
        Path(tmp_path, place).parent.mkdir(exist_ok=True, parents=True)
        Path(tmp_path, place).write_text(LOOSE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def mtsldsl(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, words, prog_name="mtsldsl")


def project(text: str, table: str = "[tool.mtsldsl]", folder: str = ".") -> None:
    Path(folder, "pyproject.toml").write_text(f"{table}\n{text}\n", encoding="utf-8")


def found(*words: str) -> tuple[list[str], list[str]]:
    """The files that `check` and `fmt` look at."""
    checked, formatted = mtsldsl("check", *words), mtsldsl("fmt", "--check", *words)
    assert (checked.exit_code, formatted.exit_code) == (0, 1 if formatted.stdout else 0)
    return [line.partition(":")[0] for line in checked.stdout.splitlines()], formatted.stdout.splitlines()


ALL = ["drafts/one.mtl", "jobs/old/two.mtl", "jobs/three.mtl", "spec.mtl"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ALL),
        ('exclude = ["drafts"]', ["jobs/old/two.mtl", "jobs/three.mtl", "spec.mtl"]),
        ('exclude = ["old", "/spec.mtl"]', ["drafts/one.mtl", "jobs/three.mtl"]),
        ('exclude = ["jobs/*"]', ["drafts/one.mtl", "spec.mtl"]),
        ('exclude = ["t*.mtl", "one"]', ["drafts/one.mtl", "spec.mtl"]),
        ('include = ["jobs/"]', ["jobs/old/two.mtl", "jobs/three.mtl"]),
        ('include = ["jobs"]\nexclude = ["jobs/old"]', ["jobs/three.mtl"]),
        ("include = []", []),
    ],
)
def test_patterns_say_which_files_of_a_folder_are_meant(text: str, left: list[str]) -> None:
    project(text)
    assert found() == (left, left)
    assert found("drafts/one.mtl") == (["drafts/one.mtl"],) * 2  # what is named counts


def test_it_is_said_where_no_file_is_left() -> None:
    project('include = ["none"]')
    done = mtsldsl("check")
    assert (
        f"there is no .mtl file in this folder but those that {Path('pyproject.toml').absolute()} leaves out"
        in done.stderr
    )


def test_patterns_are_of_the_project_from_wherever_the_command_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    project('exclude = ["jobs/old"]')
    project("", table="[tool.other]", folder="jobs")  # says nothing of this, so the search goes on
    monkeypatch.chdir("jobs")
    assert found()[0] == ["three.mtl"]
    assert found("../drafts")[0] == ["../drafts/one.mtl"]
    monkeypatch.chdir("old")
    assert found() == ([], [])
    assert found("two.mtl")[0] == ["two.mtl"]
    project("", folder=".")  # a nearer one takes the place of the other whole
    assert found()[0] == ["two.mtl"]


def test_check_is_as_strict_as_the_project_where_the_command_line_does_not_say() -> None:
    Path("spec.mtl").write_text(DOUBTFUL, encoding="utf-8")

    def status_and_warnings(*words: str, **environment: str) -> tuple[int, bool]:
        done = mtsldsl("check", "spec.mtl", *words, **environment)
        return done.exit_code, "warning" in done.stderr

    assert status_and_warnings() == (0, False)
    project("pedantic = true")
    assert status_and_warnings() == (0, True)
    assert status_and_warnings("--no-pedantic") == (0, False)
    assert status_and_warnings(MTSLDSL_CHECK_PEDANTIC="0") == (0, False)
    assert status_and_warnings("--strict") == (1, True)
    project("strict = true")
    assert status_and_warnings() == (1, True)
    assert status_and_warnings("--no-pedantic") == (0, False)
    assert status_and_warnings("--no-strict") == (0, False)
    assert status_and_warnings("--no-strict", "--pedantic") == (0, True)
    project("strict = false\npedantic = true")
    assert status_and_warnings() == (0, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pedantik = true", "`tool.mtsldsl` has no key `pedantik`\n  remedy: did you mean `pedantic`?"),
        (
            "line-length = 100",
            "`tool.mtsldsl` has no key `line-length`\n  remedy: the known keys of [tool.mtsldsl] are: ",
        ),
        ('strict = "yes"', "`tool.mtsldsl.strict` is true or false, not 'yes'\n  remedy: write strict = true, "),
        ("strict = 1", "`tool.mtsldsl.strict` is true or false, not 1\n"),
        ('exclude = "drafts"', "`tool.mtsldsl.exclude` is a list of patterns, not 'drafts'\n"),
        ('exclude = ["a", 3]', "`tool.mtsldsl.exclude` is a list of patterns, not ['a', 3]\n"),
        ('include = ["/"]', "`tool.mtsldsl.include` is a list of patterns, not ['/']\n"),
        ("include = true", "`tool.mtsldsl.include` is a list of patterns, not true\n"),
        ("exclude = [", "is no TOML: "),
    ],
)
def test_what_cannot_be_understood_is_said_with_file_and_key(text: str, said: str) -> None:
    project(text)
    for command, status in (("check", 1), ("fmt", 2)):
        done = mtsldsl(command, "spec.mtl")
        assert done.exit_code == status
        assert f"error MTL707: {Path('pyproject.toml').absolute()}" in done.stderr
        assert said in done.stderr
        assert done.stdout == ""
    assert Path("spec.mtl").read_text(encoding="utf-8") == LOOSE


def test_every_mistake_is_said_at_once_and_what_is_no_table_is_one() -> None:
    project("a = 1\nstrict = 2")
    assert mtsldsl("check").stderr.count("MTL707") == 2
    project("mtsldsl = 3", table="[tool]")
    assert "`tool.mtsldsl` is no table" in mtsldsl("check").stderr
    Path("pyproject.toml").write_bytes(b"# mtsldsl \xff\n")
    assert "MTL707" in mtsldsl("check").stderr


def test_a_project_that_says_nothing_of_it_costs_no_reader_of_toml() -> None:
    project("line-length = 100", table="[tool.ruff]")
    program = (
        "import sys; from mtsldsl.cli import main; main(['check', '-q', 'spec.mtl'], standalone_mode=False); "
        "assert 'tomllib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
