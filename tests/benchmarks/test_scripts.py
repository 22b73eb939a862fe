"""Every benchmark can be run, and what it compares is equal; how long anything takes is no matter here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from mtsldsl.editing import load, loads
from mtsldsl.runtime.run.launch import launch
from mtsldsl.runtime.run.session import Session
from tests.benchmarks.loading import FOLDER, loaded

SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
TINY = {"data.images": 48, "data.input": "image(3, 16, 16)"}


@pytest.mark.soak
def test_every_script_can_be_imported() -> None:
    assert {"phase", "epoch", "memory", "same_results"} <= set(SCRIPTS)
    # ruff takes a module for one of the project's where a folder is called so, as that of runs after `make demo`
    assert {"runs", "data", "build", "dist"}.isdisjoint(SCRIPTS)
    program = f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import {', '.join(SCRIPTS)}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.soak
def test_both_ways_to_make_a_phase_find_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with loaded("phase") as script:
        phases = script.make_phases(tmp_path, TINY)
        script.require_all_equal({way: prepare()()() for way, prepare in phases.items()})
        times = script.measure(phases, 1)
        assert times.keys() == phases.keys()
        for slow, status in ((0.39, 0), (0.41, 1)):
            assert script.report({way: [slow if "ours" in way else 1.0] for way in times}) == status
            assert ("missed" in capsys.readouterr().out) == status


@pytest.mark.soak
def test_copies_that_are_equal_merge_at_no_cost_matched_or_not() -> None:
    with loaded("matching") as script:
        spec = script.with_sharing_of(script.load_static(Path("specs/planted.mtl"), {"data.samples": "200"}), "each")
        model, data, layers = script.build_model(spec), script.load_data(spec), spec.backbone.layers
        for match in (False, True):
            assert script.rise(spec, model, data, layers, match=match) == pytest.approx(1, abs=1e-5)
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if ".a2." in name:
                    tensor.mul_(-1)
        assert abs(script.rise(spec, model, data, layers, match=False) - 1) > 1e-3


@pytest.mark.soak
def test_both_ways_to_make_an_epoch_find_the_same(tmp_path: Path) -> None:
    with loaded("epoch") as script:
        epochs = script.make_epochs(tmp_path, script.SIZES | TINY)
        script.require_equal({way: epoch() for way, epoch in epochs.items()})
        assert {way: len(times) for way, times in script.measure(epochs, 1).items()} == dict.fromkeys(epochs, 1)


def test_both_ways_to_train_separate_networks_learn() -> None:
    with loaded("memory") as script:
        batch = script.batch_of(2, 16)
        for make in script.WAYS.values():
            step = make(2, batch)
            first, *_, last = (total(step()) for _ in range(4))
            assert last < first


@pytest.mark.soak
def test_a_step_of_several_batches_is_timed_against_what_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with loaded("accumulate") as script:
        rows, _ = script.NETWORKS["rows"]
        monkeypatch.setitem(script.NETWORKS, "rows", (rows, 4))
        for balance in script.BALANCES:
            for way in script.WAYS:
                step = script.make_step("rows", balance, way)
                first, *_, last = (sum(float(each.detach()) for each in step().values()) for _ in range(12))
                assert last < first


@pytest.mark.soak
def test_looking_ahead_is_timed_against_the_same_training(capsys: pytest.CaptureFixture[str]) -> None:
    with loaded("transference") as script:
        for name, ways in script.make_networks(size=16, count=2, rows_count=4).items():
            times = script.measure(ways, rounds=1, repeats=1)
            assert times.keys() == set(script.WAYS)
            script.require_equal_weights(ways)
            assert [way.training.learner.counts.sum() for way in ways.values() if way is not ways[script.PLAIN]] == [
                25
            ] * 3
            for slow, status in ((1.49, 0), (1.51, 1)):
                taken = {way: [slow if way == "sgd" else 1.0] for way in ways}
                assert script.report(name, taken, 1) == status
                assert ("missed" in capsys.readouterr().out) == status
            with torch.no_grad():
                next(ways["sgd"].training.model.parameters()).add_(1e-6)
            with pytest.raises(AssertionError):
                script.require_equal_weights(ways)
        errors = script.bf16_errors(*script.rows(16), seeds=[0])
        assert errors["losses in fp32"] < 0.1 < errors["losses in bf16"]


def total(losses: dict[str, torch.Tensor] | list[torch.Tensor]) -> float:
    return sum(float(loss.detach()) for loss in (losses.values() if isinstance(losses, dict) else losses))


def test_similarities_are_those_of_pair_by_pair() -> None:
    with loaded("similarity") as script:
        for case in (script.matrix_case(3, 16, 4, None), script.alignment_case(3, 8, 4, 0.2)):
            assert all(time > 0 for time in script.measure(case, 1))


def test_a_grouping_is_measured_in_a_process_of_its_own() -> None:
    command = [sys.executable, FOLDER / "grouping.py", "--one", "6", "0.8", "18", "0"]
    seconds, peak, proven = map(float, subprocess.check_output(command, text=True).split())
    assert seconds >= 0
    assert peak > 0
    assert proven == 1
    with loaded("grouping") as script:
        assert script.until([0.1, 0.9, 0.5], 0.8) == [0.1, 0.9]
        assert np.isfinite(script.milliseconds(4))


@pytest.mark.soak
def test_a_run_is_studied_before_and_after_statistics_are_estimated_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with loaded("reestimation") as script:
        monkeypatch.setattr(script.phase, "reestimate", script.phase.reestimate)  # which the script replaces
        short = {"train.epochs": "1", "structure.phases": "[1]", "structure.threshold": "-1", "data.batch": "8"}
        small = {name: str(value) for name, value in TINY.items()}
        study = script.studied(FOLDER.parent / "specs" / "scenes.mtl", 0, short | small)
        assert len(study.stale) == len(study.fresh) == 2
        assert {task: len(found) for task, found in script.rises(study.fresh).items()} == dict.fromkeys(
            ("segment", "depth", "normal", "edge"), 1
        )


def test_the_long_specs_are_sound() -> None:
    with loaded("compile") as plain, loaded("cli") as evolved:
        assert len(loads(plain.long_spec(20)).layers) == 20
        spec = loads(evolved.evolved_spec(20))
        assert len(spec.sharing["layer0"]) == 1
        assert len(spec.sharing["layer19"]) == 2


@pytest.mark.soak
def test_a_run_is_the_same_as_its_copy_until_a_bit_is_another(tmp_path: Path) -> None:
    with loaded("same_results") as script:
        spec = load(FOLDER.parent / "specs" / "scenes.mtl", TINY | {"train.epochs": 1, "structure.phases": "[1]"})
        session = Session.create(spec, "scenes", tmp_path, "cpu", "quiet")
        launch(session)
        run = session.folder.path
        copy = shutil.copytree(run, tmp_path / "copy")
        assert list(script.differences(script.kept(run), script.kept(copy))) == []
        expected = []
        last = "checkpoints/epoch-001"
        for place in ("best/mean.weights.safetensors", f"{last}/optimizer.safetensors", f"{last}/weights.safetensors"):
            tensors = load_file(copy / place)
            name = next(iter(tensors))
            tensors[name].reshape(-1).view(np.uint8)[0] ^= 1
            save_file(tensors, copy / place)
            expected.append(f"{place}: {name} differs")
        state = copy / last / "state.json"
        content = json.loads(state.read_text(encoding="utf-8"))
        part = next(iter(content["facts"]))
        content["facts"][part]["another"] = 1
        content["events"] += 1
        state.write_text(json.dumps(content), encoding="utf-8")
        expected.append(f"epoch-001/state.json: {part} differs")
        assert list(script.differences(script.kept(run), script.kept(copy))) == expected


def test_epochs_with_any_number_of_workers_have_the_same_losses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with loaded("workers") as script:
        script.make_photos(tmp_path, 90, 16)
        ways = {workers: script.samples_of(tmp_path, 8, workers) for workers in (0, 1)}
        assert {workers: len(taken) for workers, taken in script.measure(ways, 1).items()} == {0: 1, 1: 1}
        assert script.report({0: [1.0], 1: [0.9]}) == 0
        assert script.report({0: [1.0], 1: [1.1]}) == 1
        assert "MISSED" in capsys.readouterr().out
    sys.modules.pop("photos_of_benchmark")


def test_maps_at_once_and_each_by_itself_have_the_same_gradients() -> None:
    with loaded("rows_at_once") as script:
        together, *pair = script.ways(3, 5, 4, 16)
        assert together.pays(16)
        at_once, one_by_one = (way() for way in pair)
        assert len(at_once) == len(one_by_one) == 6
        for one, other in zip(at_once, one_by_one, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        assert all(ratio > 0 for ratio in script.measure(pair, rounds=2, seconds=0))
