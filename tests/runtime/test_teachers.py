"""A network that teaches: what is added to the losses, in every kind of step; which run may teach, and what is told."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mtsldsl import load
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir.normal import digest
from mtsldsl.methods.registry import METHODS
from mtsldsl.runtime.learning.loss_scale import LossScale
from mtsldsl.runtime.learning.teachers import Teachers
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.run.checkpoint import MEAN, WEIGHTS, save_tensors
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.events import Taught
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.teaching import TeachingRun
from tests.finished_run import finished_run
from tests.methods.each_learner import run, text, visits
from tests.runtime import two_sources
from tests.runtime.in_process import TASKS, events, of, rows, trained, trained_file
from tests.runtime.looking_ahead import gradients
from tests.runtime.started import CPU
from tests.runtime.test_accumulate import (
    AVAILABLE,
    OF_THE_LAST_BATCH,
    TEXT,
    cut,
    one_by_one,
    samples,
    steps,
    training,
    weights,
)

TEACH = 0.7


def taught(balance: str = "equal", written: str = TEXT, teach: float = TEACH) -> Training:
    """A training whose teachers are a network for each task, with the weights of another seed."""
    made = training(balance, written)
    alone = loads(written[: written.index("sharing {")], overrides={"train.seed": "5"})
    made.teachers = Teachers.of(alone, build_model(alone), teach, made.spec)
    return made


def gradients_of(made: Training) -> dict[str, Tensor]:
    return {name: each.grad.clone() for name, each in made.model.named_parameters() if each.grad is not None}


PLAIN = TEXT.replace("rmse", "l1").replace("class_balanced(beta=0.9)", "cross_entropy").replace("balanced_bce", "bce")


def test_a_step_is_that_of_torch_alone() -> None:
    """With missing labels, which the answers know nothing of: mean errors of what is labelled, and of all answers."""
    made, batch = taught(written=PLAIN), samples(0)
    assert made.teachers is not None
    gradients(made, batch)
    network = build_model(made.spec)
    network.train()
    with torch.no_grad():
        answers = made.teachers.model(batch["row"])
    found = network(batch["row"])
    a, b = ~batch["a"].isnan(), ~batch["b"].isnan()
    total = F.mse_loss(found["a"][a], batch["a"][a]) + TEACH * F.l1_loss(found["a"], answers["a"])
    total = total + 0.5 * (F.l1_loss(found["b"][b], batch["b"][b]) + TEACH * F.l1_loss(found["b"], answers["b"]))
    hard = F.cross_entropy(found["c"], batch["c"], ignore_index=9)
    total = total + hard + TEACH * F.cross_entropy(found["c"], answers["c"].softmax(1))
    hard = F.binary_cross_entropy_with_logits(found["d"], batch["d"])
    soft = F.binary_cross_entropy_with_logits(found["d"], answers["d"].sigmoid())
    (total + 2 * (hard + TEACH * soft)).backward()
    wanted = {name: each.grad for name, each in network.named_parameters()}
    for name, gradient in gradients_of(made).items():
        assert torch.allclose(gradient, wanted[name], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("balance", ["equal", "relative", "pcgrad"])
def test_samples_without_a_label_are_taught(balance: str) -> None:
    made, batch = taught(balance), samples(0)
    none = {**batch, "a": torch.full_like(batch["a"], math.nan)}
    gradients(made, none)
    assert all(gradients_of(made)[f"heads.a.{name}"].abs().max() > 1e-4 for name in ("linear1.weight", "linear1.bias"))
    without = training(balance)
    gradients(without, none)
    assert all(each.abs().max() == 0 for name, each in gradients_of(without).items() if name.startswith("heads.a"))


def test_a_teacher_that_answers_the_same_pulls_nowhere() -> None:
    # With gradients task by task no copies of layers are computed at once, so that the answers are equal to the bit: of
    # a difference as small as rounding the absolute error has a gradient of 1.
    made, batch = training("pcgrad", PLAIN), samples(0)
    twin = build_model(made.spec)
    made.teachers = Teachers.of(made.spec, twin, 1.0, made.spec)
    gradients(made, batch)
    without = training("pcgrad", PLAIN)
    gradients(without, batch)
    wanted = gradients_of(without)
    assert all(torch.allclose(each, wanted[name], rtol=1e-5, atol=1e-7) for name, each in gradients_of(made).items())
    assert not any(each.requires_grad for each in twin.parameters())


QUICK = ("equal", "relative", "pcgrad")


@pytest.mark.parametrize(
    "balance",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.soak)
        for name in AVAILABLE
        if name not in OF_THE_LAST_BATCH
    ],
)
def test_a_step_of_several_batches_is_that_of_one(balance: str) -> None:
    one, several, without = taught(balance), taught(balance), training(balance)
    for made in (one, without):
        torch.manual_seed(0)
        one_by_one(made, [samples(0)])
    torch.manual_seed(0)
    steps(several, cut(samples(0), 12), 4)
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(weights(one), weights(without), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("balance", sorted(OF_THE_LAST_BATCH))
def test_what_looks_ahead_sees_the_answers(balance: str) -> None:
    one, without = taught(balance), training(balance)
    for made in (one, without):
        one_by_one(made, [samples(0), samples(1)])
    assert torch.isfinite(weights(one)).all()
    state, other = one.balance.state_dict(), without.balance.state_dict()
    assert any(not torch.equal(value, other[name]) for name, value in state.items())


def test_a_batch_is_answered_once_whatever_sets_of_tasks_there_are() -> None:
    one, several = taught(), taught()
    assert several.teachers is not None
    calls: list[int] = []
    several.teachers.model.register_forward_hook(lambda *_: calls.append(1))
    several.least = 0.0
    assert len(list(several.sets())) == 2
    several.batches = several.steps = 0
    for made in (one, several):
        one_by_one(made, [samples(0), samples(1)])
    assert len(calls) == 2
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_teachers_compute_as_narrowly_as_the_run(precision: str) -> None:
    made = taught()
    made.spec = attrs.evolve(made.spec, train=attrs.evolve(made.spec.train, precision=precision))
    if precision == "fp16":
        made.scale = LossScale(2.0**10, under_way=True)
        handles = [each.register_hook(made.scale._reduced) for each in made.model.parameters()]
        assert handles
    gradients(made, samples(0))
    wanted, seen = taught(), made.teachers
    gradients(wanted, samples(0))
    assert seen is not None
    assert {each.dtype for each in seen._answers.values()} == {
        getattr(torch, {"bf16": "bfloat16", "fp16": "float16"}[precision])
    }
    for name, gradient in gradients_of(made).items():
        assert torch.allclose(gradient, gradients_of(wanted)[name], rtol=0.1, atol=0.02), name


# Runs.

NETWORK = """
backbone {
  stem = linear(4) | batch_norm | tanh
}

