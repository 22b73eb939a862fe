"""`threshold = auto`: networks of another seed learn beside the run's own, and say what a similarity can reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mtsldsl import build_model, load
from mtsldsl.codegen import compile_spec
from mtsldsl.compare.spec_difference import compare
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.ir.wiring import Value
from mtsldsl.methods.merging_findings import Similarity
from mtsldsl.methods.mtsl.learner import Mtsl
from mtsldsl.runtime.learning import trained as started
from mtsldsl.runtime.learning.balance import Balance
from mtsldsl.runtime.learning.balance.relative import Relative
from mtsldsl.runtime.learning.balance.uncertainty import Uncertainty
from mtsldsl.runtime.learning.beside import Twin
from mtsldsl.runtime.learning.step import Position, Step
from mtsldsl.runtime.network.other_seed import begun_by
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.similarity import rsa
from mtsldsl.runtime.structure.learner import Proposal
from mtsldsl.runtime.structure.similarities.readout import readout, rows_of
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing.grouping import group_tasks
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.methods.each_learner import EndedError, enlarged_or_not, run, text, visits
from tests.methods.mtsl.test_budget import spec_of
from tests.methods.mtsl.test_similarities import text_of
from tests.runtime.in_process import clipped, events, of, rows, trained
from tests.runtime.test_similarity_of_losses import COUNT, randomised, samples, viewed

AUTO = "threshold = auto"


def with_threshold(threshold: str, *, at: str = "2", epochs: int = 3) -> str:
    """The small spec of each learner, with random numbers in its layers and gradients that are clipped."""
    found = text("mtsl", epochs=epochs).replace("phases = [1]", f"phases = [{at}]")
    found = found.replace("threshold = 0", f"threshold = {threshold}")
    found = found.replace("wide = row | linear(6) | tanh", "wide = row | linear(6) | dropout(0.5) | tanh")
    return found.replace("  accumulate = 2\n", "  accumulate = 2\n  clip       = 0.01\n")


def tensors(folder: RunFolder, epoch: int, part: str) -> dict[str, Tensor]:
    return load_file(folder.checkpoints / f"epoch-{epoch:03d}/{part}.safetensors")


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def left(folder: Path, content: str, epoch: int) -> RunFolder:
    """A run that is ended after an epoch, and stays so."""

    def leave() -> None:
        raise EndedError

    with pytest.raises(EndedError):
        run(folder, content, (epoch,), leave)
    return RunFolder(max((folder / "runs/job").iterdir()))


def test_a_twin_changes_no_bit_of_the_network_and_a_run_that_was_ended_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With random numbers that its layers draw, gradients that are clipped, and steps of several batches. It is kept
    until the last phase, and then there is none."""
    monkeypatch.chdir(tmp_path)
    visits(tmp_path)
    plain = left(tmp_path, with_threshold("0.99"), 1)
    twin: dict[str, Tensor] = {}

    def look() -> None:
        folder = RunFolder(tmp_path / "runs/job/2")
        for part in ("weights", "average", "random"):
            assert same(tensors(folder, 1, part), tensors(plain, 1, part))
        found, wanted = (tensors(each, 1, "optimizer") for each in (folder, plain))
        assert wanted
        assert all(torch.equal(found[name], value) for name, value in wanted.items())
        twin.update(tensors(folder, 1, "learner"))

    one = run(tmp_path, with_threshold("auto"), (1,), look)
    began = build_model(loads(with_threshold("auto"))).state_dict()
    assert twin.keys() == {f"twin.network.{name}" for name in began}
    same_as_begun = {name for name, value in began.items() if torch.equal(twin[f"twin.network.{name}"], value)}
    assert same_as_begun == {name for name in began if name.startswith("seen.")}  # which is frozen
    whole = run(tmp_path, with_threshold("auto"))
    for part in ("weights", "average", "optimizer", "random"):
        assert same(tensors(one, 3, part), tensors(whole, 3, part))
    assert not (whole.checkpoints / "epoch-003/learner.safetensors").exists()
    assert load(one.spec).source.text == load(whole.spec).source.text
    first, other = (of(events(each.path), "similarity") for each in (one, whole))
    assert [{**each, "time": 0} for each in first] == [{**each, "time": 0} for each in other]
    for each in first:
        assert each["threshold"] == pytest.approx(np.mean(each["ceilings"]))
        assert len(each["ceilings"]) == len(each["tasks"])


