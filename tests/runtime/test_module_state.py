"""The state of a person's own modules: whatever torch lets them have is kept, or refused before a run begins."""

from __future__ import annotations

import copy
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from mtsldsl import load
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.runtime.learning.ema import average_of, update
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.initial_state import begin_with
from mtsldsl.runtime.network.portable import FORMS
from mtsldsl.runtime.network.transfer import carry_state
from mtsldsl.runtime.run.best import load_run
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.dry_run import DryRun
from mtsldsl.runtime.run.exported import export
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.sharing import Sharing
from tests.runtime.in_process import TASKS, Unreported, rows

KEPT = ("Tied", "Views", "Counting", "Slashed")


def text(*modules: str) -> str:
    pipeline = " | ".join(f'module("tests.runtime.stateful:{each}, out=6)' for each in modules)
    return f"{TASKS}\nbackbone {{\n  stem = linear(6) | {pipeline}\n}}\n\ntrain {{\n  epochs = 2\n}}\n"


def kept() -> str:
    return text(*(f'{each}"' for each in KEPT))


class Cut(Unreported):
    """A run that ends after its first epoch as it would by a kill."""

    def end_epoch(self, training: Training, validation: Any) -> None:
        super().end_epoch(training, validation)
        raise InterruptedError


def run(session: Unreported) -> None:
    Code.of(session.spec).run().main(session)
    session.close()


def begin(kind: type[Unreported], folder: Path) -> Unreported:
    return kind.create(load(folder / "job.mtl"), "job", folder / "runs", "cpu", "quiet")


def bits(run: Path) -> dict[str, str]:
    """The digests of all tensors of a run."""
    return {str(each.relative_to(run)): sha256(each.read_bytes()).hexdigest() for each in run.rglob("*.safetensors")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of modules whose state is of every kind that can be kept."""
    folder = tmp_path_factory.mktemp("whole")
    rows(folder)
    (folder / "job.mtl").write_text(kept(), encoding="utf-8")
    run(begin(Unreported, folder))
    return folder


def test_a_run_keeps_every_state_and_goes_on_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    for name in ("rows.npz", "job.mtl"):
        shutil.copy(whole / name, tmp_path)
    with pytest.raises(InterruptedError):
        run(begin(Cut, tmp_path))
    cut = tmp_path / "runs/job/1"
    assert (cut / "checkpoints/epoch-001").is_dir()
    run(Unreported.resume(cut, "cpu", "quiet"))
    assert bits(cut) == bits(whole / "runs/job/1")
    _, model = load_run(cut)
    tied, counting = (model.get_submodule(f"stem.a.module{number}") for number in (1, 3))
    assert tied.a.weight is tied.b.weight
    assert counting.get_extra_state() > 0


@pytest.mark.parametrize("form", ["safetensors", pytest.param("pt2", marks=pytest.mark.soak)])
def test_every_state_is_exported(form: str, whole: Path) -> None:
    made = export(RunFolder.open(whole / "runs/job/1"), form)
    _, model = load_run(whole / "runs/job/1")
    assert made.difference <= 1e-4
    found, wanted = FORMS[form].read(made.network, made.data)(3), made.network.answers(model, 3)
    assert all(torch.allclose(found[task], wanted[task], atol=1e-4) for task in wanted)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ('Noted"', "`_extra_state` of the state of `tests.runtime.stateful:Noted` cannot be stored: it is a dict, and no tensor"),
        ('OneWay"', "does not take back its own state: "),
        ('Kept", kind="complex128"', "`kept` of the state of `tests.runtime.stateful:Kept` cannot be stored: its numbers are of the type complex128"),
        ('Kept", kind="sparse"', "its numbers do not stand one after the other"),
        ('Kept", kind="spread"', "does not take back its own state: "),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_at_its_line_before_anything_trains(
    module: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.mtl").write_text(text(module), encoding="utf-8")
    for begins in (
        lambda: begin(Unreported, tmp_path),
        lambda: DryRun.create(load(tmp_path / "job.mtl"), "cpu", "quiet"),
    ):
        with pytest.raises(MtlError) as caught:
            begins()
        (found,) = caught.value.diagnostics
        assert found.code == "MTL816"
        assert said in found.cause
        assert found.span is not None
        assert "module(" in found.span.source.line(found.span.line)
    assert not (tmp_path / "runs").exists()


def counted(model: torch.nn.Module, name: str = "a+b") -> float:
    """What the module of a copy of the layer has seen."""
    return float(model.get_submodule(f"stem.{name}.module1").get_extra_state())


def test_an_extra_state_goes_wherever_weights_go_and_every_copy_has_its_own() -> None:
    apart = loads(text('Counting"').replace("epochs = 2", "epochs = 2\n  ema = 0.9"), name="job.mtl")
    spec = apart.with_sharing(Sharing.all(apart.backbone, apart.sharing.tasks))
    shared, split = build_model(spec), build_model(apart)
    split(torch.zeros(8, 6))  # in the mode of training: each of two copies counts its own
    assert [counted(split, name) for name in "ab"] == [8, 8]
    shared(torch.zeros(5, 6))
    carry_state(spec, apart, shared, split)
    split(torch.zeros(2, 6))
    assert [counted(split, name) for name in "ab"] == [7, 7]
    assert counted(shared) == 5
    begun = build_model(spec)
    begin_with(spec, begun, apart, split.state_dict())
    assert counted(begun) == 7
    average = average_of(begun, spec)
    assert average is not None
    begun(torch.zeros(3, 6))
    update(average, begun)
    assert counted(average.module) == 10
    assert counted(copy.deepcopy(begun)) == 10
