"""`mtsldsl explain`, run in this process."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
from mtsldsl.diagnostics.explained import REGISTRY, families
from mtsldsl.language.kinds import Call, Key
from mtsldsl.language.schema import TRAIN
from mtsldsl.methods.registry import methods


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


def test_the_ways_to_learn_sharing_are_listed_each_with_a_sentence_and_its_paper() -> None:
    said = " ".join(run("structure").output.split())
    for each in methods():
        assert each.paper
        assert f" {each.name} {each.block.summary} {each.paper}" in said


def test_one_way_to_learn_sharing_is_told_with_all_that_may_be_said_of_it() -> None:
    assert run("structure", "transference").output == (
        "structure transference: measures which tasks help which while they learn together, and may choose\n"
        "groups of them\n"
        "\n"
        "Paper: Fifty, Amid, Zhao, Yu, Anil, Finn: Measuring and Harnessing Transference in Multi-Task\n"
        "Learning, 2020, arXiv 2010.15413\n"
        "\n"
        "  every    steps from one look ahead to the next: a whole number of at least 1; by default `10`\n"
        "  step     what is looked ahead to: a plain step, the optimizer's own, or the first order of the\n"
        "           plain one: one of `sgd`, `optimizer`, `gradient`; by default `sgd`\n"
        "  groups   networks to choose, each for a group of tasks: a whole number of at least 1, or `none`;\n"
        "           by default nothing is chosen\n"
        "  epochs   epochs of training together, at whose end they are chosen: a whole number of at least 1;\n"
        "           by default half of those of the training\n"
        "  singles  whether a task may be a group by itself: one of `never`, `allowed`; by default `never`\n"
        "\n"
        "Written into `history`:\n"
        "\n"
        "    group(epoch=20, tasks=a + b, affinity=0.3)\n"
    )
    told = run("structure", "mtsl").output
    assert "\n    merge(epoch=3, layer=..., tasks=a + b, similarity=0.9)\n" in told
    assert "cka(samples=800, kernel=linear, debiased=true): centred kernel alignment" in told


@pytest.mark.parametrize("key", [key for key in TRAIN.keys if isinstance(key.kind, Call)], ids=lambda key: key.name)
def test_every_key_with_names_to_choose_from_has_them_listed_and_told_one_by_one(key: Key) -> None:
    assert isinstance(key.kind, Call)
    listed, rules = run(key.name).output.splitlines(), key.kind.rules
    assert [line.split()[0] for line in listed[2:] if line[2] != " "] == [rule.name for rule in rules]
    assert len(rules) > 1
    for rule in rules:
        done = run(key.name, rule.name)
        assert done.exit_code == 0
        assert done.output.startswith(f"{key.name} = {rule.name}")
        for argument in rule.keys:
            assert f"\n  {argument.name} " in done.output


def test_several_choices_are_told_one_after_the_other() -> None:
    assert run("balance", "mgda", "dwa").output == f"{run('balance', 'mgda').output}\n{run('balance', 'dwa').output}"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("structure", "mtls"), "there is no structure `mtls`; did you mean `mtsl`?"),
        (("balance", "pcgrd"), "there is no balance `pcgrd`; did you mean `pcgrad`?"),
        (("balanc",), "there is no code or key `balanc`; did you mean `balance`?"),
    ],
)
def test_an_unknown_choice_is_a_usage_error_with_the_nearest(words: tuple[str, ...], answer: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert answer in " ".join(done.stderr.split())
