from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RAdam
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.learning.saved import Saved
from mtsldsl.runtime.network.optimizer_state import (
    carry_optimizer_state,
    load_named_state,
    named_optimizer_state,
    parameter_state,
    set_parameter_state,
)

MAKERS: dict[str, Callable[..., Optimizer]] = {
    "adam": lambda named: Adam(named, lr=0.01),
    "adam fused": lambda named: Adam(named, lr=0.01, weight_decay=1e-4, fused=True),
    "adam foreach, amsgrad": lambda named: Adam(named, lr=0.01, amsgrad=True, foreach=True),
    "adamw fused": lambda named: AdamW(named, lr=0.01, fused=True),
    "sgd momentum": lambda named: SGD(named, lr=0.01, momentum=0.9),
    "sgd momentum fused": lambda named: SGD(named, lr=0.01, momentum=0.9, fused=True),
    "sgd": lambda named: SGD(named, lr=0.01),
    "radam": lambda named: RAdam(named, lr=0.01),
}
every_optimizer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def make_parameters(*names: str, seed: int = 0) -> dict[str, nn.Parameter]:
    """Parameters that depend on their name alone, some laid out in memory otherwise than others."""
    parameters = {}
    for index, name in enumerate(names):
        value = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(seed + sum(map(ord, name))))
        memory = torch.channels_last if index % 2 else torch.contiguous_format
        parameters[name] = nn.Parameter(value.to(memory_format=memory))
    return parameters


def step(optimizer: Optimizer, parameters: dict[str, nn.Parameter], times: int = 1) -> None:
    for _ in range(times):
        optimizer.zero_grad(set_to_none=True)
        loss = sum((value * value.detach().cos()).sum() for value in parameters.values())
        assert isinstance(loss, Tensor)
        loss.backward()
        optimizer.step()


def equal(left: Any, right: Any) -> bool:
    return torch.equal(left, right) if isinstance(left, Tensor) else left == right


def equal_states(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())


@every_optimizer
def test_survivors_keep_their_state_and_go_on_bit_for_bit(make: Callable[..., Optimizer]) -> None:
    old = make_parameters("a", "b", "c", "d")
    old_optimizer = make(old.items())
    step(old_optimizer, old, 3)
    new = {name: nn.Parameter(old[name].detach().clone()) for name in ("d", "b")}
    new_optimizer = make(new.items())
    carry_optimizer_state(old_optimizer, old, new_optimizer, new, {})
    before, after = parameter_state(old_optimizer, old), parameter_state(new_optimizer, new)
    assert all(equal_states(before[name], after[name]) for name in after)
    assert after.keys() == before.keys() & {"b", "d"}
    step(old_optimizer, old, 2)
    step(new_optimizer, new, 2)
    assert all(torch.equal(value, old[name]) for name, value in new.items())


@every_optimizer
def test_a_merged_parameter_gets_the_mean_of_its_members_state(make: Callable[..., Optimizer]) -> None:
    old = make_parameters("a.x.weight", "a.y.weight", "b.x.weight")
    old_optimizer = make(old.items())
    step(old_optimizer, old, 2)
    step(old_optimizer, {"a.y.weight": old["a.y.weight"]}, 2)
    new = make_parameters("a.x+y.weight", "b.x.weight")
    new_optimizer = make(list(new.items()))
    merged = {"a.x+y.weight": ["a.x.weight", "a.y.weight"]}
    carry_optimizer_state(old_optimizer, old, new_optimizer, new, merged)
    before = parameter_state(old_optimizer, old)
    found = parameter_state(new_optimizer, new).get("a.x+y.weight", {})
    assert found.keys() == before.get("a.x.weight", {}).keys()
    for key, value in found.items():
        first, second = before["a.x.weight"][key], before["a.y.weight"][key]
        if key == "step":
            assert value == 3
        torch.testing.assert_close(value, (first + second) / 2)
    step(new_optimizer, new)


def test_members_with_equal_state_merge_into_that_state_bit_for_bit() -> None:
    value = make_parameters("a.x")["a.x"]
    old = {"a.x": value, "a.y": nn.Parameter(value.detach().clone()), "a.z": nn.Parameter(value.detach().clone())}
    old_optimizer = Adam(old.values())
    step(old_optimizer, old, 3)
    new = make_parameters("a.x+y+z")
    new_optimizer = Adam(new.values())
    carry_optimizer_state(old_optimizer, old, new_optimizer, new, {"a.x+y+z": list(old)})
    expected = parameter_state(old_optimizer, old)["a.x"]
    assert equal_states(parameter_state(new_optimizer, new)["a.x+y+z"], expected)


def test_a_member_that_never_had_a_gradient_counts_as_zero() -> None:
    old = make_parameters("a", "b")
    old_optimizer = Adam(old.items())
    step(old_optimizer, {"a": old["a"]}, 4)
    new = make_parameters("a+b", "new")
    new_optimizer = Adam(new.items())
    carry_optimizer_state(old_optimizer, old, new_optimizer, new, {"a+b": ["a", "b"]})
    found = parameter_state(new_optimizer, new)
    assert found.keys() == {"a+b"}
    assert found["a+b"]["step"] == 2
    assert torch.equal(found["a+b"]["exp_avg"], parameter_state(old_optimizer, old)["a"]["exp_avg"] / 2)


