"""docs/balances.md: a row for every balance, which says what it needs, and the log as it shows what was weighed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import SOLVERS, GradientBalance
from tests import prepared
from tests.docs.pages import DOCS, examples
from tests.runtime.test_balance import AVAILABLE, balance_of

PAGE = DOCS / "balances.md"
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
    for cells in [re.split(r"\s*\|\s*", line.strip())[1:-1]]
}
NAMES = [rule.name for rule in BALANCES.rules]


def test_every_balance_has_a_row_in_the_order_of_the_language() -> None:
    missing, unknown = set(NAMES) - ROWS.keys(), ROWS.keys() - set(NAMES)
    assert not missing, f"write a row (balance, paper, needs, costs) into docs/balances.md for: {sorted(missing)}"
    assert not unknown, f"docs/balances.md has rows of what is no balance: {sorted(unknown)}"
    assert list(ROWS) == NAMES, "the rows of docs/balances.md are in another order than BALANCES.rules"


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_the_balance_needs_and_costs(name: str) -> None:
    paper, needs, costs = ROWS[name]
    assert all((paper, needs, costs))
    assert ("`solvers`" in needs) == (name in SOLVERS)
    year = re.search(r"\([^()]*(\d{4})\)$", next(rule.summary for rule in BALANCES.rules if rule.name == name))
    assert year is None or year[1] in paper, f"the reference of `{name}` names another year than docs/balances.md"


@pytest.mark.parametrize("name", [name for name in AVAILABLE if name in ROWS])
def test_a_gradient_method_says_that_it_takes_a_backward_pass_a_task(name: str) -> None:
    _, needs, costs = ROWS[name]
    gradients = isinstance(balance_of(name), GradientBalance)
    assert ("gradients" in needs) == gradients
    assert ("a backward pass and a gradient a task" in costs) == gradients


def test_the_log_is_as_the_page_shows_it(tmp_path: Path) -> None:
    spec = next(example for example in examples(PAGE, "mtl") if example.file)
    shown = examples(PAGE, "text")[0].text.splitlines()
    (tmp_path / str(spec.file)).write_text(spec.text, encoding="utf-8")
    for words in (("train", str(spec.file), "--quiet", "--device", "cpu"), ("log", "runs/weighed/1")):
        done = prepared.run("-m", "mtsldsl", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()[-len(shown) :]
    assert told[0] == shown[0]
    assert [line.split()[0] for line in told] == [line.split()[0] for line in shown]
    assert told[1].split() == shown[1].split()
    for line, other in zip(told[2:], shown[2:], strict=True):  # of another machine the last digits
        assert list(map(float, line.split()[1:])) == pytest.approx(list(map(float, other.split()[1:])), rel=0.2)
