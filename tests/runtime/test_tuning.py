"""`tuning`: what is frozen stays as it is, bit for bit, and what has a rate of its own makes the steps by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from mtsldsl import loads
from mtsldsl.codegen import compile_spec
from mtsldsl.ir.normal import digest
from mtsldsl.runtime.data import batches, load_data
from mtsldsl.runtime.learning.learned import at_rates
from mtsldsl.runtime.network.built import build_model, initialise
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.runtime.in_process import TASKS, of, rows, trained

TEXT = (
    TASKS.replace("linear(1)\n", "linear(1)\n  weight = 3\n")
    + """
backbone {
  stem = linear(8) | batch_norm | dropout(0.4) | tanh
  enc1 = linear(8) | batch_norm | tanh
  enc2 = linear(8) | tanh
}

train {
  epochs    = 3
  optimizer = adamw(lr=0.02, weight_decay=0.1)
  scheduler = step(step_size=1, gamma=0.5)
  warmup    = 7
  clip      = 2
  keep      = last
}

tuning {
  stem..enc1 = frozen
  enc2       = rate(0.1)
  b          = rate(3)
}
"""
)
PLAIN = TEXT[: TEXT.index("\ntuning {")]
SHARED = "\nsharing {\n  stem..enc1 = all\n}\n"
MERGING = """
structure mtsl {
  phases    = [1, 2]
  threshold = 0.01
  align     = 0.1
  transfer  = amalgamate(epochs=1)
}
"""


def weights(run: Path, epoch: int = 3) -> dict[str, Tensor]:
    """What the network has after an epoch."""
    return load_file(run / f"checkpoints/epoch-{epoch:03d}/weights.safetensors")


def frozen(state: dict[str, Tensor], *layers: str) -> dict[str, Tensor]:
    return {name: each for name, each in state.items() if name.split(".")[0] in layers}


def test_a_run_makes_the_steps_that_are_made_by_hand_with_groups_of_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = trained(tmp_path, TEXT + SHARED)
    monkeypatch.chdir(tmp_path)
    spec = loads(TEXT + SHARED)
    state = {name: each.detach().clone() for name, each in build_model(spec).state_dict().items()}
    groups = {0.02: ["heads.a"], 0.002: ["enc2.a", "enc2.b"], 0.06: ["heads.b"]}
    learned = [[each for name, each in state.items() if name.startswith(tuple(names))] for names in groups.values()]
    every = [each.requires_grad_() for group in learned for each in group]
    optimizer = torch.optim.AdamW([{"params": each} for each in learned], lr=0.0, weight_decay=0.1)
    train, step = load_data(spec).train, 0

    def normed(x: Tensor, layer: str) -> Tensor:
        made = F.linear(x, state[f"{layer}.linear1.weight"], state.get(f"{layer}.linear1.bias"))
        mean, variance = state[f"{layer}.norm1.running_mean"], state[f"{layer}.norm1.running_var"]
        return F.batch_norm(made, mean, variance, state[f"{layer}.norm1.weight"], state[f"{layer}.norm1.bias"]).tanh()

    def output(x: Tensor, task: str) -> Tensor:
        names = (f"enc2.{task}.linear1", f"heads.{task}.linear1")
        inner, outer = ([state[f"{name}.weight"], state[f"{name}.bias"]] for name in names)
        return F.linear(F.linear(normed(normed(x, "stem.a+b"), "enc1.a+b"), *inner).tanh(), *outer)

    for epoch in range(3):
        for batch in batches(
            train, 8, seed=0, epoch=epoch, shuffle=True, augment=(), device=torch.device("cpu"), drop_last=True
        ):
            step += 1
            for group, rate in zip(optimizer.param_groups, groups, strict=True):
                group["lr"] = rate * 0.5**epoch * min(1, step / 7)
            loss = F.mse_loss(output(batch["row"], "a"), batch["a"]) + 3 * F.mse_loss(
                output(batch["row"], "b"), batch["b"]
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(every, 2)
            optimizer.step()
    kept = weights(tmp_path / "runs/job/1")
    assert kept.keys() == state.keys()
    for name, each in state.items():
        if name.startswith(("stem", "enc1")):
            assert torch.equal(kept[name], each)
        else:
            torch.testing.assert_close(kept[name], each.detach(), rtol=1e-4, atol=1e-6)
    assert [each["lr"] for each in of(found, "epoch")] == pytest.approx([0.02, 0.01, 0.005])


@pytest.mark.parametrize("balance", ["equal", "pcgrad"])
def test_what_is_frozen_is_the_same_bits_after_a_run_with_phases(balance: str, tmp_path: Path) -> None:
    text = TEXT.replace("  keep ", f"  balance   = {balance}\n  ema       = 0.9\n  keep ").replace("stem..enc1", "stem")
    found = trained(tmp_path, text + MERGING)
    phases = of(found, "phase")
    assert [[line.split("(")[0] for line in each["decisions"]] for each in phases] == [["merge"], ["merge"]]
    amalgamated = [list(each["amalgamation"]) for each in phases]
    assert amalgamated == [[], ["enc1.a+b"]]  # of the stem there is nothing to train
    first, last = build_model(loads(text)).state_dict(), weights(tmp_path / "runs/job/1")
    stem = frozen(last, "stem")
    assert stem
    for name, each in stem.items():
        assert torch.equal(each, first[name.replace("a+b", "a")])
    rest = [name for name in last if name in first and name.endswith("weight") and name not in stem]
    assert rest
    assert not any(torch.equal(last[name], first[name]) for name in rest)
    average = load_file(tmp_path / "runs/job/1/best/mean.weights.safetensors")
    assert all(torch.equal(average[name], each) for name, each in stem.items())


def test_a_task_of_which_nothing_learns_is_measured_and_the_others_learn_as_without_it(tmp_path: Path) -> None:
    text = PLAIN + "\ntuning {\n  stem..enc2 = frozen\n  a = frozen\n}\n\nsharing {\n  stem..enc2 = all\n}\n"
    assert loads(text).settled == {"a"}
    for place, balance in enumerate(("equal", "pcgrad", "geometric_mean")):
        folder = tmp_path / str(place)
        folder.mkdir()
        found = trained(folder, text.replace("  keep ", f"  balance   = {balance}\n  keep "))
        first, last = build_model(loads(text)).state_dict(), weights(folder / "runs/job/1")
        assert {name.rpartition(".")[0] for name in last if not torch.equal(first[name], last[name])} == {
            "heads.b.linear1"
        }
        assert {"a", "b"} <= of(found, "validation")[-1]["losses"].keys()


def test_there_are_as_many_groups_whatever_has_parameters() -> None:
    named = [("stem.a+b.weight", nn.Parameter(torch.ones(1))), ("heads.a(b).weight", nn.Parameter(torch.ones(1)))]
    groups = torch.optim.SGD(at_rates(named, 0.5, {"stem": 0.1, "a": 2.0, "gone": 4.0}), lr=0.5).param_groups
    assert [group["param_names"] for group in groups] == [[], ["stem.a+b.weight"], ["heads.a(b).weight"], []]
    assert [group["lr"] for group in groups] == [0.5, 0.05, 1.0, 2.0]


def test_a_network_that_begins_anew_keeps_what_is_frozen() -> None:
    spec = loads(TEXT)
    model = build_model(spec)
    for each in model.parameters():
        nn.init.constant_(each, 0.25)
    initialise(model, spec, 0, but=spec.frozen)
    first = build_model(spec).state_dict()
    for name, each in model.named_parameters():
        kept = name.startswith(("stem", "enc1"))
        assert torch.equal(each, torch.full_like(each, 0.25) if kept else first[name])


def test_a_factor_of_one_says_nothing() -> None:
    one, other = loads(PLAIN), loads(PLAIN + "\ntuning {\n  stem..enc2 = rate(1.0)\n  a = rate(1)\n}\n")
    assert one == other
    assert digest(one) == digest(other)
    assert compile_spec(one) == compile_spec(other)
    assert digest(one) != digest(loads(PLAIN + "\ntuning {\n  stem = rate(0.5)\n}\n")) != digest(loads(TEXT))


@pytest.mark.soak
def test_a_run_that_is_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    text = (
        (TEXT + MERGING)
        .replace("step(step_size=1, gamma=0.5)", "one_cycle")
        .replace("  stem..enc1 = frozen", "  stem = frozen\n  enc1 = rate(2)")
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    trained(whole, text)
    rows(killed)
    (killed / "job.mtl").write_text(text, encoding="utf-8")
    words = ("train", "job.mtl", "--device", "cpu", "--quiet")
    assert disturbed(*words, action=f"if training.epoch == 2: {KILLED}", cwd=killed).returncode == -9
    done = prepared.run("-m", "mtsldsl", "train", "--resume", "runs/job/1", "--quiet", cwd=killed)
    assert done.returncode == 0, done.stderr
    one, other = weights(whole / "runs/job/1"), weights(killed / "runs/job/1")
    assert one.keys() == other.keys()
    assert all(torch.equal(each, other[name]) for name, each in one.items())