def test_carried_state_is_a_copy_laid_out_as_the_new_parameter_is() -> None:
    old = {"a": nn.Parameter(torch.randn(4, 3, 2, 2))}
    old_optimizer = Adam(old.items(), fused=True)
    step(old_optimizer, old)
    new = {"a": nn.Parameter(old["a"].detach().clone(memory_format=torch.channels_last))}
    new_optimizer = Adam(new.items(), fused=True)
    carry_optimizer_state(old_optimizer, old, new_optimizer, new, {})
    kept = parameter_state(old_optimizer, old)["a"]
    assert new_optimizer.state[new["a"]]["exp_avg"].is_contiguous(memory_format=torch.channels_last)
    step(new_optimizer, new)
    assert equal_states(parameter_state(old_optimizer, old)["a"], kept)
    step(old_optimizer, old)
    assert torch.equal(new["a"], old["a"])


@pytest.mark.parametrize(
    "make_scheduler",
    [
        lambda optimizer: MultiStepLR(optimizer, [2, 5], 0.1),
        lambda optimizer: CosineAnnealingLR(optimizer, 9),
    ],
    ids=["steps", "cosine"],
)
def test_a_schedule_goes_on_over_a_change_of_structure(make_scheduler: Callable[[Optimizer], LRScheduler]) -> None:
    def rates(change_at: int | None) -> list[float]:
        named = make_parameters("a", "b")
        optimizer: Optimizer = Adam(named.items(), lr=0.1, betas=(0.8, 0.9))
        scheduler = make_scheduler(optimizer)
        found = []
        for epoch in range(8):
            if epoch == change_at:
                new = make_parameters("a+b")
                new_optimizer = Adam(new.items(), lr=5.0)
                new_scheduler = make_scheduler(new_optimizer)
                new_scheduler.load_state_dict(scheduler.state_dict())
                carry_optimizer_state(optimizer, named, new_optimizer, new, {"a+b": ["a", "b"]})
                named, optimizer, scheduler = new, new_optimizer, new_scheduler
            step(optimizer, named)
            scheduler.step()
            found.append(optimizer.param_groups[0]["lr"])
        assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
        return found

    for change_at in (0, 2, 4, 5):
        assert rates(change_at) == rates(None)


def test_the_way_of_computing_is_the_new_optimizers_own() -> None:
    old, new = make_parameters("a"), make_parameters("a")
    old_optimizer, new_optimizer = Adam(old.items(), fused=True), Adam(new.items(), foreach=True)
    step(old_optimizer, old)
    carry_optimizer_state(old_optimizer, old, new_optimizer, new, {})
    assert new_optimizer.param_groups[0]["foreach"] is True
    assert not new_optimizer.param_groups[0]["fused"]
    step(new_optimizer, new)


def test_each_group_takes_the_options_of_the_group_its_parameters_come_from() -> None:
    old, new = make_parameters("a", "b", "c"), make_parameters("c", "a+b")
    old_optimizer = Adam([{"params": [old["a"], old["b"]], "lr": 0.5}, {"params": [old["c"]], "lr": 0.25}])
    new_optimizer = Adam([{"params": [new["c"]]}, {"params": [new["a+b"]]}])
    carry_optimizer_state(old_optimizer, old, new_optimizer, new, {"a+b": ["a", "b"]})
    assert [group["lr"] for group in new_optimizer.param_groups] == [0.25, 0.5]
    with pytest.raises(ValueError, match="2 groups"):
        carry_optimizer_state(old_optimizer, old, Adam(new.values()), new, {"a+b": ["a", "b"]})


@every_optimizer
def test_a_saved_optimizer_goes_on_bit_for_bit(make: Callable[..., Optimizer]) -> None:
    named = make_parameters("a", "b", "c")
    optimizer = make(named.items())
    step(optimizer, named, 3)
    optimizer.param_groups[0]["lr"] = 0.001
    kept = Saved.of(named_optimizer_state(optimizer, named))
    saved = Saved(kept.tensors, json.loads(json.dumps(kept.facts))).state()
    fresh = {name: nn.Parameter(value.detach().clone()) for name, value in named.items()}
    loaded = make(fresh.items())
    load_named_state(loaded, fresh, saved)
    assert loaded.param_groups[0]["lr"] == 0.001
    step(optimizer, named, 2)
    step(loaded, fresh, 2)
    assert all(torch.equal(value, fresh[name]) for name, value in named.items())


def test_state_of_other_parameters_is_refused() -> None:
    named, other = make_parameters("a", "b"), make_parameters("a", "c")
    saved = named_optimizer_state(Adam(named.items()), named)
    with pytest.raises(MtlError, match="`b`") as caught:
        load_named_state(Adam(other.items()), other, saved)
    assert caught.value.diagnostics[0].code == "MTL805"


def test_the_state_of_single_parameters_can_be_set() -> None:
    named = make_parameters("a", "b")
    optimizer = Adam(named.items())
    step(optimizer, named, 2)
    before = parameter_state(optimizer, named)
    set_parameter_state(optimizer, named, {"a": before["b"]})
    after = parameter_state(optimizer, named)
    assert equal_states(after["a"], before["b"])
    assert equal_states(after["b"], before["b"])


def test_squares_of_large_gradients_that_are_no_finite_numbers_are_loaded() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.full((2,), 1e30)
    optimizer.step()
    saved = named_optimizer_state(optimizer, {"weight": weight})
    assert saved["state"]["weight"]["exp_avg_sq"].isinf().all()
    again = torch.optim.Adam([weight])
    load_named_state(again, {"weight": weight}, saved)
    assert again.state[weight]["exp_avg_sq"].isinf().all()
