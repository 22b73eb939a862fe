"""What other tools read of the repository says what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from click.testing import CliRunner

from mtsldsl import __version__
from mtsldsl.cli import _COMMANDS, main
from mtsldsl.cli.git import ATTRIBUTES

ROOT = Path(__file__).parents[1]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_hooks_of_pre_commit_are_commands_that_take_files(tmp_path: Path) -> None:
    hooks = re.findall(r"entry: mtsldsl (\S+)(.*)\n  language: python\n  files: (.*)", text(".pre-commit-hooks.yaml"))
    assert [command for command, _, _ in hooks] == ["check", "fmt"]
    spec = tmp_path / "scenes.mtl"
    spec.write_text(text("specs/scenes.mtl"), encoding="utf-8")
    for command, options, files in hooks:
        assert command in _COMMANDS
        assert re.search(files, spec.name)
        assert not re.search(files, "scenes.mtl.bak")
        done = CliRunner().invoke(main, [command, *options.split(), str(spec)])
        assert (done.exit_code, done.output) == (0, "")


def test_the_drivers_of_git_and_what_is_generated_are_named() -> None:
    first, *others = text(".gitattributes").splitlines()
    assert first == ATTRIBUTES
    for line in others:
        place, attribute = line.split()
        assert attribute == "linguist-generated=true"
        assert (ROOT / place.removesuffix("/**")).exists()


def test_what_is_cited_is_this_version() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    assert project["version"] == __version__
    assert f"\nversion: {__version__}\n" in text("CITATION.cff")
    assert f"\nlicense: {project['license']}\n" in text("CITATION.cff")


def test_the_workflow_runs_what_continuous_integration_runs() -> None:
    workflow = text(".github/workflows/test.yml")
    assert "run: .ci/run" in workflow
    project = tomllib.loads(text("pyproject.toml"))["project"]
    (versions,) = re.findall(r"python: \[(.*)\]", workflow)
    tried = re.findall(r'"([0-9.]+)"', versions)
    assert tried[0] == project["requires-python"].removeprefix(">=")
    named = [each.rpartition(" :: ")[2] for each in project["classifiers"] if re.search(r":: 3\.[0-9]+$", each)]
    assert named == tried
    assert f"PYTHONS ?= {' '.join(f'python{each}' for each in tried)}\n" in text("Makefile")


PLAIN_YAML = re.compile(r"([a-z]+): ([A-Za-z](?:(?!: | #).)*[^\s:])")
"""A line of a name and a text that is nothing else in YAML: no mark begins it, and none inside ends it."""


def test_the_templates_of_issues_have_what_github_asks_for() -> None:
    templates = sorted((ROOT / ".github/ISSUE_TEMPLATE").iterdir())
    assert len(templates) == 2
    names = set()
    for template in templates:
        assert template.suffix == ".md"
        before, front, body = template.read_text(encoding="utf-8").split("---\n", 2)
        lines = [PLAIN_YAML.fullmatch(line) for line in front.splitlines()]
        found = {line[1]: line[2] for line in lines if line}
        assert (before, len(found), found.keys()) == ("", len(lines), {"name", "about"})
        names.add(found["name"])
        assert body.startswith("\n**")
        assert body.count("```") % 2 == 0
    assert len(names) == len(templates)


def test_the_extra_all_is_every_other_one_but_the_large_one_and_that_of_development() -> None:
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    (named,) = re.findall(r"^mtsldsl\[(.*)\]$", *extras["all"])
    assert named.split(",") == sorted(extras.keys() - {"all", "dev", "robustness"})
    needed = {requirement for name in named.split(",") for requirement in extras[name]}
    assert needed <= set(extras["dev"])  # so that the tests have them
    assert all(f"`{name}`" in text("README.md") for name in (*named.split(","), "robustness"))
