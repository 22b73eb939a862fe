"""Every balance in a training: resumed from its checkpoint, while the structure changes, without labels and in bf16."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mtsldsl.editing import rewritten
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import SOLVERS
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model, place
from mtsldsl.runtime.run.checkpoint import restore_checkpoint, save_checkpoint
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.structure.phase import replace_network
from tests.runtime.looking_ahead import batch_of, gradients, learn, training
from tests.runtime.started import CPU, started

AVAILABLE = [rule.name for rule in BALANCES.rules if all(find_spec(each) for each in SOLVERS.get(rule.name, ()))]

WITHOUT = {1: "b", 4: "ac", 7: "c", 10: "abc"}
"""Steps in which tasks have no label."""


def state(made: Training) -> dict[str, Tensor]:
    balance = {f"balance.{name}": tensor for name, tensor in made.balance.state_dict().items()}
    return {name: tensor.clone() for name, tensor in (made.model.state_dict() | balance).items()}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def evolve(made: Training) -> None:
    """Merge the copies of `last`."""
    spec = rewritten(made.spec, made.spec.sharing.merge("last", {"a", "b", "c"}), ())
    replace_network(made, spec, place(build_model(spec), spec, CPU), {})


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_run_that_is_resumed_goes_on_to_the_last_bit_while_the_structure_changes(name: str, tmp_path: Path) -> None:
    whole = training(name)
    learn(whole, range(1), WITHOUT)
    evolve(whole)
    learn(whole, range(1, 3), WITHOUT)
    folder = RunFolder.create(tmp_path, "run")
    save_checkpoint(folder, whole, 0)
    (checkpoint,) = folder.checkpoints.iterdir()
    again = started(whole.spec, whole.make_optimizer)
    again.model.train()
    restore_checkpoint(checkpoint, again)
    assert_equal(state(again), state(whole))
    torch.manual_seed(11)
    learn(whole, range(3, 5), WITHOUT)
    torch.manual_seed(11)
    learn(again, range(3, 5), WITHOUT)
    assert_equal(state(again), state(whole))
    assert all(tensor.isfinite().all() for tensor in state(whole).values())


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_step_in_bf16_is_nearly_that_in_fp32(name: str) -> None:
    found = []
    for precision in ("fp32", "bf16"):
        made = training(name, ("dropout(0.5) | ", ""), precision=precision)
        torch.manual_seed(0)
        gradients(made, batch_of(0))
        found.append(torch.cat([each.grad.flatten() for each in made.model.parameters() if each.grad is not None]))
    assert all(each.isfinite().all() and each.dtype == torch.float32 for each in found)
    assert (found[0] - found[1]).norm() < 0.1 * found[0].norm()


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_step_is_the_same_each_time_it_is_made(name: str) -> None:
    found = []
    for _ in range(2):
        made = training(name)
        torch.manual_seed(0)
        learn(made, range(2), WITHOUT)
        found.append(state(made))
    assert_equal(*found)
