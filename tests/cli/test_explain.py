"""`mtsldsl explain`, run in this process."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
from mtsldsl.diagnostics.explained import REGISTRY, families


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments])


def test_a_code_is_explained_with_its_example_and_remedy() -> None:
    done = run("MTL104")
    assert done.exit_code == 0
    entry = REGISTRY["MTL104"]
    assert done.output.startswith(f"MTL104: {entry.title}\n")
    for line in (*entry.example.splitlines(), *entry.instead.splitlines()):
        assert f"    {line}".rstrip() in done.output
    assert "Remedy: " in done.output


@pytest.mark.parametrize("code", REGISTRY)
def test_every_code_can_be_explained(code: str) -> None:
    done = run(code)
    assert done.exit_code == 0
    assert " ".join(REGISTRY[code].why.split()) in " ".join(done.output.split())
    assert "\nExample:\n\n    " in done.output


@pytest.mark.parametrize("written", ["MTL012", "MTL0011", "012", "MTL", "", "12", "é"])
def test_an_unknown_code_is_a_usage_error(written: str) -> None:
    done = run(written)
    assert done.exit_code == 2
    assert f"there is no code `{written}`" in done.stderr


def test_an_unknown_code_is_answered_with_the_nearest() -> None:
    assert "did you mean `MTL104`?" in run("MTL1044").stderr


@pytest.mark.parametrize("written", ["mtl104", "104", "Mtl104"])
def test_a_code_may_be_written_short(written: str) -> None:
    assert run(written).output == run("MTL104").output


def test_several_codes_are_explained_one_after_the_other() -> None:
    assert run("MTL104", "MTL901").output == f"{run('MTL104').output}\n{run('MTL901').output}"


def test_without_a_code_all_are_listed_by_family() -> None:
    lines = run().output.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(REGISTRY)
    assert sum(line.startswith("MTL") for line in lines) == len(list(families()))


def test_a_code_of_the_command_line_shows_a_command_that_fails_so() -> None:
    assert "\n    $ mtsldsl check --set train.epoch=2 spec.mtl\n" in run("MTL112").output


def test_a_code_that_occurs_outside_a_text_says_when() -> None:
    assert (
        "Reported when a generated `train.py` is run after its spec was edited, or its `model.py`."
        in run("MTL702").output
    )
