"""`mtsldsl predict` in real processes: what it writes is what `mtsldsl eval` measures, and nothing is lost."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from tests import prepared

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

SPEC = """\
mtl 1
data arrays {
  path  = "mine.npz"
  input = image(3, 8, 8)
  batch = 4
}
task level {
  target = values(1, scale=standard)
  head   = conv2d(1, 1)
}
task bright {
  target = binary(1)
  head   = conv2d(1, 1)
}
task part {
  target = classes(3)
  head   = conv2d(3, 1)
}
task way {
  target = unit_vectors
  head   = conv2d(3, 1)
}
task kind {
  target = classes(2)
  head   = adaptive_avg_pool2d(1) | flatten | linear(2)
}
task pair {
  target = values(2)
  head   = adaptive_avg_pool2d(1) | flatten | linear(2)
}
backbone {
  stem = conv2d(6, 3) | batch_norm | relu
}
train {
  epochs    = 2
  optimizer = adam(lr=1e-2)
}
sharing {
  stem = level + (kind), bright + part + way, kind + pair
}
"""
"""With a task that helps in a group which does not serve it."""

DENSE, PLAIN = ("level", "bright", "part", "way"), ("kind", "pair")
COUNT = 10


def arrays() -> dict[str, NDArray[Any]]:
    random, held = np.random.default_rng(0), {}
    for split, count in (("train", 24), ("validation", 6), ("test", COUNT)):
        image = random.integers(0, 256, (count, 3, 8, 8)).astype(np.uint8)
        gray = image.mean(1) / 255
        way = np.stack([gray - 0.5, np.full_like(gray, 0.3), 1 - gray], 1)
        held |= {
            f"{split}/image": image,
            f"{split}/level": gray[:, None].astype(np.float32),
            f"{split}/bright": (gray[:, None] > 0.5).astype(np.uint8),
            f"{split}/part": (gray * 2.99).astype(np.int64),
            f"{split}/way": way / np.linalg.norm(way, axis=1, keepdims=True),
            f"{split}/kind": (image.mean((1, 2, 3)) > 127).astype(np.int64),
            f"{split}/pair": image.mean((2, 3))[:, :2] / 255,
        }
    return held


@attrs.frozen
class Job:
    folder: Path

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return prepared.run("-m", "mtsldsl", *words, cwd=self.folder)

    def predict(self, given: str, output: str, *words: str) -> str:
        """What is said beside what is written."""
        done = self.command("predict", "runs/mine/1", "--input", given, "-o", output, "--device", "cpu", *words)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def refused(self, given: str, output: str, *words: str, status: int = 1) -> str:
        """What is said of the error, where nothing is changed."""
        before = self.content()
        done = self.command("predict", "runs/mine/1", "--input", given, "-o", output, "--device", "cpu", *words)
        assert (done.returncode, done.stdout) == (status, ""), done
        assert "Traceback" not in done.stderr
        assert self.content() == before
        return " ".join(done.stderr.split())

    def content(self) -> dict[str, bytes | None]:
        paths = (path for path in self.folder.rglob("*") if "runs" not in path.parts)
        return {str(path): path.read_bytes() if path.is_file() else None for path in paths}

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / name) as file:
            return dict(file)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A run; its test inputs as arrays and as pictures; all that is predicted for them in `all.npz`. Not to be
    changed."""
    job = Job(tmp_path_factory.mktemp("trained"))
    held = arrays()
    np.savez(job.folder / "mine.npz", **held)  # type: ignore[arg-type]
    np.savez(job.folder / "new.npz", image=held["test/image"])
    (job.folder / "pictures").mkdir()
    for number, image in enumerate(held["test/image"]):
        Image.fromarray(np.moveaxis(image, 0, -1)).save(job.folder / "pictures" / f"room {number}.png")
    (job.folder / "mine.mtl").write_text(SPEC, encoding="utf-8")
    done = job.command("train", "mine.mtl", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    assert job.predict("new.npz", "all.npz", "--scores") == ""
    return job


@pytest.fixture
def job(trained: Job, tmp_path: Path) -> Job:
    """A copy of it."""
    shutil.copytree(trained.folder, tmp_path / "copy")
    return Job(tmp_path / "copy")


# What is predicted ----------------------------------------------------------------------------------------------------


def measured(found: Arrays, held: Arrays) -> dict[str, float]:
    """Some metrics, computed from what was written."""
    truth = {name.partition("/")[2]: array for name, array in held.items() if name.startswith("test/")}
    bright = found["bright"] > 0.5
    cosines = (found["way"].astype(np.float64) * truth["way"]).sum(1)
    return {
        "level.rmse": float(np.sqrt(np.mean((found["level"] - truth["level"]) ** 2))),
        "bright.f1": float(2 * (bright & (truth["bright"] == 1)).sum() / (bright.sum() + truth["bright"].sum())),
        "part.pixel_accuracy": float((found["part"] == truth["part"]).mean()),
        "way.mean_angle": float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean()),
        "kind.accuracy": float((found["kind"] == truth["kind"]).mean()),
        "pair.mae": float(np.abs(found["pair"] - truth["pair"]).mean()),
    }