def unbiased_cka(x: np.ndarray, y: np.ndarray) -> float:
    """By the definition, with whole matrices: HSIC1 of Song et al. (2012), equation 5, of linear kernels."""

    def hsic(k: np.ndarray, ell: np.ndarray) -> float:
        n, one = len(k), np.ones(len(k))
        k, ell = k - np.diag(np.diag(k)), ell - np.diag(np.diag(ell))
        trace = np.trace(k @ ell)
        return float(
            trace + (one @ k @ one) * (one @ ell @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ ell @ one
        )

    k, ell = x @ x.T, y @ y.T
    return hsic(k, ell) / float(np.sqrt(hsic(k, k) * hsic(ell, ell)))


def features(model: nn.Module, layer: str, task: str) -> np.ndarray:
    """What a task's copy of a layer gives for all samples, averaged over space."""
    found: list[Tensor] = []
    handle = model.get_submodule(f"{layer}.{task}").register_forward_hook(lambda _, __, output: found.append(output))
    modes = {module: module.training for module in model.modules()}
    with torch.no_grad():
        model.eval()(samples().fields["image"])
    handle.remove()
    for module, mode in modes.items():
        module.training = mode
    return found[0].mean((2, 3)).double().numpy()


def decided(spec: Spec, epoch: int = 1) -> tuple[Mtsl, View, Proposal, list[dict[str, Any]]]:
    """What a phase finds in a network that is made here, with a twin that has left its beginning."""
    said: list[dict[str, Any]] = []
    assert spec.structure is not None
    learner = Mtsl(spec.structure.settings)
    learner.begin(spec)
    assert learner.twin is not None
    chance = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in learner.twin.network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=chance))
    view = viewed(spec, randomised(spec), samples())
    view = attrs.evolve(
        view, say=lambda kind, **fields: said.append({"event": kind, **fields}), position=Position(epoch=epoch)
    )
    return learner, view, learner.decide(view), said


SHARED = "\nsharing {\n  stem = all\n  pool = all\n}\n"


@pytest.mark.parametrize("alone", ["paper", "threshold"])
@pytest.mark.parametrize(("layer", "more"), [("stem", ""), ("body", SHARED)])
def test_the_threshold_is_the_mean_cka_of_each_task_with_itself_in_the_other_network(
    layer: str, more: str, alone: str
) -> None:
    """Behind a layer that tasks share too, where the twin has copies of its own; and groups are decided by it."""
    spec = spec_of("cka", f"{AUTO}\n  alone = {alone}", more)
    learner, view, proposal, (found,) = decided(spec)
    assert learner.twin is not None
    assert (found["layer"], list(found["tasks"])) == (layer, ["kind", "one", "two"])
    tasks = found["tasks"]
    expected = [
        unbiased_cka(features(view.model, layer, task), features(learner.twin.network, layer, task)) for task in tasks
    ]
    assert list(found["ceilings"]) == pytest.approx(expected, abs=1e-5)
    assert found["threshold"] == pytest.approx(np.mean(expected), abs=1e-5)
    threshold = float(found["threshold"])
    wanted = group_tasks(found["similarity"], threshold, alone=threshold if alone == "threshold" else 0.0)
    merged = [{tasks[index] for index in group} for group in wanted]
    assert [proposal.sharing.component(layer, next(iter(each))) for each in merged] == merged
    assert all(each.fields["threshold"] == pytest.approx(threshold, rel=1e-3) for each in proposal.decisions)
    told = Similarity(epoch=1, **{name: value for name, value in found.items() if name != "event"})
    assert (
        f"{layer}: threshold {threshold:.3f}, the mean of what tasks have in common with the twin" in told.lines()[-1]
    )
    assert f"threshold {threshold:.3f}" in told.title()


