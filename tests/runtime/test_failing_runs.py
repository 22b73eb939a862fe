"""Whatever fails inside the network while a run goes on names the line of the person's own file."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.launch import launch
from mtsldsl.runtime.run.session import Session
from tests import prepared
from tests.runtime import faulty
from tests.runtime.started import started as training_of
from tests.runtime.started import step

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")

SPEC = """\
mtl 1

data scenes {
  input  = image(3, 16, 16)
  images = 16
  batch  = 4
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  loss   = mse
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}

backbone {
  stem = conv2d(8, 3, stride=2) | batch_norm | relu
  enc1 = conv2d(8, 3) | relu
  enc2 = conv2d(8, 3) | relu
}

train {
  epochs    = 2
  optimizer = adam(lr=1e-3)
}
"""

EVOLVING = SPEC.replace(
    "backbone {",
    """\
structure mtsl {
  phases     = [1]
  threshold  = -1
  similarity = cka(samples=4)
  transfer   = amalgamate(epochs=2)
}

history {
}

sharing {
  stem = all
}

backbone {""",
)
"""With a merge of enc1 after the first epoch, of 3 steps, and what the run writes above the backbone."""


def own(name: str, out: str = "[8, 8, 8]", **options: object) -> str:
    """A module of `faulty` in a spec."""
    given = "".join(f", {key}={json.dumps(value)}" for key, value in options.items())
    return f'module("tests.runtime.faulty:{name}", out={out}{given})'


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


def written(enc1: str = "conv2d(8, 3) | relu", text: str = SPEC, **changes: str) -> str:
    """The spec in a file `a.mtl`, with another layer enc1, and other values of keys."""
    text = text.replace("enc1 = conv2d(8, 3) | relu", f"enc1 = {enc1}")
    for key, value in changes.items():
        text = re.sub(rf"(?m)^(  {key} += ).*", rf"\g<1>{value}", text, count=1)
    Path("a.mtl").write_text(text, encoding="utf-8")
    return text


def line(start: str, path: str = "a.mtl") -> int:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next(number for number, text in enumerate(lines, 1) if text.strip().startswith(start))


def started() -> Session:
    return Session.create(load("a.mtl"), "a", Path("runs"), "cpu", "quiet")


def failing() -> Exception:
    """What the run of `a.mtl` ends with."""
    with pytest.raises((MtlError, RuntimeError, AssertionError)) as caught:
        launch(started())
    return caught.value


def diverging() -> str:
    """The cause of the MTL803 that the run of `a.mtl` ends with; its place is that of the part that it names."""
    error = failing()
    assert isinstance(error, MtlError), error
    (found,) = error.diagnostics
    assert found.code == "MTL803"
    if found.span is not None:
        assert f"{found.span.source.name}:{found.span.line}" in found.cause or "amalgamation" in found.cause
    return found.cause


def notes(error: Exception) -> list[str]:
    return getattr(error, "__notes__", [])


# numbers that are not finite, in training


@pytest.mark.parametrize("when", [{}, {"after": 2}, {"after": 5}], ids=["always", "third step", "second epoch"])
def test_the_layer_that_first_computes_no_finite_number_in_training_is_named(when: dict[str, int]) -> None:
    written(own("Nan", **when))
    step = when.get("after", 0) % 3 + 1
    epoch = when.get("after", 0) // 3 + 1
    assert diverging() == (
        f"in step {step} of epoch {epoch} the loss of depth, edge is not a finite number; "
        f"the first to compute such numbers is a.mtl:{line('enc1')}, layer enc1 of depth"
    )


def test_a_head_that_computes_no_finite_number_is_named() -> None:
    written(text=SPEC.replace("binary(1)\n  head   = ", f"binary(1)\n  head   = {own('Nan')} | "))
    assert diverging().endswith(f"the first to compute such numbers is a.mtl:{line('task edge')}, head of task edge")


def test_a_learning_rate_that_is_too_large_is_found_where_the_numbers_overflow() -> None:
    written(optimizer="sgd(lr=1e30)")
    assert diverging().endswith(f"the first to compute such numbers is a.mtl:{line('enc1')}, layer enc1 of depth")


def test_weights_that_a_step_made_infinite_are_told_from_what_is_computed_with_them() -> None:
    written(optimizer="sgd(lr=1e38)", loss="mse\n  weight = 1e4")
    assert diverging().endswith(
        f"neither are the weights of a.mtl:{line('stem')}, layer stem of depth, since a step that was too large"
    )


def test_a_gradient_that_is_not_finite_names_the_layer_where_it_began() -> None:
    written(f"conv2d(8, 3) | {own('SteepRoot')}")
    assert diverging() == (
        f"in step 2 of epoch 1 the loss of depth, edge is not a finite number; neither are the weights of "
        f"a.mtl:{line('enc1')}, layer enc1 of edge, since a step whose gradient was not"
    )


def test_a_loss_that_is_not_finite_though_all_outputs_are_names_the_line_of_the_loss() -> None:
    written(head=f"conv2d(1, 1) | {own('Huge', '[1, 8, 8]')} | resize_as(image)")
    assert diverging() == (
        "in step 1 of epoch 1 the loss of depth is not a finite number; run once more, the outputs of all layers and "
        f"heads are, so it is a.mtl:{line('loss')}, loss of task depth, or a module that does not compute the same "
        "each time"
    )


def test_a_run_that_stops_says_where_it_is() -> None:
    written(own("Nan"))
    error = failing()
    assert isinstance(error, MtlError)
    assert error.diagnostics[0].remedy.endswith("the run so far is in runs/a/1")


# numbers that are not finite, where the device is asked seldom


def learn(training: Training, steps: int, guard: AbstractContextManager[None]) -> list[dict[str, torch.Tensor]]:
    """The network's parameters after each step."""
    training.model.train()
    after = []
    with guard:
        for number in range(steps):
            generator = torch.Generator().manual_seed(number)
            batch = {
                "image": torch.rand(4, 3, 16, 16, generator=generator).to(training.device),
                "depth": torch.rand(4, 1, 16, 16, generator=generator).to(training.device),
                "edge": torch.rand(4, 1, 16, 16, generator=generator).round().to(training.device),
            }
            with unwaiting(training.device):
                outputs = training.forward(batch["image"], tuple(task.name for task in training.spec.tasks))
                step(training, training.losses(outputs, batch))
            after.append({name: value.detach().clone() for name, value in training.model.named_parameters()})
    return after


@contextmanager
def unwaiting(device: torch.device) -> Iterator[None]:
    """Fails where a CUDA device is waited for."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def fresh(optimizer: type[torch.optim.Optimizer] = torch.optim.Adam, device: torch.device = CPU) -> Training:
    return training_of(load("a.mtl"), lambda named: optimizer(named, lr=1e-2, fused=True), device=device)


@pytest.mark.parametrize("every", [1, 3, 8])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_guarding_changes_no_bit_of_what_is_learned(every: int, optimizer: type[torch.optim.Optimizer]) -> None:
    written("dropout(0.5) | conv2d(8, 3) | relu")
    plain = learn(fresh(optimizer), 7, nullcontext())
    training = fresh(optimizer)  # which sets the seed
    guarded = learn(training, 7, training.guarded(every=every))
    assert all(torch.equal(one[name], other[name]) for one, other in zip(plain, guarded, strict=True) for name in one)


@pytest.mark.parametrize("every", [1, 3, 8])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_the_step_whose_losses_are_not_finite_is_not_made_however_seldom_the_device_is_asked(
    every: int, optimizer: type[torch.optim.Optimizer]
) -> None:
    written(f"dropout(0.5) | {own('Nan', after=4)}")
    sound = learn(fresh(optimizer), 4, nullcontext())
    training = fresh(optimizer)
    with pytest.raises(MtlError) as caught:
        learn(training, 7, training.guarded(every=every))
    assert caught.value.diagnostics[0].cause == (
        "in step 5 of epoch 1 the loss of depth, edge is not a finite number; "
        f"the first to compute such numbers is a.mtl:{line('enc1')}, layer enc1 of depth"
    )
    assert all(torch.equal(value, sound[-1][name]) for name, value in training.model.named_parameters())


@pytest.mark.parametrize("every", [1, 8])
def test_what_does_not_come_again_names_no_layer(every: int) -> None:
    written(own("Nan", after=4, before=5))
    training = fresh()
    with pytest.raises(MtlError, match="run once more, the outputs of all layers and heads are"):
        learn(training, 7, training.guarded(every=every))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_on_cuda_no_step_waits_for_the_device_and_the_one_that_fails_is_not_made() -> None:
    written(f"dropout(0.5) | {own('Nan', after=4)}")
    cuda = torch.device("cuda")
    sound = learn(fresh(device=cuda), 4, nullcontext())
    training = fresh(device=cuda)
    with pytest.raises(MtlError, match=rf"in step 5 of .* a\.mtl:{line('enc1')}, layer enc1 of depth"):
        learn(training, 7, training.guarded())
    for name, value in training.model.named_parameters():
        torch.testing.assert_close(value.detach(), sound[-1][name])


# numbers that are not finite, in evaluation and in a structural phase


def test_no_finite_number_in_the_evaluation_after_an_epoch_names_the_layer() -> None:
    written(own("Nan", mode="eval"))
    assert diverging() == (
        "the loss of depth, edge in evaluation is not a finite number; "
        f"the first to compute such numbers is a.mtl:{line('enc1')}, layer enc1 of depth"
    )


def test_no_finite_number_when_activations_are_compared_names_the_layer() -> None:
    written(own("Nan", mode="eval"), EVOLVING)
    assert diverging() == (
        "an activation that is compared is not a finite number; "
        f"the first to compute such numbers is a.mtl:{line('enc1')}, layer enc1 of depth"
    )


def test_an_amalgamation_that_diverges_names_the_layer() -> None:
    written(
        f"conv2d(8, 3) | {own('Nan', after=4)}", EVOLVING
    )  # the fifth step of amalgamation; training ended after three
    assert diverging() == ("the amalgamation of layer enc1 of depth + edge diverged: its loss is not a finite number")


def test_mtsldsl_eval_names_the_layer_whose_weights_are_not_finite() -> None:
    written()
    session = started()
    launch(session)
    weights = session.folder.best / "mean.weights.safetensors"
    state = load_file(weights)
    state["enc1.edge.conv1.weight"][0] = torch.inf
    save_file(state, weights)
    done = mtsldsl("eval", "runs/a/1", "--device", "cpu")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"a.mtl:{line('enc1')}:3: error MTL803: the loss of edge in evaluation is not a finite"
    )
    assert f"a.mtl:{line('enc1')}, layer enc1 of edge" in done.stderr


# wrong shapes


@pytest.mark.parametrize("name", ["Misshapen", "Refusing"])
@pytest.mark.parametrize("text", [SPEC, EVOLVING], ids=["static", "evolving"])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_an_error_in_a_layer_names_its_line(name: str, text: str, mode: str) -> None:
    written(own(name, mode=mode), text)
    assert notes(failing()) == [f"a.mtl:{line('enc1')}, layer enc1 of depth"]


def test_an_error_when_a_merged_layer_is_amalgamated_names_its_line() -> None:
    written(f"conv2d(8, 3) | {own('Misshapen', after=4)}", EVOLVING)
    assert notes(failing()) == [f"a.mtl:{line('enc1')}, layer enc1 of depth + edge"]


def mtsldsl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return python("mtsldsl", *arguments)


def python(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", module, *arguments)


@pytest.mark.parametrize("alone", [False, True])
def test_both_ways_to_run_end_with_the_line(alone: bool) -> None:
    written(own("Misshapen"))
    if alone:
        assert mtsldsl("compile", "a.mtl").returncode == 0
        done = python("generated.a.train", "--device", "cpu")
    else:
        done = mtsldsl("train", "a.mtl", "--device", "cpu")
    assert done.returncode == 1
    assert done.stderr.endswith(f"\na.mtl:{line('enc1')}, layer enc1 of depth\n")


# the person's own file


def test_after_a_merge_the_line_is_that_of_the_persons_file_though_the_copy_has_grown() -> None:
    written(own("Misshapen", after=4), EVOLVING, epochs="4", transfer="average")
    assert notes(failing()) == [f"a.mtl:{line('enc1')}, layer enc1 of depth + edge"]
    assert line("enc1 = module", "runs/a/1/spec.mtl") > line("enc1")


def test_the_line_is_where_the_person_has_moved_the_layer_meanwhile() -> None:
    text = written(own("Misshapen"))
    session = started()
    Path("a.mtl").write_text(f"# a comment of\n# two lines\n{text}", encoding="utf-8")
    with pytest.raises(RuntimeError) as caught:
        launch(session)
    assert notes(caught.value) == [f"a.mtl:{line('enc1')}, layer enc1 of depth"]


@pytest.mark.parametrize("change", ["changed", "broken", "gone"])
def test_where_the_persons_file_has_the_layer_no_more_the_runs_copy_is_named(change: str) -> None:
    text = written(own("Misshapen"))
    session = started()
    changed = {"changed": text.replace("enc1 = module", "enc1 = dropout(0.5) | module"), "broken": f"{text}\n@"}
    if change == "gone":
        Path("a.mtl").unlink()
    else:
        Path("a.mtl").write_text(f"# a comment\n{changed[change]}", encoding="utf-8")
    with pytest.raises(RuntimeError) as caught:
        launch(session)
    copy = "runs/a/1/spec.mtl"
    assert notes(caught.value) == [f"{copy}:{line('enc1', copy)}, layer enc1 of depth"]


def test_a_setting_of_one_run_moves_no_line() -> None:
    written(own("Misshapen"))
    done = mtsldsl("train", "a.mtl", "--device", "cpu", "--set", "data.augment=[hflip]", "--set", "data.seed=3")
    assert done.stderr.endswith(f"\na.mtl:{line('enc1')}, layer enc1 of depth\n")
    assert line("enc1", "runs/a/1/spec.mtl") > line("enc1")


def test_a_layer_of_an_imported_file_is_named_there() -> None:
    text = written(own("Misshapen"))
    backbone = text[text.index("backbone {") : text.index("train {")]
    Path("layers.mtl").write_text(f"mtl 1\n\n{backbone}", encoding="utf-8")
    Path("a.mtl").write_text(
        text.replace(backbone, "").replace("mtl 1\n", 'mtl 1\n\nimport "layers.mtl"\n'), encoding="utf-8"
    )
    assert notes(failing()) == [f"layers.mtl:{line('enc1', 'layers.mtl')}, layer enc1 of depth"]


@pytest.mark.parametrize(
    ("mistake", "code", "start"),
    [
        ({"batch": "100"}, "MTL804", "data scenes"),
        ({"enc2": own("Nothing")}, "MTL806", "enc2"),
        ({"enc2": own("Nan", "[4, 8, 8]")}, "MTL807", "enc2"),
    ],
)
def test_what_a_run_finds_wrong_in_the_spec_is_at_the_persons_line_though_its_copy_holds_what_is_imported(
    mistake: dict[str, str], code: str, start: str
) -> None:
    Path("blocks.mtl").write_text("mtl 1\n\nblock wide(n) =\n    conv2d(n, 3)\n    | relu\n", encoding="utf-8")
    written("wide(8)", SPEC.replace("mtl 1\n", 'mtl 1\n\nimport "blocks.mtl"\n'), **mistake)
    error = failing()
    assert isinstance(error, MtlError)
    (found,) = error.diagnostics
    assert (found.code, found.span and str(found.span).split(":")[:2]) == (code, ["a.mtl", str(line(start))])


def test_a_resumed_run_names_the_persons_line_too() -> None:
    written(own("Misshapen", after=4), EVOLVING, epochs="4", transfer="average")
    failing()
    assert Path("runs/a/1/checkpoints/epoch-002").is_dir()
    with pytest.raises(RuntimeError) as caught:
        launch(Session.resume(Path("runs/a/1"), "cpu", "quiet"))
    assert notes(caught.value) == [f"a.mtl:{line('enc1')}, layer enc1 of depth + edge"]


def test_a_module_that_is_gone_when_a_run_is_resumed_or_evaluated_is_at_the_persons_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written(own("Nan", mode="eval", after=1000), EVOLVING)
    launch(started())
    monkeypatch.delattr(faulty, "Nan")
    with pytest.raises(MtlError, match=rf"^a\.mtl:{line('enc1')}:\d+: error MTL806"):
        Session.resume(Path("runs/a/1"), "cpu", "quiet")
    with pytest.raises(MtlError, match=rf"^a\.mtl:{line('enc1')}:\d+: error MTL806"):
        load_best(RunFolder.open(Path("runs/a/1")), CPU)


def test_eval_names_the_persons_line_of_an_evolved_network(monkeypatch: pytest.MonkeyPatch) -> None:
    written(own("Misshapen", mode="eval", after=1000), EVOLVING)
    launch(started())
    monkeypatch.setattr(faulty.Misshapen, "fault", faulty.Nan.fault)
    folder = RunFolder.open(Path("runs/a/1"))
    spec, model = load_best(folder, CPU)
    for module in model.modules():
        if isinstance(module, faulty.Misshapen):
            module.after = 0
    with pytest.raises(MtlError, match=rf"a\.mtl:{line('enc1')}, layer enc1 of depth \+ edge"):
        evaluate(model, spec, load_data(spec).test, CPU)


# too few values to normalise


@pytest.mark.parametrize("task", [False, True])
def test_batch_norm_with_one_value_a_channel_is_refused_at_its_line_before_there_is_a_run(task: bool) -> None:
    single = "adaptive_avg_pool2d(1) | batch_norm"
    if task:
        written(batch="1", text=SPEC.replace("binary(1)\n  head   = ", f"binary(1)\n  head   = {single} | "))
    else:
        written(f"conv2d(8, 3) | {single}", batch="1")
    with pytest.raises(MtlError) as caught:
        started()
    (found,) = caught.value.diagnostics
    assert found.code == "MTL804"
    assert found.span is not None
    assert found.span.line == line("task edge" if task else "enc1")
    assert not Path("runs").exists()
