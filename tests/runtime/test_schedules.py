"""Schedules of the learning rate that go by steps: a real run has the rates of their formulas, whatever comes between."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import load_file

from mtsldsl import load, loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.normal import digest
from mtsldsl.language.optimization import SAMPLINGS, SCHEDULERS
from mtsldsl.runtime.data import Mixed, Schedule, load_data
from mtsldsl.runtime.learning.schedule import remarks_on_schedule, require_room_for_schedule, steps_of_run
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.language.values import right_calls
from tests.runtime.in_process import TASKS, events, of, rates_seen, rows, trained
from tests.runtime.two_sources import written

TEXT = (
    TASKS
    + """
backbone {
  stem = linear(8) | tanh
}

train {
  epochs     = 3
  accumulate = 3
  optimizer  = sgd(lr=0.1, momentum=0.9)
  scheduler  = SCHEDULER
}
"""
)
MERGING = "\nstructure mtsl {\n  phases = [1, 2]\n  threshold = 0.01\n}\n"
STEPS = 12
"""Three epochs of 86 rows: ten batches each, of which three make a step, and the last step has one."""


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def _one_cycle(step: int) -> float:
    top = 0.25 * STEPS - 1  # where torch has the top: one before so many steps
    if step <= top:
        return _half_cosine(0.1 / 10, 0.1, step / top)
    return _half_cosine(0.1, 0.1 / 10 / 4, (step - top) / (STEPS - 1 - top))


FORMULAS: dict[str, Callable[[int], float]] = {
    "multistep([2, 5, 5], gamma=0.5, by=step)": lambda step: 0.1 * 0.5 ** ((step >= 2) + 2 * (step >= 5)),
    "step(4, gamma=0.5, by=step)": lambda step: 0.1 * 0.5 ** (step // 4),
    "cosine(eta_min=0.01, by=step)": lambda step: _half_cosine(0.1, 0.01, step / STEPS),
    "cosine(T_max=6, by=step)": lambda step: _half_cosine(0.1, 0.0, step / 6),
    "exponential(0.9, by=step)": lambda step: 0.1 * 0.9**step,
    "one_cycle(pct_start=0.25, div_factor=10, final_div_factor=4)": _one_cycle,
}


def test_every_schedule_has_a_formula_here() -> None:
    assert {each.partition("(")[0] for each in FORMULAS} == {rule.name for rule in SCHEDULERS.rules} - {"none"}


@pytest.mark.parametrize("scheduler", FORMULAS)
def test_a_run_has_the_rate_of_the_formula_in_each_step(scheduler: str, tmp_path: Path) -> None:
    with rates_seen() as rates:
        found = trained(tmp_path, TEXT.replace("SCHEDULER", scheduler))
    assert rates == pytest.approx([FORMULAS[scheduler](step) for step in range(STEPS)], rel=1e-6, abs=1e-12)
    assert [each["lr"] for each in of(found, "epoch")] == [rates[3], rates[7], rates[11]]


def test_a_phase_does_not_move_the_schedule_and_warm_up_is_a_part_of_it(tmp_path: Path) -> None:
    text = TEXT.replace("SCHEDULER", "one_cycle") + MERGING
    seen = []
    for name, more in {"alone": "", "merging": MERGING, "warm": "merging and warm"}.items():
        (tmp_path / name).mkdir()
        said = text.replace(MERGING, more if more != "merging and warm" else MERGING)
        said = said.replace("accumulate", "warmup = 5\n  accumulate") if name == "warm" else said
        with rates_seen() as rates:
            found = trained(tmp_path / name, said)
        assert any(each["accepted"] for each in of(found, "phase")) == (name != "alone")
        seen.append(rates)
    alone, merging, warm = seen
    assert alone == merging
    assert warm == pytest.approx([rate * min(1, (step + 1) / 5) for step, rate in enumerate(alone)], rel=1e-12)


@pytest.mark.parametrize("scheduler", ["one_cycle", pytest.param("cosine(by=step)", marks=pytest.mark.soak)])
def test_a_killed_run_goes_on_to_the_same_bits(scheduler: str, tmp_path: Path) -> None:
    text = TEXT.replace("SCHEDULER", scheduler) + MERGING
    (tmp_path / "whole").mkdir()
    trained(tmp_path / "whole", text)
    rows(tmp_path)
    (tmp_path / "job.mtl").write_text(text, encoding="utf-8")
    killed = disturbed(
        "train", "job.mtl", "--quiet", "--device", "cpu", action=f"if training.epoch == 2: {KILLED}", cwd=tmp_path
    )
    assert killed.returncode == -9
    done = prepared.run("-m", "mtsldsl", "train", "--quiet", "--resume", "runs/job/1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rates = [
        [each["lr"] for each in of(events(tmp_path / place), "epoch")] for place in ("whole/runs/job/1", "runs/job/1")
    ]
    assert rates[0] == rates[1]
    for part in ("weights", "optimizer"):
        one, other = (
            load_file(next((tmp_path / place / "checkpoints").iterdir()) / f"{part}.safetensors")
            for place in ("whole/runs/job/1", "runs/job/1")
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        ("multistep([3, 12], by=step)", "the rate never falls at milestone 12: there are 12 steps"),
        ("step(12, by=step)", "the rate never falls: a step is 12 steps of 12"),
        ("cosine(13, by=step)", "the cosine of 13 steps is not at its end after 12"),
        ("cosine(11, by=step)", "the cosine of 11 steps rises again after 12"),
        ("multistep([3, 11], by=step)", None),
        ("multistep([30])", None),  # `check --pedantic` says it
        ("cosine(by=step)", None),
        ("one_cycle", None),
        ("one_cycle\n  stop = patience(3)", None),
        (
            "one_cycle\n  stop = patience(2)",
            "`one_cycle` brings the rate down at the end of all epochs, and `stop` may end the run before",
        ),
        ("none", None),
    ],
)
def test_what_does_not_fit_the_steps_is_known_with_the_data(
    scheduler: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(tmp_path)
    monkeypatch.chdir(tmp_path)
    spec = loads(TEXT.replace("SCHEDULER", scheduler))
    data = load_data(spec).train
    assert steps_of_run(spec, data) == STEPS
    assert [each.partition(";")[0] for each in remarks_on_schedule(spec, data)] == ([said] if said else [])


def test_a_run_begins_with_that_warning(tmp_path: Path) -> None:
    found = of(trained(tmp_path, TEXT.replace("SCHEDULER", "step(12, by=step)")), "warning")
    assert [each["text"] for each in found if each["about"] == "schedule"] == [
        "the rate never falls: a step is 12 steps of 12; take a step below 12 steps (MTL942)"
    ]


@pytest.mark.parametrize(("share", "enough"), [("0.08", False), ("0.09", True)])
def test_a_cycle_has_steps_to_rise_over(
    share: str, enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(tmp_path)
    monkeypatch.chdir(tmp_path)
    spec = loads(TEXT.replace("SCHEDULER", f"one_cycle(pct_start={share})"))
    data = load_data(spec).train
    with nullcontext() if enough else pytest.raises(MtlError, match="no step to rise over: its highest rate") as caught:
        require_room_for_schedule(spec, data)
    assert caught is None or "after 0.08 of the 12 steps" in str(caught.value)
    assert caught is None or "train for more than 12 steps" in str(caught.value)


@pytest.mark.parametrize("sampling", SAMPLINGS.rules, ids=lambda rule: rule.name)
def test_the_steps_of_several_sources_are_those_of_their_schedule(sampling: object, tmp_path: Path) -> None:
    spec = load(written(tmp_path))
    data = load_data(spec).train
    assert isinstance(data, Mixed)
    for call in right_calls(sampling):  # type: ignore[arg-type]
        train = attrs.evolve(spec.train, sampling=call, accumulate=4, epochs=3)
        sizes = {each.name: each.batch for each in spec.blocks}
        order = Schedule.of(data, sizes, call, seed=0, epoch=2)
        assert steps_of_run(attrs.evolve(spec, train=train), data) == 3 * math.ceil(len(order) / 4)


def test_what_goes_by_epochs_means_what_it_meant() -> None:
    plain, said, other = (
        loads(TEXT.replace("SCHEDULER", each)) for each in ("step(2)", "step(2, by=epoch)", "step(2, by=step)")
    )
    assert digest(plain) == digest(said) != digest(other)
    assert (plain.train.rate_by_steps, other.train.rate_by_steps) == (False, True)