@pytest.mark.parametrize("similarity", ["rsa", "readout"])
def test_other_similarities_of_features_have_their_own_ceiling(similarity: str) -> None:
    learner, view, _, (found,) = decided(spec_of(similarity, AUTO))
    assert learner.twin is not None
    beside = attrs.evolve(view, spec=learner.twin.spec, model=learner.twin.network)
    values = [Value("stem", frozenset((task,))) for task in found["tasks"]]
    if similarity == "rsa":
        own, other = (each.features(values, COUNT) for each in (view, beside))
        expected = [rsa(own[value], other[value]) for value in values]
    else:
        one, two = (rows_of(each, values, COUNT) for each in (view, beside))
        expected = [readout(one[value].all, two[value].all, one[value].fitted) for value in values]
    assert list(found["ceilings"]) == pytest.approx(expected)
    assert found["threshold"] == pytest.approx(np.mean(expected))


def test_the_twin_is_there_until_the_last_phase_and_as_long_as_anything_may_merge() -> None:
    spec = spec_of("cka", AUTO)
    assert [decided(spec, epoch)[0].twins() == () for epoch in (1, 2, 3)] == [False, False, True]
    assert spec.structure is not None
    learner = Mtsl(spec.structure.settings)
    learner.begin(attrs.evolve(spec, sharing=spec.sharing.united()))
    assert (learner.twins(), learner.facts()) == ((), {"twin": False})


def test_weights_that_a_run_is_given_are_those_of_the_twin_and_the_rest_is_drawn_by_another_seed() -> None:
    spec = spec_of("cka", AUTO, "\ntuning {\n  last = frozen\n}\n")
    assert spec.structure is not None
    learner, given = Mtsl(spec.structure.settings), build_model(spec)
    with torch.no_grad():
        for task in spec.sharing.tasks:
            given.get_parameter(f"body.{task}.conv1.weight").fill_(0.5)
    learner.begin(spec)
    learner.begins_with(spec, given)
    (twin,) = learner.twins()
    found, own = twin.network.state_dict(), given.state_dict()
    other = {name.split(".")[0] for name, value in found.items() if not torch.equal(value, own[name])}
    assert other == {"stem", "heads"}
    assert not any(
        torch.equal(found[f"stem.{task}.conv1.weight"], own[f"stem.{task}.conv1.weight"]) for task in spec.sharing.tasks
    )


@pytest.mark.parametrize(
    ("balance", "kind"), [("relative", Relative), ("uncertainty", Uncertainty), ("pcgrad", Balance), ("dwa", Balance)]
)
def test_what_a_task_of_the_twin_counts_depends_on_that_task_alone(balance: str, kind: type[Balance]) -> None:
    spec = loads(spec_of("cka", AUTO).source.text.replace("epochs = 5", f"epochs = 5\n  balance = {balance}"))
    twin = Twin(spec, build_model(spec))
    assert type(twin.balance) is kind
    assert twin.balance.weights == {task.name: 1.0 for task in spec.tasks}


@pytest.mark.parametrize("similarity", ["gradient", "transference", "stitched"])
def test_what_asks_for_one_networks_losses_has_no_ceiling(similarity: str) -> None:
    with pytest.raises(MtlError) as raised:
        spec_of(similarity, AUTO)
    (found,) = raised.value.diagnostics
    assert (found.code, found.place[0]) == ("MTL202", 34)
    assert f"`{similarity}`" in found.cause
    assert "compare by `cka`, `rsa` or `readout`" in found.remedy
    assert spec_of(similarity, "threshold = 0.1").structure is not None


def test_a_budget_has_no_threshold_to_find() -> None:
    with pytest.raises(MtlError, match=r"MTL202[^$]*`threshold` is for groups above a threshold"):
        spec_of("cka", f"choose = budget(0.5)\n  {AUTO}")


def test_the_word_is_a_setting_like_any_and_changes_no_spec_that_does_not_say_it() -> None:
    plain, said, word = (spec_of("cka", each) for each in ("", "threshold = 0.8", AUTO))
    assert digest(plain) == digest(said) != digest(word)
    codes = [compile_spec(each)["train.py"] for each in (said, word)]
    assert ["threshold=0.8" in code for code in codes] == [True, False]
    assert "threshold='auto'" in codes[1] or 'threshold="auto"' in codes[1]
    overridden = loads(plain.source.text, overrides={"structure.threshold": "auto"})
    assert digest(overridden) == digest(word)
    changed = {each["key"]: (each["from"], each["to"]) for each in compare(said, word).as_json()["keys"]}
    # Where the threshold is given, features are drawn together.
    assert changed == {"structure.threshold": (0.8, "auto"), "structure.align": (0.2, 0.0)}