def reported(job: Job, *words: str) -> dict[str, float]:
    done = job.command("eval", "runs/mine/1", "--device", "cpu", "--json", *words)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    return {f"{task}.{name}": value for task, each in metrics.items() for name, value in each.items()}


def test_what_is_predicted_for_the_test_inputs_has_the_metrics_that_eval_reports(trained: Job) -> None:
    expected = reported(trained)
    for name, value in measured(trained.arrays("all.npz"), trained.arrays("mine.npz")).items():
        assert value == pytest.approx(expected[name], rel=1e-4), name


def test_the_weights_of_a_tasks_own_epoch_are_those_that_eval_takes(job: Job) -> None:
    for task, metric in (("level", "level.rmse"), ("kind", "kind.accuracy")):
        job.predict("new.npz", f"{task}.npz", "--of", task)
        found = job.arrays(f"{task}.npz")
        assert set(found) == {task}
        value = measured({**job.arrays("all.npz"), **found}, job.arrays("mine.npz"))[metric]
        assert value == pytest.approx(reported(job, "--of", task)[metric], rel=1e-4)


def test_a_picture_that_is_broken_is_left_out_where_that_is_said_and_the_others_keep_their_names(job: Job) -> None:
    broken = job.folder / "pictures/room 3.png"
    broken.write_bytes(broken.read_bytes()[:-30])
    assert "room 3.png` is no whole picture" in job.refused("pictures", "some.npz")
    said = job.predict("pictures", "some.npz", "--set", "data.on_error=skip", "--workers", "2")
    assert "warning: 1 of 10 samples of `pictures` is left out, as `on_error = skip` says: `room 3.png`;" in said
    some, every = job.arrays("some.npz"), job.arrays("all.npz")
    kept = [number for number in range(COUNT) if number != 3]
    assert some["sample"].tolist() == [f"room {number}.png" for number in kept]
    for name in ("level", "kind"):
        np.testing.assert_allclose(some[name], every[name][kept], rtol=1e-5, atol=1e-6)


def test_every_task_that_is_served_has_its_answers_in_the_shape_and_type_that_is_said(trained: Job) -> None:
    found = trained.arrays("all.npz")
    assert {name: (array.dtype.name, array.shape[1:]) for name, array in found.items()} == {
        "level": ("float32", (1, 8, 8)),
        "bright": ("float32", (1, 8, 8)),
        "part": ("int64", (8, 8)),
        "part/scores": ("float32", (3, 8, 8)),
        "way": ("float32", (3, 8, 8)),
        "kind": ("int64", ()),
        "kind/scores": ("float32", (2,)),
        "pair": ("float32", (2,)),
    }
    assert {len(array) for array in found.values()} == {COUNT}
    assert 0 <= found["bright"].min() < found["bright"].max() <= 1
    np.testing.assert_allclose(np.linalg.norm(found["way"], axis=1), 1, rtol=1e-5)
    for task in ("part", "kind"):
        np.testing.assert_allclose(found[f"{task}/scores"].sum(1), 1, rtol=1e-5)
        np.testing.assert_array_equal(found[f"{task}/scores"].argmax(1), found[task])


def test_pictures_are_read_as_the_numbers_of_training_and_sorted_by_name(trained: Job, tmp_path: Path) -> None:
    output = str(tmp_path / "pictures.npz")
    assert trained.predict("pictures", output, "--scores") == ""
    with np.load(output) as file:
        found = dict(file)
    assert found.pop("sample").tolist() == [f"room {number}.png" for number in range(COUNT)]
    whole = trained.arrays("all.npz")
    assert list(found) == list(whole)
    for name, array in found.items():
        np.testing.assert_array_equal(array, whole[name])


def test_one_picture_and_an_npy_file_are_inputs_too(job: Job) -> None:
    np.save(job.folder / "one.npy", job.arrays("new.npz")["image"][3:4])
    job.predict("pictures/room 3.png", "a.npz")
    job.predict("one.npy", "b.npz")
    first, second = job.arrays("a.npz"), job.arrays("b.npz")
    assert first.pop("sample").tolist() == ["room 3.png"]
    for name, array in second.items():
        np.testing.assert_array_equal(first[name], array)
        np.testing.assert_allclose(array, job.arrays("all.npz")[name][3:4], atol=1e-5)