train {
  epochs    = 2
  optimizer = adam(lr=0.05)
TRAIN}
"""
SHARED = "\nsharing {\n  stem = all\n}\n"


def job(train: str = "", more: str = "") -> str:
    return TASKS + NETWORK.replace("TRAIN", train) + more


TAUGHT = '  teachers = "runs/each/1"\n'


def teacher(folder: Path, written: str = "", **changes: str) -> RunFolder:
    """`runs/each/1`, a finished run with the weights of another seed."""
    spec = loads(written or job(), name=str(folder / "job.mtl"), overrides={"train.seed": "3", **changes})
    return finished_run(folder / "runs/each/1", spec)


def test_a_run_tells_both_losses_and_what_it_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = teacher(tmp_path)
    rows(tmp_path)
    (tmp_path / "job.mtl").write_text(job(TAUGHT, SHARED), encoding="utf-8")
    session = Session.create(load("job.mtl"), "job", tmp_path / "out", "cpu", "quiet")
    Code.of(session.spec).run().main(session)
    session.close()
    found = events(session.folder.path)
    (event,) = of(found, "taught")
    assert event["sha256"] == TeachingRun.said_by(load("job.mtl"), CPU).digest()  # type: ignore[union-attr]
    assert (event["path"], event["tasks"], event["teach"]) == (str(folder.path), ["a", "b"], 1.0)
    epochs = of(found, "epoch")
    assert all(each["soft"].keys() == {"a", "b"} and each["teachers_seconds"] > 0 for each in epochs)
    (end,) = of(found, "end")
    assert end["teachers_seconds"] == pytest.approx(sum(each["teachers_seconds"] for each in epochs), abs=1e-2)
    report = (session.folder.path / "report.html").read_text(encoding="utf-8")
    assert event["sha256"] in report
    assert "CPU seconds, for their answers" in report


def test_none_teaches_is_bit_for_bit_the_run_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`teach = 0`: nobody looks for the folder, which is not there, and the spec means the same."""
    monkeypatch.chdir(tmp_path)
    assert digest(loads(job(f"{TAUGHT}  teach = 0\n"))) == digest(loads(job())) != digest(loads(job(TAUGHT)))
    kept = []
    for number, train in enumerate(("", f"{TAUGHT}  teach = 0\n"), 1):
        trained(tmp_path, job(train, SHARED))
        kept.append((tmp_path / f"runs/job/{number}/best/{MEAN}.{WEIGHTS}").read_bytes())
    assert kept[0] == kept[1]