ROWS = clipped("l1 = linear(6) | batch_norm | tanh", "l2 = linear(4) | tanh")
BLOCK = "\nstructure mtsl {\n  phases    = [3]\n  align     = 0\n  threshold = auto\n}\n"


def test_the_twin_learns_what_networks_of_its_beginning_learn_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that begins with the weights of the twin, on the same batches."""
    rows(tmp_path)
    twin = tensors(left(tmp_path, ROWS + BLOCK, 2), 2, "learner")
    monkeypatch.setattr(started, "initialised", lambda _, spec: begun_by(spec, "twin"))
    alone = tensors(left(tmp_path, ROWS, 2), 2, "weights")
    assert twin.keys() == {f"twin.network.{name}" for name in alone}
    torch.testing.assert_close({name.removeprefix("twin.network."): value for name, value in twin.items()}, alone)


def test_a_twin_whose_loss_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of the run is sound there."""

    def broken(self: Twin, step: Step) -> Any:
        loss, found = self.learned(step, self.balance)
        return loss * float("nan"), found

    monkeypatch.setattr(Twin, "taught", broken)
    with pytest.raises(
        MtlError, match=r"MTL803: in step 1 of epoch 1 the loss of the twin is not[^$]*give `threshold`"
    ):
        trained(tmp_path, ROWS + BLOCK)


@pytest.mark.soak
def test_gradients_enlarged_for_fp16_change_no_bit_of_a_twin_in_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = enlarged_or_not(tmp_path, monkeypatch, lambda place: left(place, with_threshold("auto"), 1))
    for part in ("weights", "learner"):
        one, other = (tensors(each, 1, part) for each in found)
        assert one
        assert same(one, other)


def said_by(run: Path) -> list[dict[str, Any]]:
    return [{**event, "time": 0} for event in of(events(run), "similarity")]


@pytest.mark.soak
def test_a_run_with_a_twin_goes_on_after_a_kill_to_the_same_bytes(tmp_path: Path) -> None:
    """Killed with a twin, and when it is gone."""
    job = text_of("cka(samples=24)", "threshold  = auto").replace("epochs = 4", "epochs = 5")
    words = ("train", "job.mtl", "--quiet", "--device", "cpu", "--threads", "1")
    runs = []
    for kills in ((), (1, 3)):
        folder = tmp_path / str(len(kills))
        folder.mkdir()
        (folder / "job.mtl").write_text(job, encoding="utf-8")
        again: tuple[str, ...] = words
        for epoch in kills:
            killed = disturbed(*again, action=f"if training.epoch == {epoch}: {KILLED}", cwd=folder)
            assert killed.returncode == -9
            again = ("train", "--quiet", "--threads", "1", "--resume", "runs/job/1")
        done = prepared.run("-m", "mtsldsl", *again, cwd=folder)
        assert done.returncode == 0, done.stderr
        runs.append(folder / "runs/job/1")
    one, other = runs
    assert said_by(one)
    assert said_by(one) == said_by(other)
    assert (one / "spec.mtl").read_text() == (other / "spec.mtl").read_text()
    kept = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert kept
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in kept)


@pytest.mark.soak
@pytest.mark.parametrize("norm", ["", " | batch_norm"])
def test_a_twin_learns_in_two_processes_what_it_learns_in_one(norm: str, tmp_path: Path) -> None:
    """Each sees its part of a batch. With batch normalisation these parts are normalised apart, and what a layer keeps
    is the mean of both: then it is another network, and the same one in both processes."""
    job = (
        text_of("cka(samples=32)", "threshold  = auto")
        .replace(" | batch_norm", norm)
        .replace("images = 60", "images = 64")
    )
    (tmp_path / "job.mtl").write_text(job, encoding="utf-8")
    found = []
    for count in (1, 2):
        words = ("train", "job.mtl", "--quiet", "--device", "cpu", "--threads", "1", "--runs", f"runs{count}")
        done = prepared.run("-m", "mtsldsl", *words, "--nproc", str(count), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found.append(said_by(tmp_path / f"runs{count}/job/1"))
    one, two = found
    assert len(one) == len(two) > 0
    assert one[0]["layer"] == two[0]["layer"]
    assert two[0]["ceilings"] == pytest.approx(one[0]["ceilings"], abs=0.3 if norm else 1e-3)
