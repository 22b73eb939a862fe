"""`stop` of a task: it learns no more after so many epochs without a better one, and the others go on without it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mtsldsl import loads
from mtsldsl.ir.normal import digest
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import SOLVERS
from mtsldsl.runtime.run.display import QuietDisplay
from mtsldsl.runtime.run.epoch import EpochLosses, under_way
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.runtime import looking_ahead
from tests.runtime.in_process import events, of, rows
from tests.runtime.started import started
from tests.runtime.test_ema import Seen, seen

TEXT = """\
mtl 1

data arrays {
  path  = "rows.npz"
  input = row(6)
  batch = 8
}

task a {
  target = values(2)
  head   = linear(2)
  loss   = mse
}

task b {
  target = values(1)
  head   = linear(4) | batch_norm | tanh | linear(1)
  loss   = mse
  stop   = patience(1)
}

backbone {
  stem = linear(8) | batch_norm | tanh
  last = linear(8) | batch_norm | tanh
}

train {
  epochs     = 9
  accumulate = 2
  optimizer  = adamw(lr=0.05)
}

sharing {
  stem = all
}
"""
STEPS = 5
"""Of an epoch: ten batches, of which two make a step."""


def stops_by_hand(found: list[dict[str, Any]], task: str, patience: int, since: int = 1) -> int:
    """The first epoch at whose end the task was no better for so long, by what its gains are."""
    gains = [each["gains"][task] for each in of(found, "validation")]
    for epoch in range(since, len(gains) + 1):
        best = max(range(since, epoch + 1), key=lambda each: (gains[each - 1], -each))
        if epoch - best >= patience:
            return epoch
    raise AssertionError("it never stops: take other rows")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return seen(tmp_path_factory.mktemp("run"), TEXT)


def test_it_stops_where_it_should_and_has_no_loss_from_then_on(run: Seen) -> None:
    found = events(run.folder.path)
    end = stops_by_hand(found, "b", 1)
    assert end < 9
    assert [(each["epoch"], each["task"], each["patience"]) for each in of(found, "task_stopped")] == [(end, "b", 1)]
    with_loss = [each["epoch"] for each in of(found, "epoch") if "b" in each["losses"]]
    assert with_loss == list(range(1, end + 1))
    assert all(set(each["losses"]) == {"a", "b"} for each in of(found, "validation"))
    assert len(of(found, "epoch")) == 9


def test_its_head_and_own_layers_stay_what_they_are_and_nothing_else_does(run: Seen) -> None:
    end = stops_by_hand(events(run.folder.path), "b", 1)
    at_end, last = run.states[end * STEPS - 1], run.states[-1]
    assert len(run.states) == 9 * STEPS
    still = {name for name in last if torch.equal(last[name], at_end[name])}
    assert still == {name for name in last if name.startswith(("heads.b.", "last.b."))}
    before = run.states[(end - 1) * STEPS]
    assert not any(torch.equal(before[name], at_end[name]) for name in still if at_end[name].is_floating_point())


@pytest.mark.parametrize(
    "balance", [rule.name for rule in BALANCES.rules if all(map(find_spec, SOLVERS.get(rule.name, ())))]
)
def test_under_every_balance_the_others_learn_as_if_it_had_no_labels(balance: str) -> None:
    found: list[dict[str, Tensor]] = []
    for stopped in (True, False):
        made = looking_ahead.training(balance)
        made.epoch_steps = 4
        for seed in range(4):
            without = ["b"] if seed > 1 else []
            if seed == 2:
                made.end_epoch({"a": 1.0, "b": 0.5, "c": 2.0})  # a task stops at the end of one
                made.stopped = frozenset("b") if stopped else frozenset()
            torch.manual_seed(seed)
            looking_ahead.gradients(made, looking_ahead.batch_of(seed, [] if stopped else without))
            made.optimizer.step()
        found.append({name: value.clone() for name, value in made.model.named_parameters()})
    one, other = found
    for name, value in one.items():
        if not name.startswith("heads.b."):  # what has a gradient of 0 goes on by its momentum
            torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-6)


def test_a_network_of_its_own_is_not_computed_any_more(tmp_path: Path) -> None:
    text = looking_ahead.TEXT.replace("stem = all", "stem = a + b, c")
    spec = loads(text)
    trained: list[dict[str, Tensor]] = []
    for stopped in ({"c"}, {"a", "b"}, set()):
        made = started(spec, lambda named: torch.optim.AdamW(named, lr=0.01))
        made.least = 0
        sets = [("a", "b"), ("c",)]
        assert list(made.sets()) == sets
        made.stopped = frozenset(stopped)
        torch.manual_seed(0)
        with under_way(made, 3, EpochLosses(QuietDisplay(), "penalty")):
            for seed in range(3):
                looking_ahead.gradients(made, looking_ahead.batch_of(seed))
                made.optimizer.step()
        assert made.steps == 4
        assert list(made.sets()) == [tasks for tasks in sets if not stopped.issuperset(tasks)]
        trained.append({name: value.clone() for name, value in made.model.state_dict().items()})
    first = {
        name: value.clone()
        for name, value in started(spec, lambda named: torch.optim.SGD(named)).model.state_dict().items()
    }
    without_c, without_others, _ = trained
    alone = {name for name in first if ".c." in name}
    assert alone < first.keys()
    for name, value in first.items():
        assert torch.equal(value, (without_c if name in alone else without_others)[name])
        if value.is_floating_point():
            assert not torch.equal(value, (without_others if name in alone else without_c)[name])


def test_a_run_ends_when_all_have_stopped(tmp_path: Path) -> None:
    text = TEXT.replace("loss   = mse\n}\n\ntask b", "loss   = mse\n  stop   = patience(1)\n}\n\ntask b")
    found = events(seen(tmp_path, text.replace("epochs     = 9", "epochs     = 60")).folder.path)
    ends = {each["task"]: each["epoch"] for each in of(found, "task_stopped")}
    assert ends == {task: stops_by_hand(found, task, 1) for task in "ab"}
    assert len(of(found, "epoch")) == max(ends.values()) < 60


def test_it_does_not_stop_before_it_is_decided_who_shares_what(tmp_path: Path) -> None:
    structure = "\nstructure mtsl {\n  phases = [8]\n  threshold = 0.01\n}\n"
    found = events(seen(tmp_path, TEXT.replace("epochs     = 9", "epochs     = 16") + structure).folder.path)
    assert [each["epoch"] for each in of(found, "phase") if each["accepted"]] == [8]
    assert stops_by_hand(found, "b", 1) < 8
    assert [each["epoch"] for each in of(found, "task_stopped")] == [stops_by_hand(found, "b", 1, since=8)]


def test_a_run_that_was_killed_after_it_stopped_goes_on_to_the_same_bits(run: Seen, tmp_path: Path) -> None:
    end = stops_by_hand(events(run.folder.path), "b", 1)
    rows(tmp_path)
    (tmp_path / "job.mtl").write_text(TEXT, encoding="utf-8")
    killed = disturbed(
        "train", "job.mtl", "--quiet", "--device", "cpu", action=f"if training.epoch == {end}: {KILLED}", cwd=tmp_path
    )
    assert killed.returncode == -9
    done = prepared.run("-m", "mtsldsl", "train", "--quiet", "--resume", "runs/job/1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = tmp_path / "runs/job/1"
    for part in ("weights", "optimizer"):
        one, other = (
            load_file(each / f"checkpoints/epoch-009/{part}.safetensors") for each in (run.folder.path, again)
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    for kind in ("validation", "task_stopped"):
        assert of(events(again), kind) == of(events(run.folder.path), kind)


def test_without_it_a_spec_is_what_it_was() -> None:
    plain = TEXT.replace("  stop   = patience(1)\n", "")
    assert digest(loads(plain)) == digest(loads(TEXT.replace("patience(1)", "none"))) != digest(loads(TEXT))
