"""The whole path in real processes: train rendered scenes, let layers merge, recompile what came out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mtsldsl.editing import load, rewritten
from mtsldsl.methods.mtsl.learner import Merge, proposed
from mtsldsl.runtime.learning.learned import named_parameters
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.optimizer_state import parameter_state
from mtsldsl.runtime.network.transfer import carry_state
from mtsldsl.runtime.run.checkpoint import restore_checkpoint
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.structure.phase import replace_network
from mtsldsl.sharing import Sharing, unmerged
from mtsldsl.syntax import read_source
from tests import prepared
from tests.runtime.started import started

ROOT = Path(__file__).parents[2]
SHORT = {
    "train.epochs": "4",
    "data.input": "image(3, 32, 32)",
    "data.images": "64",
    "structure.phases": "[1, 2, 3]",
    "structure.threshold": "0.2",
    "structure.similarity": "cka(samples=32)",
    "train.scheduler": "multistep([3], gamma=0.1)",
}


def mtsldsl(*arguments: str, cwd: Path = ROOT, status: int = 0) -> str:
    done = prepared.run("-m", "mtsldsl", *arguments, cwd=cwd)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def settings(values: dict[str, str]) -> list[str]:
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]


KILLED = "os.kill(os.getpid(), 9)"


def disturbed(*arguments: str, action: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command in which the statement `action` runs whenever the checkpoint at the end of `training.epoch` has been written."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from mtsldsl.runtime.run import session\n"
        "written = session.save_checkpoint\n"
        "def disturbed(folder, training, *rest):\n"
        "    place = written(folder, training, *rest)\n"
        "    if not training.batches:\n"
        f"        {action}\n"
        "    return place\n"
        "session.save_checkpoint = disturbed\n"
        "from mtsldsl.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    return prepared.run("-c", program, *arguments, cwd=cwd)


def latest(run: Path) -> Path:
    found = RunFolder(run).latest_checkpoint()
    assert found is not None
    return found


@attrs.frozen
class Finished:
    folder: Path
    events: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def checkpoint(self) -> Path:
        return latest(self.folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    runs = tmp_path_factory.mktemp("runs")
    printed = mtsldsl("train", "specs/scenes.mtl", "--json", "--device", "cpu", "--runs", str(runs), *settings(SHORT))
    return Finished(runs / "scenes" / "1", [json.loads(line) for line in printed.splitlines()])


def test_the_run_merges_layers_and_reports_test_metrics(run: Finished) -> None:
    merges = [merge for phase in run.of("phase") for merge in phase["merges"]]
    assert merges
    assert all(0.2 < merge["similarity"] <= 1 for merge in merges)
    (test,) = run.of("test")
    assert set(test["metrics"]) == {"segment", "depth", "normal", "edge"}
    assert test["parameters"] < run.of("start")[0]["parameters"]


def test_the_events_on_the_output_are_the_events_in_the_folder(run: Finished) -> None:
    written = [json.loads(line) for line in (run.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert written == run.events


def test_every_merge_is_logged_with_its_evidence_and_its_cost(run: Finished) -> None:
    assert any(phase["merges"] for phase in run.of("phase"))
    for phase in run.of("phase"):
        matrices = [event for event in run.of("similarity") if event["epoch"] == phase["epoch"]]
        assert {merge["layer"] for merge in phase["merges"]} <= {event["layer"] for event in matrices}
        assert all({"partition", "value", "runner_up"} <= set(event["grouping"]) for event in matrices)
        if phase["merges"]:
            assert (
                set(phase["before"]["losses"])
                == set(phase["after"]["losses"])
                == {"segment", "depth", "normal", "edge"}
            )


def test_the_evolved_spec_says_what_happened(run: Finished) -> None:
    spec = load(run.folder / "spec.mtl")
    merges = [
        (phase["epoch"], merge["layer"], set(merge["tasks"])) for phase in run.of("phase") for merge in phase["merges"]
    ]
    assert [(line.epoch, line.fields["layer"], set(line.fields["tasks"])) for line in spec.history] == merges
    sharing = Sharing.each(spec.backbone, spec.sharing.tasks)
    for _, layer, tasks in merges:
        sharing = sharing.merge(layer, tasks)
    assert spec.sharing == sharing


def test_law_12_the_rewrite_changed_nothing_but_sharing_and_history(run: Finished) -> None:
    start = (run.folder / "evolution" / "start.mtl").read_text(encoding="utf-8")
    end = (run.folder / "spec.mtl").read_text(encoding="utf-8")
    assert end.startswith(start.rstrip("\n"))
    added = end[len(start.rstrip("\n")) :].split()
    assert added[:2] == ["sharing", "{"]
    assert "history" in added


def test_law_11_the_evolved_spec_recompiled_elsewhere_computes_the_same_bits(run: Finished, tmp_path: Path) -> None:
    mtsldsl("compile", str(run.folder / "spec.mtl"), "-o", str(tmp_path / "again"))
    weights = run.checkpoint / "weights.safetensors"
    program = (
        "import sys, torch\n"
        "from safetensors.torch import load_file, save_file\n"
        "image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))\n"
        "for folder in sys.argv[2:]:\n"
        "    sys.path.insert(0, folder)\n"
        "    sys.modules.pop('model', None)\n"
        "    from model import Model\n"
        "    assert sys.modules['model'].__file__ == folder + '/model.py'\n"
        "    model = Model().eval()\n"
        "    model.load_state_dict(load_file(sys.argv[1]))\n"
        "    outputs = {name: value.contiguous() for name, value in model(image).items()}\n"
        "    save_file(outputs, folder + '/outputs.safetensors')\n"
        "assert not any(name.startswith('mtsldsl') for name in sys.modules)\n"
    )
    shutil.copytree(run.folder / "code", tmp_path / "code")
    folders = [tmp_path / "code", tmp_path / "again"]
    subprocess.run([sys.executable, "-W", "error", "-c", program, weights, *folders], check=True)
    outputs = [load_file(folder / "outputs.safetensors") for folder in folders]
    assert outputs[0].keys() == outputs[1].keys() == {"segment", "depth", "normal", "edge"}
    assert all(torch.equal(outputs[0][task], outputs[1][task]) for task in outputs[0])


def test_law_11_evaluating_the_saved_weights_gives_the_running_networks_losses_to_the_bit(run: Finished) -> None:
    best = next(event for event in reversed(run.events) if event["event"] == "best" and not event["own"])
    logged = next(event for event in run.of("validation") if event["epoch"] == best["epoch"])
    printed = json.loads(mtsldsl("eval", str(run.folder), "--split", "validation", "--device", "cpu", "--json"))
    assert printed["losses"] == logged["losses"]
    assert printed["metrics"] == logged["metrics"]


def test_the_same_spec_seed_and_machine_give_the_same_bytes(run: Finished, tmp_path: Path) -> None:
    arguments = ["train", "specs/scenes.mtl", "--quiet", "--device", "cpu", "--runs", str(tmp_path), *settings(SHORT)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # from nothing, with a seed of hashes of its own
    subprocess.run([sys.executable, "-m", "mtsldsl", *arguments], cwd=ROOT, env=environment, check=True)
    again = tmp_path / "scenes" / "1"
    assert (again / "spec.mtl").read_bytes() == (run.folder / "spec.mtl").read_bytes()
    for path in ("best/mean.weights.safetensors", "best/mean.mtl", "code/model.py", "code/train.py"):
        assert (again / path).read_bytes() == (run.folder / path).read_bytes(), path


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same run, killed after its second epoch, when layers have merged."""
    runs = tmp_path_factory.mktemp("stopped")
    arguments = ["train", "specs/scenes.mtl", "--quiet", "--device", "cpu", "--runs", str(runs), *settings(SHORT)]
    assert disturbed(*arguments, action=f"if training.epoch == 2: {KILLED}", cwd=ROOT).returncode == -9
    folder = runs / "scenes" / "1"
    assert load(folder / "spec.mtl").history
    return folder


