"""Gradients that are made larger inside the network: the same bits, but for those that fp16 would lose."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.learning.loss_scale import INTERVAL, LossScale
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.checkpoint import restore_checkpoint, save_checkpoint
from mtsldsl.runtime.run.folder import RunFolder
from tests.runtime.in_process import TASKS, of, trained
from tests.runtime.looking_ahead import batch_of, gradients, learn, training
from tests.runtime.started import started
from tests.runtime.test_balances_in_training import AVAILABLE, WITHOUT, assert_equal, state

SPEC = (
    TASKS
    + """
backbone {
  stem = linear(8) | relu
  top  = linear(8) | relu
}

sharing {
  stem = all
}

train {
  epochs    = 3
  balance   = BALANCE
  precision = fp16
  optimizer = sgd(lr=0.05)
}
"""
)


def grads(made: Training) -> dict[str, Tensor]:
    learned = (("network", made.model), ("balance", made.balance))
    return {
        f"{of}.{name}": each.grad.clone()
        for of, module in learned
        for name, each in module.named_parameters()
        if each.grad is not None
    }


@pytest.mark.parametrize("name", AVAILABLE)
def test_in_fp32_no_bit_changes_by_the_factor_whatever_the_balance(name: str) -> None:
    found = []
    for scale in (None, LossScale(2.0**12)):
        made = training(name)
        made.scale = scale
        torch.manual_seed(0)
        with nullcontext() if scale is None else scale.over(made.parameters()):
            learn(made, range(3), WITHOUT)
        found.append(state(made))
    assert_equal(*found)


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_step_that_overflows_changes_nothing_and_halves_the_factor(name: str) -> None:
    made = training(name, precision="fp16")
    made.scale = LossScale(2.0**60)
    learned = [*made.model.parameters(), *made.balance.parameters()]
    before = [each.detach().clone() for each in learned]
    torch.manual_seed(0)
    with made.scale.over(made.parameters()):
        gradients(made, batch_of(0))
        made.optimizer.step()
    assert made.scale == LossScale(2.0**59, 0, 1)
    assert made.steps == 1
    assert not grads(made)
    assert all(map(torch.equal, before, learned))


def test_gradients_that_fp16_would_lose_are_kept() -> None:
    found = {}
    for precision in ("fp32", "fp16", "lost"):
        small = "loss   = mse", "loss   = mse\n  weight = 1e-7"
        made = training("equal", small, precision="fp32" if precision == "fp32" else "fp16")
        if precision == "lost":
            made.scale = None
        torch.manual_seed(0)
        with nullcontext() if made.scale is None else made.scale.over(made.parameters()):
            gradients(made, batch_of(0))
        found[precision] = torch.cat([each.flatten() for each in grads(made).values()])
    scale = found["fp32"].norm()
    assert (found["fp16"] - found["fp32"]).norm() < 0.02 * scale
    assert (found["lost"] - found["fp32"]).norm() > 0.1 * scale


@pytest.mark.soak
@pytest.mark.parametrize("name", AVAILABLE)
def test_a_step_in_fp16_is_nearly_that_in_fp32(name: str) -> None:
    found = []
    for precision in ("fp32", "fp16"):
        made = training(name, ("dropout(0.5) | ", ""), precision=precision)
        made.scale = LossScale(2.0**8) if precision == "fp16" else None
        torch.manual_seed(0)
        with nullcontext() if made.scale is None else made.scale.over(made.parameters()):
            gradients(made, batch_of(0))
        found.append(torch.cat([each.flatten() for each in grads(made).values()]))
    assert found[1].dtype == torch.float32
    assert found[1].isfinite().all()
    assert (found[0] - found[1]).norm() < 0.05 * found[0].norm()


def with_gradient(value: float) -> nn.Parameter:
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.full((1,), value)
    return parameter


def test_the_factor_grows_after_many_steps_without_an_overflow() -> None:
    scale = LossScale()
    with scale.over([]):
        for _ in range(INTERVAL):
            scale.end_step([with_gradient(1.0)])
        assert scale == LossScale(2.0**17, 0, 0, under_way=True)
        sound, not_finite = with_gradient(1.0), with_gradient(math.inf)
        scale.end_step([sound, not_finite])
        assert sound.grad is None
        assert not_finite.grad is None
        assert scale == LossScale(2.0**16, 0, 1, under_way=True)


def test_gradients_too_large_for_fp16_by_themselves_end_the_run() -> None:
    scale = LossScale(1.0)
    with scale.over([]), pytest.raises(MtlError, match="65504") as raised:
        scale.end_step([with_gradient(math.nan)])
    assert raised.value.diagnostics[0].code == "MTL803"
    assert "bf16" in str(raised.value)


def test_a_run_that_is_resumed_has_the_factor(tmp_path: Path) -> None:
    made = training("equal", precision="fp16")
    made.scale = LossScale(2.0**9, 7)
    folder = RunFolder.create(tmp_path, "run")
    save_checkpoint(folder, made, 0)
    (checkpoint,) = folder.checkpoints.iterdir()
    again = started(made.spec, made.make_optimizer)
    restore_checkpoint(checkpoint, again)
    assert again.scale == LossScale(2.0**9, 7)


@pytest.mark.parametrize("balance", ["equal", "pcgrad", "uncertainty"])
def test_a_run_in_fp16_learns(balance: str, tmp_path: Path) -> None:
    events = trained(tmp_path, SPEC.replace("BALANCE", balance))
    assert all(event.get("skipped_steps", 0) < 5 for event in of(events, "epoch"))
    losses = [sum(event["losses"].values()) for event in of(events, "epoch")]
    assert len(losses) == 3
    assert losses[-1] < losses[0]


def test_steps_that_were_not_made_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LossScale, "of", lambda _: LossScale(2.0**22))
    events = trained(tmp_path, SPEC.replace("BALANCE", "equal"))
    first, *rest = [event.get("skipped_steps") for event in of(events, "epoch")]
    assert first is not None
    assert 2 <= first <= 8
    assert rest == [None, None]