@pytest.mark.parametrize(
    "name", [name if name == "transference" else pytest.param(name, marks=pytest.mark.soak) for name in METHODS]
)
def test_every_learner_is_taught_and_goes_on_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With groups and heads that help, with gates, and while copies choose what they read."""
    found = []
    for ends in ((), (1,)):
        place = tmp_path / str(len(ends))
        place.mkdir()
        monkeypatch.chdir(place)
        visits(place)
        written = text(name).replace("  ema        = 0.5\n", TAUGHT)
        alone = written[: written.index("structure")]
        finished_run(place / "runs/each/1", loads(alone, name=str(place / "job.mtl"), overrides={"train.seed": "3"}))
        found.append(run(place, written, ends))
    told = [[{**each, "teachers_seconds": 0} for each in of(events(folder.path), "epoch")] for folder in found]
    clock = ("seconds", "epoch_seconds", "samples_per_second", "peak_memory_mb", "time")
    one, other = ([{key: value for key, value in each.items() if key not in clock} for each in each_] for each_ in told)
    assert one == other
    assert all({"a", "b"} <= each["soft"].keys() for each in one)
    assert all(each["soft"].keys() == each["losses"].keys() - {each.get("penalty")} for each in one)
    weights_of = [(folder.checkpoints / "epoch-002/weights.safetensors").read_bytes() for folder in found]
    assert weights_of[0] == weights_of[1]


def test_a_run_that_goes_on_refuses_other_teachers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = teacher(tmp_path)
    trained(tmp_path, job(TAUGHT, SHARED))
    begun = tmp_path / "runs/job/1"
    assert Session.resume(begun, "cpu", "quiet").teaching is not None
    save_tensors(folder.best / f"{MEAN}.{WEIGHTS}", build_model(loads(job())).state_dict())
    with pytest.raises(MtlError, match=r"MTL610: the weights of .*runs/each/1` are not those that taught"):
        Session.resume(begun, "cpu", "quiet")


def test_a_run_goes_on_with_the_teachers_that_it_had_though_there_are_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = loads(job('  teachers = "runs/each"\n'), name=str(tmp_path / "job.mtl"))
    teacher(tmp_path)
    found = TeachingRun.said_by(spec, CPU)
    assert found is not None
    (before,) = found.told(spec)
    assert isinstance(before, Taught)
    finished_run(tmp_path / "runs/each/2", loads(job()))
    newest, again = TeachingRun.said_by(spec, CPU), TeachingRun.said_by(spec, CPU, before)
    assert newest is not None
    assert again is not None
    assert newest.folder.path.name == "2"
    assert (again.folder.path.name, again.digest()) == ("1", before.sha256)


def test_the_folder_is_looked_for_beside_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher(tmp_path)
    spec = loads(job(TAUGHT), name=str(tmp_path / "job.mtl"))
    monkeypatch.chdir(tmp_path.parent)
    assert TeachingRun.said_by(spec, CPU) is not None
    with pytest.raises(MtlError, match="MTL801: `elsewhere/1` is not a run folder"):
        TeachingRun.said_by(loads(job(), overrides={"train.teachers": "elsewhere/1"}), CPU)


def test_the_one_folder_of_runs_in_a_folder_is_meant_and_of_several_one_is_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = {seed: finished_run(tmp_path / f"runs/each/shapes/{seed}", loads(job())) for seed in (2, 10)}
    (tmp_path / "runs/each/notes").mkdir()
    spec = loads(job(), overrides={"train.teachers": '"runs/each"'})
    found = TeachingRun.said_by(spec, CPU)
    assert found is not None
    assert found.folder.path.resolve() == made[10].path
    finished_run(tmp_path / "runs/each/others/1", loads(job()))
    with pytest.raises(MtlError, match="MTL801: `runs/each` is not a run folder") as told:
        TeachingRun.said_by(spec, CPU)
    assert "name one of the folders with runs in it: `runs/each/others`, `runs/each/shapes`" in str(told.value)


OTHERS = {
    "the number of its channels is 3 there, and 2 here": (
        "values(2)\n  head   = linear(2)",
        "values(3)\n  head   = linear(3)",
    ),
    "its scale is `standard` there, and `none` here": ("values(2)", "values(2, scale=standard)"),
    "its field is `c` there, and `a` here": ("values(2)", "values(2)\n  field  = c"),
    "the kind of its target is `unit_vectors` there, and `values` here": (
        "values(2)\n  head   = linear(2)\n  loss   = mse",
        "unit_vectors(3)\n  head   = linear(3)",
    ),
    "the input `row` is (7) there, and (6) here": ("row(6)", "row(7)"),
    "the input `line` is (6) there, and none here": ("row(6)", "line(6)"),
    "`seed` of its data is 4 there, and 0 here": ("batch = 8", "batch = 8\n  seed  = 4"),
    "`split` of its data is `part` there, and none here": ("batch = 8", 'batch = 8\n  split = "part"'),
}


def test_other_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    two = job(TAUGHT).replace("values(2)\n  head   = linear(2)\n  loss   = mse", "classes(2)\n  head   = linear(2)")
    assert "classes(2)" in two
    teacher(
        tmp_path,
        two.replace(TAUGHT, "").replace("classes(2)\n  head   = linear(2)", "classes(3)\n  head   = linear(3)"),
    )
    with pytest.raises(MtlError, match="cannot teach `a`: the number of its classes is 3 there, and 2 here"):
        TeachingRun.said_by(loads(two), CPU)


@pytest.mark.parametrize("said", OTHERS)
def test_a_network_that_answers_otherwise_is_refused(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert OTHERS[said][0] in job()
    teacher(tmp_path, job().replace(*OTHERS[said], 1))
    with pytest.raises(MtlError) as caught:
        TeachingRun.said_by(loads(job(TAUGHT)), CPU)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL609"
    assert said in found.cause


def test_a_task_without_a_teacher_is_told_and_learns_of_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here of two; where the data says that its means are others, the run does not begin, and leaves no folder."""
    monkeypatch.chdir(tmp_path)
    teacher(tmp_path, job().replace("task b {", "task other {\n  field  = b"))
    told = trained(tmp_path, job(TAUGHT, SHARED))
    assert [each["text"] for each in of(told, "warning") if each["about"] == "teachers"] == [
        "`b` has no teacher in runs/each/1"
    ]
    assert all(each["soft"].keys() == {"a"} for each in of(told, "epoch"))
    with pytest.raises(MtlError, match="MTL609: `runs/each/1` has no task of this spec"):
        TeachingRun.said_by(
            loads(job(TAUGHT).replace("task a", "task x").replace("task b", "task y").replace("values(", "values(")),
            CPU,
        )


