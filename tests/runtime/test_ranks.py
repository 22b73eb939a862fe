"""Two processes of gloo train as one does: every balance, steps of several batches, looking ahead, missing labels."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from mtsldsl.runtime.learning.ranks import Ranks
from tests import prepared
from tests.runtime.ranked import MEANS, NORMAL, Looking, trained
from tests.runtime.test_accumulate import AVAILABLE, Drawing, one_by_one, samples, training
from tests.runtime.test_teachers import taught

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What came of the examples in two processes."""
    folder = tmp_path_factory.mktemp("ranks")
    told = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    done = prepared.run("-m", "tests.runtime.ranked", str(folder), cwd=ROOT, **told)
    assert done.returncode == 0, done.stderr
    both = [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]
    assert [each["place"] for each in both] == [(0, 2), (1, 2)]
    return both


def flat(state: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([each.double().flatten() for each in state.values()])


@pytest.mark.parametrize("balance", AVAILABLE)
def test_two_processes_make_the_steps_of_one(balance: str, found: list[dict[str, Any]]) -> None:
    alone = trained(balance, Ranks())
    (weights, state, weighed), (other, other_state, _) = (each[balance] for each in found)
    assert torch.equal(flat(weights), flat(other))
    assert state.keys() == other_state.keys()
    assert all(torch.equal(torch.nan_to_num(each), torch.nan_to_num(other_state[name])) for name, each in state.items())
    assert torch.allclose(flat(weights), flat(alone.model.state_dict()), rtol=1e-5, atol=1e-6)
    assert (flat(weights) - flat(training(balance).model.state_dict())).abs().max() > 1e-3
    assert weighed.keys() == alone.weighed.steps.keys()
    for step, told in alone.weighed.steps.items():
        assert {task: float(each) for task, each in weighed[step].items()} == pytest.approx(
            {task: float(each) for task, each in told.items()}, rel=1e-3, abs=1e-4
        )


@pytest.mark.parametrize("balance", ["equal", "relative", "pcgrad"])
def test_so_they_do_with_steps_of_several_batches(balance: str, found: list[dict[str, Any]]) -> None:
    alone = trained(balance, Ranks())
    one, other = (flat(each[f"{balance} 2"]) for each in found)
    assert torch.equal(one, other)
    assert torch.allclose(one, flat(alone.model.state_dict()), rtol=1e-5, atol=1e-6)


def test_they_look_ahead_as_one_does(found: list[dict[str, Any]]) -> None:
    made = training("equal")
    made.learner = looking = Looking()
    one_by_one(made, [samples(0)])
    assert found[0]["gains"] == found[1]["gains"]
    assert len(looking.found) == 3 + 3  # three kinds of gains, and three copies that tasks share
    for one, other in zip(found[0]["gains"], looking.found, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-6)
    assert any(donor != recipient for donor, recipient in looking.found[0])


def test_what_layers_keep_is_the_mean_of_what_each_has_seen(found: list[dict[str, Any]]) -> None:
    one, other = (each["buffers"] for each in found)
    assert all(torch.equal(each, other[name]) for name, each in one.items())
    halves = []
    for half in (slice(0, 24), slice(24, 48)):
        made = training("equal", NORMAL)
        one_by_one(made, [{name: each[half] for name, each in samples(0).items()}])
        halves.append(dict(made.model.named_buffers()))
    means = [name for name in one if "running" in name]
    assert means
    for name in means:
        assert torch.allclose(one[name], (halves[0][name] + halves[1][name]) / 2, rtol=1e-5, atol=1e-6), name
        assert not torch.allclose(halves[0][name], halves[1][name], rtol=1e-2)


@pytest.mark.parametrize("said", MEANS)
def test_the_mean_of_weights_over_steps_is_the_same_in_each_with_the_mean_of_what_layers_keep(
    said: str, found: list[dict[str, Any]]
) -> None:
    (one, even), (other, again) = (each[said] for each in found)
    assert any("running" in name for name in one)
    for name, value in even.items():
        assert torch.equal(value, again[name])
        if "running" in name:
            assert not torch.equal(one[name], other[name])
            assert torch.allclose(value, (one[name] + other[name]) / 2, rtol=1e-6, atol=1e-7)
        else:
            assert torch.equal(one[name], other[name])
            assert torch.equal(value, one[name])


@pytest.mark.parametrize("balance", ["equal", "pcgrad"])
def test_a_loss_of_the_learner_counts_as_the_mean_over_the_processes(balance: str, found: list[dict[str, Any]]) -> None:
    made = training(balance)
    made.learner = Drawing()
    one_by_one(made, [samples(0)])
    one, other = (flat(each[f"{balance} and a penalty"]) for each in found)
    assert torch.equal(one, other)
    assert torch.allclose(one, flat(made.model.state_dict()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("balance", ["equal", "pcgrad"])
def test_teachers_answer_each_for_its_part_of_a_batch(balance: str, found: list[dict[str, Any]]) -> None:
    made = taught(balance)
    one_by_one(made, [samples(0)])
    one, other = (flat(each[f"{balance} and teachers"]) for each in found)
    assert torch.equal(one, other)
    assert torch.allclose(one, flat(made.model.state_dict()), rtol=1e-5, atol=1e-6)


def test_other_weights_in_one_process_are_noticed_at_the_end_of_the_epoch(found: list[dict[str, Any]]) -> None:
    assert [each["other weights"] for each in found] == [["MTL809"], ["MTL809"]]


def test_what_is_made_of_sums_is_the_same_to_the_bit_in_each_process(found: list[dict[str, Any]]) -> None:
    """As its own part is added to what the others have, in whatever order."""
    for balance in AVAILABLE:
        states = [flat(each[balance][1]).nan_to_num() if each[balance][1] else torch.zeros(1) for each in found]
        assert torch.equal(*states), balance