INTERRUPTED = "(signal.signal(2, signal.default_int_handler), os.kill(os.getpid(), 2))"
"""As a terminal does it; who starts tests in the background may have it ignored."""


def test_a_run_that_a_person_stops_says_how_it_goes_on(tmp_path: Path) -> None:
    arguments = ["train", "specs/scenes.mtl", "--quiet", "--device", "cpu", "--runs", str(tmp_path), *settings(SHORT)]
    done = disturbed(*arguments, action=f"if training.epoch == 1: {INTERRUPTED}", cwd=ROOT)
    folder = tmp_path / "scenes" / "1"
    assert done.returncode == 130
    assert done.stderr == f"stopped; go on after epoch 1 with `mtsldsl train --resume {folder}`\n"
    assert latest(folder).name == "epoch-001"


@pytest.mark.parametrize("script", ["generated/scenes/train.py", None])
def test_a_run_that_is_stopped_before_anything_is_saved_says_so(tmp_path: Path, script: str | None) -> None:
    program = (
        "import os, runpy, signal, sys\n"
        "from mtsldsl.runtime.run.beginning import Read\n"
        f"Read.of = lambda *_, **__: {INTERRUPTED}\n"
        "from mtsldsl.cli import main\n"
        + (
            f"sys.argv = sys.argv[1:]\nrunpy.run_path({script!r}, run_name='__main__')\n"
            if script
            else "main(sys.argv[1:])\n"
        )
    )
    given = [script, "--display", "quiet"] if script else ["train", "specs/scenes.mtl", "--quiet"]
    done = prepared.run("-c", program, *given, "--device", "cpu", "--runs", str(tmp_path), cwd=ROOT)
    assert done.returncode == 130, done.stderr
    again = f"mtsldsl train --resume {tmp_path / 'scenes' / '1'}"
    assert done.stderr == f"stopped; go on from the start with `{again}`\n"