def test_the_same_is_written_again_byte_for_byte_and_other_batches_round_alone(job: Job) -> None:
    whole = job.arrays("all.npz")
    job.predict("mine.npz", "again.npz", "--scores", "--array", "test/image")
    assert (job.folder / "again.npz").read_bytes() == (job.folder / "all.npz").read_bytes()
    for size in (1, 3, 64):
        job.predict("new.npz", "other.npz", "--scores", "--set", f"data.batch={size}", "--force")
        found = job.arrays("other.npz")
        assert list(found) == list(whole)
        for name, array in found.items():
            np.testing.assert_allclose(array, whole[name], atol=1e-5)


# How it is written ----------------------------------------------------------------------------------------------------


def test_a_table_has_the_same_numbers_to_the_last_digit(job: Job) -> None:
    job.predict("pictures", "some.csv", "--scores", "--task", "pair", "--task", "kind")
    head, *rows = csv.reader((job.folder / "some.csv").read_text(encoding="utf-8").splitlines())
    assert head == ["sample", "kind", "kind/scores.0", "kind/scores.1", "pair.0", "pair.1"]
    whole = job.arrays("all.npz")
    assert [row[0] for row in rows] == [f"room {number}.png" for number in range(COUNT)]
    numbers = np.array([row[1:] for row in rows]).astype(np.float32)
    expected = np.column_stack([whole["kind"], whole["kind/scores"], whole["pair"]]).astype(np.float32)
    np.testing.assert_array_equal(numbers, expected)
    job.predict("new.npz", "numbered.csv", "--task", "kind")
    lines = (job.folder / "numbered.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["sample,kind", *(f"{number},{label}" for number, label in enumerate(whole["kind"]))]


def test_a_folder_has_a_file_for_each_task_and_sample_and_a_table(job: Job) -> None:
    job.predict("pictures", "out/", "--scores")
    out, whole = job.folder / "out", job.arrays("all.npz")
    samples = [f"room {number}" for number in range(COUNT)]
    wanted = {"answers.csv"}
    for folder in ("bright", "part", "way", "level.look"):
        wanted |= {f"{folder}/{sample}.png" for sample in samples}
    for folder in ("level", "part.scores"):
        wanted |= {f"{folder}/{sample}.npy" for sample in samples}
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == wanted
    for number, sample in enumerate(samples):
        drawn = {}
        for folder in ("bright", "part", "way", "level.look"):
            with Image.open(out / folder / f"{sample}.png") as picture:
                assert picture.mode == ("RGB" if folder == "way" else "L")
                drawn[folder] = np.asarray(picture)
        np.testing.assert_array_equal(drawn["part"], whole["part"][number])
        np.testing.assert_allclose(drawn["bright"] / 255, whole["bright"][number, 0], atol=0.5 / 255 + 1e-6)
        vectors = np.moveaxis(drawn["way"], -1, 0) / 255 * 2 - 1
        np.testing.assert_allclose(vectors, whole["way"][number], atol=1 / 255 + 1e-6)
        level = np.load(out / "level" / f"{sample}.npy")
        np.testing.assert_array_equal(level, whole["level"][number])
        np.testing.assert_array_equal(np.load(out / "part.scores" / f"{sample}.npy"), whole["part/scores"][number])
        assert (drawn["level.look"].min(), drawn["level.look"].max()) == (0, 255)
        assert drawn["level.look"].argmax() == level.argmax()
    job.predict("pictures", "same.csv", "--scores", "--task", "kind", "--task", "pair")
    assert (out / "answers.csv").read_bytes() == (job.folder / "same.csv").read_bytes()


def test_numbered_samples_are_sorted_by_name_as_by_number(job: Job) -> None:
    np.save(job.folder / "many.npy", np.concatenate([job.arrays("new.npz")["image"]] * 2))
    job.predict("many.npy", "out/", "--task", "part")
    names = sorted(path.name for path in (job.folder / "out" / "part").iterdir())
    assert names == [f"{number:02}.png" for number in range(2 * COUNT)]
    assert not (job.folder / "out" / "answers.csv").exists()


def test_what_is_there_is_not_lost(job: Job) -> None:
    whole = (job.folder / "all.npz").read_bytes()
    said = job.refused("pictures", "all.npz")
    assert "MTL703" in said
    assert "--force" in said
    (job.folder / "kept").mkdir()
    (job.folder / "kept" / "notes.txt").write_text("mine", encoding="utf-8")
    assert "MTL703" in job.refused("pictures", "kept")
    job.predict("pictures", "kept", "--force", "--task", "part")
    job.predict("pictures", "kept/", "--force", "--task", "part")
    assert (job.folder / "kept" / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert len(list((job.folder / "kept" / "part").iterdir())) == COUNT
    job.predict("new.npz", "all.npz", "--force", "--scores")
    assert (job.folder / "all.npz").read_bytes() == whole
    assert "holds the inputs" in job.refused("new.npz", "new.npz", "--force", status=2)
    assert not [path for path in job.folder.iterdir() if path.name.startswith(".")]
    (job.folder / "link").symlink_to("nowhere")
    assert "is no folder" in job.refused("new.npz", "link/", status=2)


def test_folders_on_the_way_to_a_file_are_made(job: Job) -> None:
    job.predict("new.npz", "a/b/found.npz", "--scores")
    job.predict("new.npz", "c/d/", "--task", "part")
    assert (job.folder / "a" / "b" / "found.npz").read_bytes() == (job.folder / "all.npz").read_bytes()
    assert len(list((job.folder / "c" / "d" / "part").iterdir())) == COUNT


def test_a_process_that_is_killed_leaves_no_half_of_a_folder(job: Job) -> None:
    """Killed when the second batch is drawn: nothing has the name of the folder, and what is left is in nobody's way."""
    killing = (
        "import os, sys, signal\n"
        "from mtsldsl.cli import main\n"
        "from mtsldsl.runtime.run import prediction_folder\n"
        "drawn, write = [], prediction_folder._write\n"
        "def killed(*words):\n"
        "    drawn.append(write(*words))\n"
        "    if len(drawn) == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "prediction_folder._write = killed\n"
        "main(sys.argv[1:])\n"
    )
    words = ("predict", "runs/mine/1", "--input", "pictures", "-o", "out/", "--task", "part")
    done = prepared.run("-c", killing, *words, cwd=job.folder)
    assert done.returncode == -9
    assert not (job.folder / "out").exists()
    job.predict("pictures", "out/", "--task", "part")
    assert len(list((job.folder / "out" / "part").iterdir())) == COUNT


def test_what_fails_on_the_way_leaves_nothing_behind(job: Job) -> None:
    """The last picture is damaged behind its head, when two batches were predicted and drawn."""
    last = job.folder / "pictures" / f"room {COUNT - 1}.png"
    last.write_bytes(last.read_bytes()[:80])
    for output in ("out/", "out.npz", "deep/out.csv"):
        words = ("--task", "kind") if output.endswith("csv") else ()
        (job.folder / "deep").mkdir(exist_ok=True)
        said = job.refused("pictures", output, *words)
        assert "MTL602" in said
        assert last.name in said


def test_a_file_that_has_no_place_for_a_task_is_refused(trained: Job) -> None:
    said = trained.refused("new.npz", "x.csv", status=2)
    assert "`level`" in said
    assert ".npz" in said
    assert "does not say what to write" in trained.refused("new.npz", "x.txt", status=2)
    assert "is no folder" in trained.refused("new.npz", "all.npz/", status=2)
    for nowhere in ("all.npz/x.npz", "all.npz/deep/x/", f"{'x' * 300}.npz", f"{'x' * 300}/"):
        assert "MTL703" in trained.refused("new.npz", nowhere)
    assert "--task" in trained.refused("new.npz", "x.npz", "--of", "level", "--task", "kind", status=2)
    assert "did you mean `kind`" in trained.refused("new.npz", "x.npz", "--task", "kid")
    assert "--array" in trained.refused("pictures", "x.npz", "--array", "image", status=2)
    assert "--resize" in trained.refused("new.npz", "x.npz", "--resize", status=2)


# What is no input -----------------------------------------------------------------------------------------------------


def test_a_sample_that_is_no_input_is_named(job: Job) -> None:
    broken = job.arrays("new.npz")["image"].astype(np.float32) / 255
    broken[7, 1, 2, 2] = np.nan
    np.save(job.folder / "nan.npy", broken)
    assert "row 7 (from 0) of `nan.npy`, which is an input, holds nan" in job.refused("nan.npy", "x.npz")
    small = job.folder / "pictures" / "room 5.png"
    Image.new("RGB", (9, 7)).save(small)
    said = job.refused("pictures", "x/")
    assert "`pictures/room 5.png` is 7 x 9" in said
    assert "--resize" in said
    job.predict("pictures", "x.npz", "--resize")
    small.with_name("notes.txt").write_text("", encoding="utf-8")
    small.unlink()
    assert "left out of `pictures`" in job.predict("pictures", "y.npz")
    assert len(job.arrays("y.npz")["sample"]) == COUNT - 1
    shutil.copy(job.folder / "pictures" / "room 1.png", job.folder / "pictures" / "room 2.jpg")
    said = job.refused("pictures", "y/")
    assert "`room 2.jpg`" in said
    assert "`room 2.png`" in said


def test_whole_numbers_are_refused_where_training_had_another_scale(job: Job) -> None:
    events = job.folder / "runs" / "mine" / "1" / "events.jsonl"
    text = events.read_text(encoding="utf-8")
    assert text.count('"input": [0.0, 1.0]') == 1
    events.write_text(text.replace('"input": [0.0, 1.0]', '"input": [-2.0, 2.5]'), encoding="utf-8")
    for given in ("new.npz", "pictures"):
        said = job.refused(given, "x.npz")
        assert "from -2 to 2.5" in said
        assert "float32" in said
    np.save(job.folder / "scaled.npy", np.zeros((2, 3, 8, 8), np.float32))
    assert job.predict("scaled.npy", "x.npz") == ""


def test_an_output_that_is_not_finite_is_told_with_its_sample_and_task(job: Job) -> None:
    weights = job.folder / "runs" / "mine" / "1" / "best" / "mean.weights.safetensors"
    state = load_file(weights)
    (bias,) = (name for name in state if name.startswith("heads.level.") and name.endswith("bias"))
    state[bias] = torch.full_like(state[bias], torch.inf)
    save_file(state, weights)
    said = job.refused("pictures", "x/")
    assert "MTL803" in said
    assert "the output of `level` for the sample room 0.png" in said
    job.predict("pictures", "x/", "--task", "bright")


# Several data blocks --------------------------------------------------------------------------------------------------

BLOCKS = """\
mtl 1
data arrays small {
  path  = "small.npz"
  input = row(3)
  batch = 4
}
data arrays large {
  path  = "large.npz"
  input = row(3)
  batch = 8
}
task cost {
  data   = small
  target = values(1)
  head   = linear(1)
}
task risk {
  data   = large
  target = binary(2)
  head   = linear(2)
}
task size {
  data   = large
  target = values(1)
  head   = linear(1)
}
backbone {
  hidden = linear(4) | relu
}
train {
  epochs = 1
}
sharing {
  hidden = all
}
"""


def trained_on_blocks(folder: Path, text: str = BLOCKS) -> Job:
    """A run on two files of rows, the target of the first called as the task that reads it."""
    (first,) = re.findall(r"task (\w+) \{\n  data   = small", text)
    job, random = Job(folder), np.random.default_rng(0)
    for name, count in (("small", 40), ("large", 60)):
        row = random.standard_normal((count, 3)).astype(np.float32)
        fields = {"risk": (row[:, :2] > 0).astype(np.uint8), "size": row[:, 1:2]} if name == "large" else {}
        np.savez(folder / f"{name}.npz", row=row, **{first: row.sum(1, keepdims=True)}, **fields)
    (folder / "mine.mtl").write_text(text, encoding="utf-8")
    done = job.command("train", "mine.mtl", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    return job


def test_a_task_that_is_called_as_the_names_of_samples_is_refused(tmp_path: Path) -> None:
    job = trained_on_blocks(tmp_path, BLOCKS.replace("cost", "sample"))
    for output in ("x.csv", "x.npz", "x/"):
        assert "called `sample`" in job.refused("small.npz", output, "--data", "small", status=2)
    job.predict("large.npz", "x.csv", "--data", "large")


def test_of_several_data_blocks_one_is_named(tmp_path: Path) -> None:
    job = trained_on_blocks(tmp_path)
    assert "--data" in job.refused("large.npz", "x.npz", status=2)
    job.predict("large.npz", "large.csv", "--data", "large")
    lines = (tmp_path / "large.csv").read_text(encoding="utf-8").splitlines()
    assert (lines[0], len(lines)) == ("sample,risk.0,risk.1,size", 61)
    job.predict("large.npz", "size.npz", "--task", "size")
    np.testing.assert_allclose(
        job.arrays("size.npz")["size"][:, 0], [float(line.split(",")[3]) for line in lines[1:]], rtol=1e-4, atol=1e-6
    )
    job.predict("small.npz", "cost.npz", "--data", "small")
    assert set(job.arrays("cost.npz")) == {"cost"}
    assert "`cost`" in job.refused("large.npz", "x.npz", "--data", "large", "--task", "cost", status=2)
    assert "MTL107" in job.refused("large.npz", "x.npz", "--data", "larg")
    assert "MTL602" in job.refused("large.npz", "x.npz", "--data", "large", "--array", "size")
