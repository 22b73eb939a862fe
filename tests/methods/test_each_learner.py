"""What a run promises beside a structure learner, held for every one: several inputs, layers that are frozen, steps of
several batches, a running mean, a task that stops, a head that begins earlier, and a run that goes on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import Tensor

from mtsldsl import build_model, load, load_run, loads
from mtsldsl.cli import main
from mtsldsl.diagnostics import MtlError
from mtsldsl.methods.registry import METHODS, method
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.run.folder import RunFolder
from tests.methods.each_learner import TOGETHER, enlarged_or_not, run, text, visits
from tests.runtime.in_process import events, of


def nothing_is_decided_of_what_is_not_read(name: str, told: list[dict[str, Any]], folder: RunFolder) -> None:
    found = [event for kind in method(name).findings for event in of(told, kind.kind) if event.get("layer") == "last"]
    assert all(set(event["tasks"]) == {"a", "b"} for event in found)
    spec = load(folder.spec)
    if name == "allocation":
        assert spec.sharing.uses("last", "early") == ()
    elif name not in ("transference", "ladder"):  # groups are networks of their own; shapes have whole rows
        assert frozenset(["early"]) in set(spec.sharing.partition("last"))
    if name not in TOGETHER:
        named = [each.fields.get("tasks", ()) for each in spec.history if each.fields.get("layer") == "last"]
        assert not any("early" in tasks for tasks in named)


def weights(folder: RunFolder, epoch: int, part: str = "weights") -> dict[str, Tensor]:
    return load_file(folder.checkpoints / f"epoch-{epoch:03d}/{part}.safetensors")


@pytest.mark.parametrize("name", METHODS)
def test_a_run_of_a_learner_keeps_what_all_runs_promise(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    visits(tmp_path)
    folder = run(tmp_path, text(name))
    told, spec, first = events(folder.path), load(folder.spec), loads(text(name))
    assert spec.history
    nothing_is_decided_of_what_is_not_read(name, told, folder)
    # What is frozen is what it was, of all copies alike.
    found, began = weights(folder, 2), build_model(first).state_dict()
    frozen = [each for each in found if each.startswith("seen.")]
    assert frozen
    rests = {each.split(".", 2)[2]: value for each, value in began.items() if each.startswith("seen.")}
    assert all(torch.equal(found[each], rests[each.split(".", 2)[2]]) for each in frozen)
    # What is validated, and kept, is the running mean.
    kept, network = load_run(folder.path)
    reached = evaluate(network, kept, load_data(first).validation, torch.device("cpu"))
    assert reached.losses == of(told, "validation")[-1]["losses"]
    average = weights(folder, 2, "average")
    assert not all(torch.equal(average[f"module.{each}"], value) for each, value in found.items())
    # The commands that compare and merge specs take what came of it.
    shown = CliRunner().invoke(main, ["diff", "job.mtl", str(folder.path), "--history"])
    assert shown.exit_code == 0, shown.output
    merged = CliRunner().invoke(main, ["merge", "job.mtl", "job.mtl", str(folder.path)])
    assert merged.exit_code == 0, merged.output
    assert loads(merged.stdout).sharing == spec.sharing


@pytest.mark.parametrize("name", [name for name in METHODS if method(name).block.key("teach") is None])
def test_a_learner_without_a_teacher_of_its_own_says_where_teachers_are_named(name: str) -> None:
    content = text(name)
    with pytest.raises(MtlError) as raised:
        loads(content.replace(f"structure {name} {{", f"structure {name} {{\n  teach = 1.0"))
    (found,) = raised.value.diagnostics
    assert found.code == "MTL104"
    assert found.remedy is not None
    written = re.findall("`(teach.*?)`", found.remedy)
    assert len(written) == 2
    spec = loads(content.replace("train {", "train {\n  " + "\n  ".join(written)))
    assert (spec.train.teachers, spec.train.teach) == ("runs/each/1", 1.0)


PLAIN = " | batch_norm"
"""What makes a batch more than the sum of its samples."""

LOOKING = ("mtsl", "transference", "split", "ladder")
"""Those that look at the batches of a step for themselves: at their features, at the last alone, or at the logarithms
of their losses."""


def told_of(folder: RunFolder) -> list[dict[str, Any]]:
    """What a run tells that does not depend on the clock or its place, nor on how often it was begun."""
    kinds = ("epoch", "validation", "phase", "task_stopped", "best")
    clock = ("time", "seconds", "epoch_seconds", "samples_per_second", "peak_memory_mb")
    told = [event for event in events(folder.path) if event["event"] in kinds]
    return [{key: value for key, value in event.items() if key not in clock} for event in told]


@pytest.mark.soak
@pytest.mark.parametrize("name", METHODS)
def test_a_run_that_was_ended_goes_on_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it decides, and after."""
    found = []
    for ends in ((), (1, 2)):
        place = tmp_path / str(len(ends))
        place.mkdir()
        monkeypatch.chdir(place)
        visits(place)
        found.append(run(place, text(name, at=2, epochs=5), ends))
    one, other = found
    assert load(one.spec).history
    assert load(one.spec).source.text == load(other.spec).source.text
    assert told_of(one) == told_of(other)
    assert of(told_of(one), "task_stopped")
    for part in ("weights", "average", "optimizer"):
        left, right = (weights(each, len(of(told_of(one), "epoch")), part) for each in found)
        assert left.keys() == right.keys()
        assert all(torch.equal(value, right[each]) for each, value in left.items())