def spoil(package: Path) -> None:
    """Edit generated code so that it neither loads nor trains."""
    (package / "model.py").write_text("raise AssertionError('an edited model.py')\n", encoding="utf-8")
    train = (package / "train.py").read_text(encoding="utf-8")
    main = "def main(session: Session) -> None:\n"
    assert main in train
    train = train.replace(main, main + "    raise AssertionError('an edited train.py')\n")
    (package / "train.py").write_text(train, encoding="utf-8")


@pytest.mark.parametrize(
    ("script", "edited"),
    [
        (None, True),
        ("runs/code/train.py", False),
        pytest.param(None, False, marks=pytest.mark.soak),
        pytest.param("runs/code/train.py", True, marks=pytest.mark.soak),
        pytest.param("generated/scenes/train.py", False, marks=pytest.mark.soak),
        pytest.param("generated/scenes/train.py", True, marks=pytest.mark.soak),
    ],
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    run: Finished, stopped: Path, tmp_path: Path, script: str | None, edited: bool
) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(stopped, folder)
    shutil.copytree(ROOT / "generated", tmp_path / "generated")
    if edited:
        spoil(folder / "code")
        spoil(tmp_path / "generated" / "scenes")
    if script is None:
        mtsldsl("train", "--resume", str(folder), "--quiet", "--device", "cpu", cwd=tmp_path)
    else:
        done = prepared.run(script, "--resume", str(folder), "--display", "quiet", "--device", "cpu", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (folder / "spec.mtl").read_bytes() == (run.folder / "spec.mtl").read_bytes()
    checkpoint = latest(folder)
    resumed, straight = (load_file(path / "weights.safetensors") for path in (checkpoint, run.checkpoint))
    assert resumed.keys() == straight.keys()
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event for event in events if event["event"] == "validation"] == run.of("validation")
    for name in ("model.py", "train.py", "manifest.json"):
        assert (folder / "code" / name).read_bytes() == (run.folder / "code" / name).read_bytes(), name