@pytest.mark.parametrize("key", ["scales", "sha256"])
def test_other_samples_are_a_warning_and_other_scales_are_refused(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows(tmp_path)
    written = job(TAUGHT, SHARED).replace("values(2)", "values(2, scale=standard)")
    spec = loads(written, name=str(tmp_path / "job.mtl"), overrides={"train.teachers": "none"})
    start = of(trained_file(_written(tmp_path, written), {"train.teachers": "none"}), "start")[0]
    changed = {"scales": {"a": {"mean": [9.0, 9.0]}}, "sha256": {"row": "0"}}[key]
    finished_run(tmp_path / "runs/each/1", spec, read={**start["read"], key: changed})
    if key == "scales":
        with pytest.raises(MtlError, match=r"MTL609: .* other means, deviations or names of classes"):
            trained_file(tmp_path / "job.mtl")
        assert [each.name for each in (tmp_path / "runs/job").iterdir()] == ["1"]
    else:
        warned = [
            each["text"] for each in of(trained_file(tmp_path / "job.mtl"), "warning") if each["about"] == "teachers"
        ]
        assert len(warned) == 1
        assert "some for validation or test may be among them" in warned[0]


def _written(folder: Path, written: str) -> Path:
    path = folder / "job.mtl"
    path.write_text(written, encoding="utf-8")
    return path


def test_a_network_that_learned_from_more_samples_may_teach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those for validation and the test are the same."""
    monkeypatch.chdir(tmp_path)
    teacher(tmp_path)
    found = TeachingRun.said_by(loads(job(TAUGHT), overrides={"data.train_samples": "40"}), CPU)
    assert found is not None
    assert found.tasks == ("a", "b")


def test_a_run_that_has_not_ended_does_not_teach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finished_run(tmp_path / "runs/each/1", loads(job()), ended=False)
    with pytest.raises(MtlError, match="MTL609: the run `runs/each/1` has not ended"):
        TeachingRun.said_by(loads(job(TAUGHT)), CPU)


def test_tasks_of_several_sources_are_each_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = two_sources.written(tmp_path)
    finished_run(tmp_path / "runs/each/1", load(path, {"train.seed": "3"}))
    told = trained_file(path, {"train.teachers": "runs/each/1", "train.epochs": "1"})
    (epoch,) = of(told, "epoch")
    assert epoch["soft"].keys() == {task.name for task in load(path).tasks if task.target.kind != "reconstruct"}
    assert not [each for each in of(told, "warning") if each["about"] == "teachers"]