@pytest.mark.parametrize(
    "name", [name if name == "ltb" else pytest.param(name, marks=pytest.mark.soak) for name in METHODS]
)
def test_gradients_enlarged_for_fp16_change_no_bit_in_fp32(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ltb` gives copies that it does not choose no gradient at all."""
    found = enlarged_or_not(tmp_path, monkeypatch, lambda place: run(place, text(name)))
    one, other = found
    assert load(one.spec).source.text == load(other.spec).source.text
    assert told_of(one) == told_of(other)
    left, right = (weights(each, 2) for each in found)
    assert all(torch.equal(value, right[each]) for each, value in left.items())


@pytest.mark.soak
@pytest.mark.parametrize("name", METHODS)
def test_decisions_are_those_of_the_network_that_is_trained_whatever_mean_is_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    visits(tmp_path)
    with_mean = text(name, at=2, epochs=3).replace("  stop   = patience(1)\n", "")
    one, other = (run(tmp_path, each) for each in (with_mean, with_mean.replace("  ema        = 0.5\n", "")))
    assert load(one.spec).history == load(other.spec).history != ()
    losses = [[event["losses"] for event in of(told_of(each), "epoch")] for each in (one, other)]
    assert losses[0] == losses[1]
    left, right = weights(one, 3), weights(other, 3)
    assert all(torch.equal(value, right[each]) for each, value in left.items())
    assert of(told_of(one), "validation")[-1]["losses"] != of(told_of(other), "validation")[-1]["losses"]


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in METHODS if name not in LOOKING])
def test_a_step_of_several_batches_is_that_of_a_large_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    visits(tmp_path)
    several = text(name).replace(PLAIN, "")
    large = several.replace("batch = 8", "batch = 16").replace("  accumulate = 2\n", "")
    one, other = (run(tmp_path, each) for each in (several, large))
    assert load(one.spec).sharing == load(other.spec).sharing
    left, right = weights(one, 2), weights(other, 2)
    assert left.keys() == right.keys()
    for each, value in left.items():
        torch.testing.assert_close(value, right[each], rtol=1e-4, atol=1e-5)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["allocation", "split", "ltb", "ladder"])
def test_two_processes_decide_and_learn_what_one_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    visits(tmp_path)
    plain = text(name).replace(PLAIN, "")
    one = run(tmp_path, plain)
    words = ("train", "job.mtl", "--nproc", "2", "--device", "cpu", "--runs", "two")
    done = subprocess.run([sys.executable, "-m", "mtsldsl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    two = RunFolder.open(tmp_path / "two/job/1")
    assert load(one.spec).sharing == load(two.spec).sharing
    left, right = weights(one, 2), weights(two, 2)
    assert left.keys() == right.keys()
    for each, value in left.items():
        torch.testing.assert_close(value, right[each], rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, right[each]) for each, value in left.items() if each.startswith("seen."))