def test_the_test_set_is_reported_once_however_often_a_finished_run_is_resumed(run: Finished, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(run.folder, folder)
    mtsldsl("train", "--resume", str(folder), "--quiet", "--device", "cpu")
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event for event in events if event["event"] == "test"] == run.of("test")


def left_in(run: Path) -> dict[Path, bytes]:
    """All files, but for the one that says which process has the lock."""
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}


def test_data_beside_the_spec_is_found_by_eval_and_resume_too(tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    random = np.random.default_rng(0)
    image = random.random((32, 3, 8, 8), dtype=np.float32)
    np.savez(job / "mine.npz", image=image, bright=(image.mean(1, keepdims=True) > 0.5).astype(np.uint8))
    (job / "mine.mtl").write_text(
        "mtl 1\n"
        'data arrays {\n  path = "mine.npz"\n  input = image(3, 8, 8)\n  batch = 8\n}\n'
        "task bright {\n  target = binary(1)\n  head = conv2d(1, 1)\n}\n"
        "backbone {\n  stem = conv2d(4, 3) | batch_norm | relu\n}\n"
        "train {\n  epochs = 1\n  optimizer = sgd(lr=0.1, momentum=0.9)\n  balance = pcgrad\n}\n",
        encoding="utf-8",
    )
    mtsldsl("train", "job/mine.mtl", "--quiet", "--device", "cpu", cwd=tmp_path)
    mtsldsl("eval", "runs/mine/1", "--device", "cpu", cwd=tmp_path)
    (tmp_path / "runs/mine/1/report.html").unlink()  # killed before it was written
    mtsldsl("train", "--resume", "runs/mine/1", "--quiet", "--device", "cpu", cwd=tmp_path)

    # without its data it goes on nowhere, and loses nothing
    run, data = tmp_path / "runs" / "mine" / "1", job / "mine.npz"
    before = left_in(run)
    assert b'"event": "test"' in before[run / "events.jsonl"]
    data.rename(job / "away.npz")
    (run / "report.html").unlink()  # killed before it was written
    del before[run / "report.html"]
    done = prepared.run("-m", "mtsldsl", "train", "--resume", "runs/mine/1", "--device", "cpu", cwd=tmp_path)
    assert "MTL601" in done.stderr
    assert left_in(run) == before

    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    done = prepared.run("-m", "mtsldsl", "train", "--resume", "runs/mine/1", "--device", "cpu", cwd=tmp_path)
    assert "MTL801" in done.stderr
    assert "start anew with `mtsldsl train job/mine.mtl --device cpu --quiet`" in done.stderr
    assert left_in(run) == {path: content for path, content in before.items() if "checkpoints" not in path.parts}
    (run / "events.jsonl").write_bytes(b"")  # killed before it said anything
    (run / "request.json").unlink()
    done = prepared.run("-m", "mtsldsl", "train", "--resume", "runs/mine/1", "--device", "cpu", cwd=tmp_path)
    assert "mtsldsl train runs/mine/1/evolution/start.mtl" in done.stderr.replace(str(tmp_path) + "/", "")


def restored(run: Finished) -> Training:
    spec = load(run.checkpoint / "spec.mtl")
    training = started(spec, lambda parameters: torch.optim.Adam(parameters, lr=1e-3, fused=True))
    training.make_scheduler = lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [3])
    training.scheduler = training.make_scheduler(training.optimizer)
    restore_checkpoint(run.checkpoint, training)
    return training


def next_merges(training: Training) -> list[Merge]:
    merges = [Merge(layer, tasks, 1.0) for layer, tasks in unmerged(training.spec.sharing)]
    assert merges, "the run left nothing to merge: shorten it"
    return merges


