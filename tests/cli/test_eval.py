"""`mtsldsl eval` and `load_run` in real processes: of a run on a file that is moved, replaced, or named anew."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import mtsldsl
from mtsldsl.diagnostics import MtlError
from tests import prepared
from tests.cli.test_train import left_in

SPEC = """\
mtl 1
let width = 4
data arrays {
  path  = "mine.npz"
  input = image(3, 8, 8)
  batch = 8
}
task bright {
  target = binary(1)
  head   = conv2d(1, 1)
}
task level {
  target = values(1)
  head   = conv2d(1, 1)
}
backbone {
  stem = conv2d(width, 3) | batch_norm | relu
}
train {
  epochs    = 2
  optimizer = adam(lr=1e-2)
}
sharing {
  stem = all
}
"""


def save(path: Path, **changes: np.ndarray[Any, Any]) -> None:
    """Rooms of their own for training, validation and test, so that a test can read them without the splitting."""
    random = np.random.default_rng(0)
    held = {}
    for split, count in (("train", 32), ("validation", 8), ("test", 12)):
        image = random.random((count, 3, 8, 8), dtype=np.float32)
        level = image.mean(1, keepdims=True)
        held |= {f"{split}/image": image, f"{split}/bright": (level > 0.5).astype(np.uint8), f"{split}/level": level}
    np.savez(path, **(held | changes))


@attrs.frozen
class Job:
    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "mine" / "1"

    def command(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return prepared.run("-m", "mtsldsl", *arguments, cwd=cwd or self.folder)

    def eval(self, *arguments: str, run: str = "runs/mine/1", cwd: Path | None = None) -> tuple[dict[str, Any], str]:
        """What is printed, and what is said beside it."""
        done = self.command("eval", run, "--device", "cpu", "--json", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    def refused(self, *arguments: str) -> str:
        done = self.command("eval", "runs/mine/1", "--device", "cpu", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Traceback" not in done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, dict[str, Any]]:
    """A job that has been trained, with what `eval` says of it; not to be changed."""
    job = Job(tmp_path_factory.mktemp("trained"))
    (job.folder / "job").mkdir()
    save(job.folder / "job" / "mine.npz")
    (job.folder / "job" / "mine.mtl").write_text(SPEC, encoding="utf-8")
    done = job.command("train", "job/mine.mtl", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    printed, said = job.eval()
    assert said == ""
    return job, printed


@pytest.fixture
def job(trained: tuple[Job, dict[str, Any]], tmp_path: Path) -> Job:
    """A copy of it whose data lies where the record of the run does not say, but for beside the spec."""
    shutil.copytree(trained[0].folder, tmp_path / "copy")
    return Job(tmp_path / "copy")


def test_a_run_is_evaluated_from_another_folder_and_as_a_copy(
    trained: tuple[Job, dict[str, Any]], tmp_path: Path
) -> None:
    original, printed = trained
    shutil.copytree(original.run, tmp_path / "elsewhere")
    for run in (str(original.run), "elsewhere"):
        assert original.eval(run=run, cwd=tmp_path) == (printed, "")


def test_a_record_that_is_not_whole_is_told_of(job: Job) -> None:
    """Of one that lacks what came after the first weights, and of one that is shorter than when a checkpoint was
    written."""
    record = job.run / "events.jsonl"
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if json.loads(line)["event"] == "best")
    record.write_text("".join(lines[:first]), encoding="utf-8")
    done = job.command("eval", str(job.run))
    assert done.returncode == 1
    assert "MTL801" in done.stderr
    assert "has no finished epoch yet" in done.stderr
    before = left_in(job.run)
    done = job.command("train", "--resume", str(job.run), "--quiet")
    assert done.returncode == 1
    assert "MTL801" in done.stderr
    assert "and its run had written" in done.stderr
    assert left_in(job.run) == before


def test_a_file_that_was_replaced_is_told_of_with_what_differs(trained: tuple[Job, dict[str, Any]], job: Job) -> None:
    save(job.folder / "job" / "mine.npz", **{"test/level": np.full((12, 1, 8, 8), 2, np.float32)})
    printed, said = job.eval()
    assert printed["metrics"]["level"] != trained[1]["metrics"]["level"]
    assert printed["metrics"]["bright"] == trained[1]["metrics"]["bright"]
    path = job.folder / "job" / "mine.npz"
    assert said == f"warning: the data is not what it was when the run started: {path} has other values of `level`\n"


def test_the_same_arrays_in_another_file_are_the_same_data(trained: tuple[Job, dict[str, Any]], job: Job) -> None:
    with np.load(job.folder / "job" / "mine.npz") as file:
        np.savez_compressed(job.folder / "packed.npz", **file, more=np.zeros(3))
    (job.folder / "job" / "mine.npz").unlink()
    assert job.eval("--set", "data.path=packed.npz") == (trained[1], "")


def test_a_named_file_that_is_not_there_is_not_replaced_by_the_recorded_one(job: Job) -> None:
    said = job.refused("--set", "data.path=missing.npz")
    assert "MTL601" in said
    assert str(job.folder / "missing.npz") in said


def test_a_resumed_run_tells_of_other_data_and_records_it(job: Job) -> None:
    save(job.folder / "job" / "mine.npz", **{"test/level": np.full((12, 1, 8, 8), 2, np.float32)})
    (job.run / "report.html").unlink()  # as one that was killed before it was written
    done = job.command("train", "--resume", "runs/mine/1", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "has other values of `level`" in done.stderr
    events = [json.loads(line) for line in (job.run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    (told,) = [event for event in events if event["event"] == "other_data"]
    assert "`level`" in told["differences"][0]


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("width=8", "the layer `stem`"),
        ("backbone.stem=relu", "the layer `stem`"),
        ("task.level.head=conv2d(1, 3)", "the task `level`"),
        ("task.level.target=binary(1)", "the task `level`"),
        ("data.input=image(3, 16, 16)", "the input"),
        ("sharing.stem=each", "the sharing"),
        ("train.epochs=3", "`train`"),
    ],
)
def test_a_setting_that_would_make_another_network_is_refused(
    trained: tuple[Job, dict[str, Any]], setting: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtsldsl.runtime.run.best import load_best
    from mtsldsl.runtime.run.folder import RunFolder

    monkeypatch.chdir(trained[0].folder)
    key, _, value = setting.partition("=")
    with pytest.raises(MtlError, match=rf"MTL805: {named} would be another") as caught:
        load_best(RunFolder.open(trained[0].run), torch.device("cpu"), settings={key: value})
    assert caught.value.diagnostics[0].remedy.startswith("set the data")


def test_metrics_and_the_batch_may_be_set(trained: tuple[Job, dict[str, Any]]) -> None:
    job, before = trained
    printed, said = job.eval("--set", "task.level.metrics=[mae]", "--set", "data.batch=5")
    assert said == ""
    assert list(printed["metrics"]["level"]) == ["mae"]
    assert printed["metrics"]["level"]["mae"] == pytest.approx(before["metrics"]["level"]["mae"], rel=1e-5)


def test_what_load_run_gives_computes_what_eval_reports(
    trained: tuple[Job, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, printed = trained
    monkeypatch.chdir(tmp_path)
    spec, model = mtsldsl.load_run(job.run)
    assert [task.name for task in spec.tasks] == ["bright", "level"]
    assert not any(module.training for module in model.modules())
    with np.load(job.folder / "job" / "mine.npz") as file, torch.no_grad():
        outputs = model(torch.from_numpy(file["test/image"]))
        wrong = outputs["level"].numpy() - file["test/level"]
        hits = (outputs["bright"].numpy() > 0) & (file["test/bright"] == 1)
        claims, truths = (outputs["bright"].numpy() > 0).sum(), (file["test/bright"] == 1).sum()
    assert printed["metrics"]["level"]["rmse"] == pytest.approx(float(np.sqrt(np.mean(wrong**2))), rel=1e-5)
    assert printed["metrics"]["bright"]["f1"] == pytest.approx(2 * hits.sum() / (claims + truths), rel=1e-5)


def test_a_tasks_own_weights_give_its_output_alone(job: Job) -> None:
    own = job.run / "best" / "tasks" / "level.weights.safetensors"
    state = load_file(own)
    state["heads.level.conv1.weight"] = torch.zeros_like(state["heads.level.conv1.weight"])
    state["heads.level.conv1.bias"] = torch.full_like(state["heads.level.conv1.bias"], 0.75)
    save_file(state, own)
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean, alone = (mtsldsl.load_run(job.run, of)[1](image) for of in ("mean", "level"))
    assert set(mean) == {"bright", "level"}
    assert set(alone) == {"level"}
    assert not torch.allclose(mean["level"], torch.tensor(0.75))
    torch.testing.assert_close(alone["level"], torch.full((2, 1, 8, 8), 0.75))
    printed, said = job.eval("--of", "level")
    assert (printed["of"], set(printed["metrics"]), set(printed["losses"])) == ("level", {"level"}, {"level"})
    with np.load(job.folder / "job" / "mine.npz") as file:
        expected = float(np.sqrt(np.mean((0.75 - file["test/level"]) ** 2)))
    assert printed["metrics"]["level"]["rmse"] == pytest.approx(expected, rel=1e-5)
    assert said == ""


def test_without_the_library_of_corruptions_an_error_names_the_extra(trained: tuple[Job, dict[str, Any]]) -> None:
    missing = "import sys\nsys.modules['imagecorruptions'] = None\nfrom mtsldsl.cli import main\nmain(sys.argv[1:])\n"
    words = ("eval", "runs/mine/1", "--device", "cpu", "--corruptions", "fog")
    done = prepared.run("-c", missing, *words, cwd=trained[0].folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error MTL808: `imagecorruptions` cannot be imported" in done.stderr
    assert "pip install 'mtsldsl[robustness]'" in done.stderr


def test_best_weights_of_a_name_that_is_no_task_are_refused(trained: tuple[Job, dict[str, Any]]) -> None:
    with pytest.raises(MtlError, match=r"MTL107(.|\n)*did you mean `level`") as caught:
        mtsldsl.load_run(trained[0].run, "levl")
    assert len(caught.value.diagnostics) == 1
    with pytest.raises(MtlError, match=r"MTL107: `.*` has no network `0\.5`, but its own alone"):
        mtsldsl.load_run(trained[0].run, "0.5")


def test_a_folder_that_is_no_run_and_a_run_without_an_epoch_are_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(MtlError, match="MTL801"):
        mtsldsl.load_run(tmp_path)
    shutil.rmtree(job.run / "best")
    with pytest.raises(MtlError, match="MTL801"):
        mtsldsl.load_run(job.run)