def test_law_10_what_survives_a_merge_keeps_value_and_optimizer_state_bit_for_bit(run: Finished) -> None:
    training = restored(run)
    values = {name: value.clone() for name, value in training.model.state_dict().items()}
    states = parameter_state(training.optimizer, named_parameters(training.model, training.balance, training.learner))
    rate = training.optimizer.param_groups[0]["lr"]
    proposal = proposed(training.spec, training.epoch, next_merges(training), 1)
    spec = rewritten(training.spec, proposal.sharing, proposal.decisions)
    model = build_model(spec)
    carry_state(training.spec, spec, training.model, model)
    replace_network(training, spec, model, {})
    after = parameter_state(training.optimizer, named_parameters(training.model, training.balance, training.learner))
    survivors = values.keys() & training.model.state_dict().keys()
    assert survivors
    assert all(torch.equal(values[name], training.model.state_dict()[name]) for name in survivors)
    with_state = states.keys() & after.keys()
    assert with_state
    for name in with_state:
        assert states[name].keys() == after[name].keys()
        assert all(torch.equal(states[name][key], after[name][key]) for key in states[name])
    assert training.optimizer.param_groups[0]["lr"] == rate


def test_law_9_merging_components_with_equal_weights_changes_no_output(run: Finished) -> None:
    shared = load(run.folder / "spec.mtl")
    alone = shared.with_sharing(Sharing.each(shared.backbone, shared.sharing.tasks))
    one, many, again = (build_model(spec) for spec in (shared, alone, shared))
    one.load_state_dict(load_file(run.checkpoint / "weights.safetensors"))
    carry_state(shared, alone, one, many)
    carry_state(alone, shared, many, again)
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = [model.eval()(image) for model in (one, many, again)]
    for task in outputs[0]:
        torch.testing.assert_close(outputs[0][task], outputs[1][task], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(outputs[0][task], outputs[2][task], rtol=1e-5, atol=1e-6)


@pytest.mark.soak
def test_static_baselines_of_the_same_spec_train_without_phases(tmp_path: Path) -> None:
    short = {**SHORT, "train.epochs": "1"}
    del short["structure.phases"]
    for sharing, copies in (("each", 4), ("all", 1)):
        options = ["--structure", "none", "--sharing", sharing, "--quiet", "--runs", str(tmp_path / sharing)]
        mtsldsl("train", "specs/scenes.mtl", "--device", "cpu", *options, *settings(short))
        spec = load(tmp_path / sharing / "scenes" / "1" / "spec.mtl")
        assert spec.structure is None
        assert {len(spec.sharing[layer]) for layer in spec.backbone.layers} == {copies}


def test_a_folder_that_is_no_run_is_refused_with_a_remedy(tmp_path: Path) -> None:
    done = prepared.run("-m", "mtsldsl", "train", "--resume", str(tmp_path))
    assert done.returncode == 1
    assert "MTL801" in done.stderr
    assert "remedy" in done.stderr


def test_the_spec_source_is_read_back_as_it_was_written(run: Finished) -> None:
    assert read_source(run.folder / "spec.mtl").text == load(run.folder / "spec.mtl").source.text


def test_training_that_diverges_names_the_task_and_the_layer(tmp_path: Path) -> None:
    changes = settings({"train.optimizer": "sgd(lr=1e30)", "data.images": "48", "train.epochs": "1"})
    command = ["-m", "mtsldsl", "train", "specs/scenes.mtl", "--quiet", "--device", "cpu", "--structure", "none"]
    done = prepared.run(*command, "--runs", str(tmp_path), *changes, cwd=ROOT)
    assert done.returncode == 1
    assert "MTL803" in done.stderr
    assert "specs/scenes.mtl:" in done.stderr
    assert "layer " in done.stderr
    assert "Traceback" not in done.stderr
