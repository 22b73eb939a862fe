"""Runs under the corruptions of the library: `make test-libraries` runs this, as it is large."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data import load_data, picture_inputs
from mtsldsl.runtime.data.corruption import Corruption, corrupted
from mtsldsl.runtime.data.parallel_reading import Processes
from mtsldsl.runtime.data.picture_inputs import Pictures, PictureSets
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.run.best_run import BestRun
from mtsldsl.runtime.studies.corruptions.corrupted_runs import robustness
from mtsldsl.runtime.studies.corruptions.robustness import Robustness
from mtsldsl.runtime.studies.corruptions.wanted_corruptions import CORRUPTIONS, SEVERITIES, Wanted, wanted_corruptions
from tests import prepared
from tests.docs.pages import DOCS, examples
from tests.docs.test_language import transcript

library = pytest.importorskip("imagecorruptions", reason="imagecorruptions is not installed: it brings 430 MB")
pytestmark = pytest.mark.soak

EVERY = wanted_corruptions("all")
CPU = torch.device("cpu")


def pictures(count: int, *shape: int) -> np.ndarray:
    """Smooth colours with some noise on them, so that every corruption has something to change."""
    channels, height, width = shape
    rows, columns = np.mgrid[:height, :width]
    phase = np.random.default_rng(1).random((count, channels, 1, 1)) * 6
    smooth = 120 + 60 * np.sin(rows / 5 + phase) + 40 * np.cos(columns / 3 + phase)
    return (smooth + np.random.default_rng(2).integers(0, 30, smooth.shape)).astype(np.uint8)


def by_hand(picture: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """What the library makes of an `(h, w, 3)` picture with all random numbers seeded."""
    np.random.seed(seed & 0xFFFF_FFFF)
    own = {"seed": seed & 0xFFFF_FFFF} if name in ("impulse_noise", "glass_blur") else {}
    found: np.ndarray = library.corrupt(np.ascontiguousarray(picture), severity, name, **own)
    return found


def test_the_names_are_those_of_the_library() -> None:
    for kind, names in CORRUPTIONS.items():
        assert list(names) == library.get_corruption_names(kind)
    assert list(EVERY) == library.get_corruption_names("common")


@pytest.mark.parametrize("name", EVERY)
def test_a_corruption_is_what_the_library_makes_of_the_picture(name: str) -> None:
    given = pictures(2, 3, 40, 33)
    for severity in SEVERITIES:
        corruption = Corruption(name, severity, 7)
        found = corrupted(given, corruption, [4, 9])
        for place, number in enumerate((4, 9)):
            expected = by_hand(given[place].transpose(1, 2, 0), name, severity, corruption.seed_for(number))
            assert (found[place] == expected.transpose(2, 0, 1)).all()
        assert (found != given).any()


@pytest.mark.parametrize("name", EVERY)
def test_small_pictures_are_mirrored_at_their_borders_and_cut_back(name: str) -> None:
    given = pictures(1, 3, 24, 35)
    corruption = Corruption(name, 3, 0)
    above, below = given[0][:, 3::-1], given[0][:, :-5:-1]
    mirrored = np.concatenate([above, given[0], below], axis=1).transpose(1, 2, 0)
    assert mirrored.shape == (32, 35, 3)
    expected = by_hand(mirrored, name, 3, corruption.seed_for(0))[4:28].transpose(2, 0, 1)
    assert (corrupted(given, corruption, [0])[0] == expected).all()


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 8, 8), (1, 28, 28), (3, 31, 90)])
@pytest.mark.parametrize("name", EVERY)
def test_pictures_of_every_size_and_gray_ones_come_back_in_their_shape(name: str, shape: tuple[int, ...]) -> None:
    given = pictures(2, *shape)
    found = corrupted(given, Corruption(name, 5, 0), [0, 1])
    assert (found.shape, found.dtype) == (given.shape, np.uint8)


@pytest.mark.parametrize("name", EVERY)
def test_a_gray_picture_is_the_green_of_three_equal_channels(name: str) -> None:
    given = pictures(1, 1, 32, 40)
    corruption = Corruption(name, 4, 2)
    expected = by_hand(np.repeat(given[0].transpose(1, 2, 0), 3, axis=2), name, 4, corruption.seed_for(5))
    assert (corrupted(given, corruption, [5])[0, 0] == expected[..., 1]).all()


def test_noise_of_a_gray_picture_is_as_strong_as_that_of_a_channel() -> None:
    gray = np.full((20, 1, 32, 32), 128, np.uint8)
    colour = np.full((20, 3, 32, 32), 128, np.uint8)
    corruption = Corruption("gaussian_noise", 2, 0)
    noise, other = (float(corrupted(each, corruption, range(20)).std()) for each in (gray, colour))
    assert noise == pytest.approx(0.12 * 255, rel=0.03)
    assert noise == pytest.approx(other, rel=0.03)


@pytest.mark.parametrize("name", EVERY)
def test_a_sample_is_corrupted_alike_in_whatever_order_and_company(name: str) -> None:
    given = pictures(5, 3, 32, 32)
    corruption = Corruption(name, 3, 1)
    whole = corrupted(given, corruption, range(5))
    for number in (3, 0, 4):
        assert (corrupted(given[number : number + 1], corruption, [number])[0] == whole[number]).all()
    assert (corrupted(given[::-1], corruption, range(4, -1, -1))[::-1] == whole).all()


DRAWN = [name for name in EVERY if name not in ("defocus_blur", "zoom_blur", *CORRUPTIONS["digital"], "brightness")]


@pytest.mark.parametrize("name", [*DRAWN, "elastic_transform"])
def test_seed_severity_and_number_each_draw_anew(name: str) -> None:
    given = np.repeat(pictures(1, 3, 32, 32), 2, axis=0)
    first = corrupted(given, Corruption(name, 3, 0), [0, 1])
    assert (first[0] != first[1]).any()
    assert (corrupted(given, Corruption(name, 3, 1), [0, 1]) != first).any()
    assert Corruption(name, 3, 0).seed_for(0) != Corruption(name, 2, 0).seed_for(0)


def test_random_numbers_and_threads_of_the_process_are_put_back() -> None:
    import cv2

    given, threads = pictures(1, 3, 32, 32), cv2.getNumThreads()
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    for name in EVERY:
        corrupted(given, Corruption(name, 1, 0), [0])
    assert random.getstate() == before[0]
    assert all(np.array_equal(one, other) for one, other in zip(np.random.get_state(), before[1], strict=True))
    assert torch.equal(torch.get_rng_state(), before[2])
    assert cv2.getNumThreads() == threads


def test_processes_make_the_same_pictures() -> None:
    given = pictures(70, 3, 32, 32)
    sets = PictureSets({name: Pictures(part, False, name) for name, part in (("a", given[:40]), ("b", given[40:]))})
    beside, alone = Processes(2, "x", None), Processes(0, "x", None)
    for name in ("shot_noise", "glass_blur", "frost", "defocus_blur"):
        corruption = Corruption(name, 2, 0)
        found, expected = sets.corrupted(corruption, beside), sets.corrupted(corruption, alone)
        assert list(found) == list(expected) == ["a", "b"]
        assert all(torch.equal(found[each], expected[each]) for each in found)
        assert (expected["b"].numpy() == corrupted(given[40:], corruption, range(30))).all()


# Runs -----------------------------------------------------------------------------------------------------------------

SPEC = """\
mtl 1
data arrays {{
  path  = "{file}.npz"
  input = image({channels}, 24, 32)
  batch = 8
}}
task bright {{
  target  = binary(1)
  head    = conv2d(1, 1)
  metrics = [f1, f1_best]
}}
task level {{
  target  = values(1, scale=standard)
  head    = adaptive_avg_pool2d(1) | flatten | linear(1)
  metrics = [rmse]
}}
task again {{
  target  = reconstruct
  head    = conv2d({channels}, 1)
  metrics = [mse]
}}
backbone {{
  stem = conv2d({width}, 3) | batch_norm | relu
}}
train {{
  epochs    = 1
  optimizer = adam(lr=1e-2)
}}
sharing {{
  stem = all
}}
"""


@attrs.frozen
class Job:
    folder: Path

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = prepared.run("-m", "mtsldsl", *arguments, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done

    def opened(self, name: str, of: str = "mean", **settings: str) -> BestRun:
        given = {key.replace("__", "."): value for key, value in settings.items()}
        return BestRun.open(self.folder / "runs" / name / "1", of, given, CPU, 1)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Runs of two networks on the same bytes, and of one on these as numbers; not to be changed."""
    made = Job(tmp_path_factory.mktemp("job"))
    image = pictures(60, 3, 24, 32)
    for file, images in (("bytes", image), ("floats", (image / 255).astype(np.float32))):
        level = image.mean((1, 2, 3))[:, None]
        np.savez(made.folder / f"{file}.npz", image=images, bright=image[:, :1] > 120, level=level)
    for name, file, width in (("narrow", "bytes", 4), ("wide", "bytes", 8), ("floats", "floats", 4)):
        text = SPEC.format(file=file, channels=3, width=width)
        (made.folder / f"{name}.mtl").write_text(text, encoding="utf-8")
        made.command("train", f"{name}.mtl", "--device", "cpu", "--quiet")
    return made


@pytest.fixture(autouse=True)
def _inside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "job" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("job").folder)


FEW = Wanted("test", ("shot_noise", "fog", "pixelate"), (2, 5), 3)


@pytest.fixture(scope="module")
def both(job: Job) -> Robustness:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(job.folder)
        return robustness([job.opened("narrow"), job.opened("wide")], FEW)


def numbers(found: Robustness, place: int = 0) -> dict[tuple[str, int], Any]:
    return {key: (each.losses, each.metrics) for key, each in found.runs[place].corrupted.items()}


def test_clean_is_what_eval_says_and_json_has_every_number(job: Job, both: Robustness) -> None:
    words = ("eval", "runs/narrow/1", "--device", "cpu", "--threads", "1", "--json")
    alone = json.loads(job.command(*words).stdout)
    done = job.command(
        *words, "runs/wide/1", "--corruptions", ",".join(FEW.corruptions), "--severity", "2,5", "--seed=3"
    )
    found = json.loads(done.stdout)
    clean = found["runs"][0]["clean"]
    assert (clean["losses"], clean["metrics"]) == (alone["losses"], alone["metrics"])
    for place, given in enumerate(found["runs"]):
        listed = {
            (each["corruption"], each["severity"]): (each["losses"], each["metrics"]) for each in given["corrupted"]
        }
        assert listed == numbers(both, place)
    assert done.stderr.splitlines() == ["1 of 3: shot_noise", "2 of 3: fog", "3 of 3: pixelate"]


@pytest.mark.parametrize("changed", ["alone", "batch", "workers", "another order"])
def test_what_is_evaluated_beside_and_how_changes_nothing(job: Job, both: Robustness, changed: str) -> None:
    if changed == "another order":
        again = robustness([job.opened("wide"), job.opened("narrow")], FEW)
        assert numbers(again, 1) == numbers(both, 0)
    elif changed == "batch":  # another batch rounds otherwise in its sums
        again = robustness([job.opened("narrow", data__batch="5")], FEW)
        for key, (losses, metrics) in numbers(both).items():
            other = numbers(again)[key]
            assert other[0] == pytest.approx(losses, rel=1e-4)
            assert all(other[1][task] == pytest.approx(metrics[task], rel=1e-4) for task in metrics)
    else:
        again = robustness([job.opened("narrow")], FEW, workers=2 if changed == "workers" else 0)
        assert numbers(again) == numbers(both)


def test_a_run_is_evaluated_on_the_corrupted_pictures_with_labels_and_what_is_given_back_as_they_were(
    job: Job, both: Robustness
) -> None:
    run = job.opened("narrow")
    data = load_data(run.spec)
    test, thresholds = data.test, run.thresholds(data)
    image = test.fields["image"].numpy()
    noisy = torch.from_numpy(corrupted(image, Corruption("shot_noise", 5, 3), range(len(test))))
    expected = evaluate(run.model, run.spec, test.changed("image", lambda _: noisy), CPU, thresholds=thresholds)
    found = both.runs[0].corrupted["shot_noise", 5]
    assert found.thresholds == both.runs[0].clean.thresholds == thresholds  # those of clean validation pictures
    assert set(thresholds) == {"bright"}
    for task in ("bright", "level"):
        assert found.metrics[task] == expected.metrics[task]
        assert found.losses[task] == expected.losses[task]
    with torch.no_grad():
        given = run.model.eval()(noisy.float() / 255)["again"]
    error = float((given - torch.from_numpy(image).float() / 255).square().mean())
    assert found.metrics["again"]["mse"] == pytest.approx(error, rel=1e-5)
    assert both.runs[0].counted == ("bright", "level")
    assert any("give the clean picture back" in note and "again" in note for note in both.notes)


def test_bytes_and_the_same_numbers_from_0_to_1_are_corrupted_alike(job: Job) -> None:
    found = robustness([job.opened("narrow"), job.opened("narrow", data__path="floats.npz")], FEW)
    assert {key: each[1]["bright"] for key, each in numbers(found, 0).items()} == {
        key: each[1]["bright"] for key, each in numbers(found, 1).items()
    }
    assert any("holds no bytes" in note for note in found.notes)
    assert any("24 x 32" in note and "mirrored" in note for note in found.notes)
    assert not any("reads other pictures" in note for note in found.notes)


def test_a_set_is_corrupted_once_for_all_runs_that_read_it(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(given: np.ndarray, corruption: Corruption, numbers: range) -> np.ndarray:
        made.append(len(numbers))
        return corrupted(given, corruption, numbers)

    monkeypatch.setattr(picture_inputs, "corrupted", counted)
    found = robustness([job.opened("narrow"), job.opened("wide"), job.opened("floats")], FEW)
    assert sum(made) == found.runs[0].samples * len(FEW.corruptions) * len(FEW.severities)


def test_one_task_with_its_own_weights(job: Job) -> None:
    found = robustness([job.opened("narrow", of="level")], FEW)
    assert set(found.runs[0].clean.metrics) == {"level"}
    assert (found.as_json()["runs"][0]["of"], found.runs[0].whose) == ("level", ("weights of level's own best epoch",))
    assert {tuple(each[1]) for each in numbers(found).values()} == {("level",)}


def test_pictures_that_were_normalised_are_refused_with_what_to_do(job: Job) -> None:
    with np.load("bytes.npz") as given:
        np.savez("normal.npz", **{**given, "image": given["image"].astype(np.float32) / 60 - 2})
    with pytest.raises(MtlError, match=r"MTL815: `image` has numbers from -\d(.|\n)*`normalize`"):
        robustness([job.opened("narrow", data__path="normal.npz")], FEW)


def test_sources_of_their_own_with_gray_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the alphabets of Omniglot are."""
    monkeypatch.chdir(tmp_path)
    images = {"first": pictures(32, 1, 28, 28), "second": 255 - pictures(32, 1, 28, 28)}
    held = {}
    for task, image in images.items():
        for split, part in (("train", image[:16]), ("test", image[16:])):
            held |= {f"{split}/{task}/image": part, f"{split}/{task}/target": np.arange(16) % 2}
    np.savez("apart.npz", **held)
    Path("apart.mtl").write_text(
        'mtl 1\ndata arrays {\n  path = "apart.npz"\n  apart = true\n  input = image(1, 28, 28)\n  batch = 4\n}\n'
        "task [first, second] {\n  target = classes(2)\n  head = flatten | linear(2)\n}\n"
        "backbone {\n  stem = conv2d(2, 3) | relu\n}\ntrain {\n  epochs = 1\n}\n",
        encoding="utf-8",
    )
    Job(tmp_path).command("train", "apart.mtl", "--device", "cpu", "--quiet")
    run = BestRun.open(Path("runs/apart/1"), "mean", {}, CPU, 1)
    found = robustness([run], FEW)
    for task, image in images.items():
        noisy = torch.from_numpy(corrupted(image[16:], Corruption("fog", 5, 3), range(16)))
        with torch.no_grad():
            answers = run.model.eval()(noisy.float() / 255, (task,))[task].argmax(1)
        right = float((answers == torch.arange(16) % 2).float().mean())
        assert found.runs[0].corrupted["fog", 5].metrics[task]["accuracy"] == pytest.approx(right)
    assert any("is gray" in note for note in found.notes)


ROOM_TASKS = {"segment": "classes(5)", "depth": "values(1)", "normal": "unit_vectors(3)", "edge": "binary(1)"}
ROOMS = (
    "mtl 1\ndata scenes {\n  input = image(3, 32, 32)\n  images = 48\n}\n"
    + "".join(
        f"task {name} {{\n  target = {target}\n  head = conv2d({re.sub('[^0-9]', '', target)}, 1)\n}}\n"
        for name, target in ROOM_TASKS.items()
    )
    + "backbone {\n  stem = conv2d(4, 3) | relu\n}\ntrain {\n  epochs = 1\n}\n"
)


def test_rooms_keep_all_that_is_for_every_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of networks that do not look at the picture nothing changes under any corruption."""
    monkeypatch.chdir(tmp_path)
    Path("rooms.mtl").write_text(ROOMS, encoding="utf-8")
    Job(tmp_path).command("train", "rooms.mtl", "--device", "cpu", "--quiet")
    run = BestRun.open(Path("runs/rooms/1"), "mean", {}, CPU, 1)
    with torch.no_grad():
        for name, parameter in run.model.named_parameters():
            if name.endswith("weight") and parameter.dim() == 4:
                parameter.zero_()
    found = robustness([run], FEW).runs[0]
    assert {task: set(values) for task, values in found.clean.metrics.items()}.keys() == {*ROOM_TASKS}
    for each in found.corrupted.values():
        assert each.metrics == found.clean.metrics
        assert each.losses == found.clean.losses


def test_inputs_beside_pictures_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image, meta = pictures(40, 3, 32, 32), np.arange(120, dtype=np.float32).reshape(40, 3)
    np.savez("two.npz", image=image, meta=meta, size=meta[:, :1])
    Path("two.mtl").write_text(
        'mtl 1\ndata arrays {\n  path = "two.npz"\n  input = [image(3, 32, 32), meta(3)]\n  batch = 4\n}\n'
        "task size {\n  target = values(1)\n  head = linear(1)\n  metrics = [rmse]\n}\n"
        "backbone {\n  seen = adaptive_avg_pool2d(2) | flatten\n  both = seen | concat(meta) | linear(4)\n}\n"
        "train {\n  epochs = 1\n}\n",
        encoding="utf-8",
    )
    Job(tmp_path).command("train", "two.mtl", "--device", "cpu", "--quiet")
    run = BestRun.open(Path("runs/two/1"), "mean", {}, CPU, 1)
    found = robustness([run], FEW)
    test = load_data(run.spec).test
    noisy = torch.from_numpy(corrupted(test.fields["image"].numpy(), Corruption("fog", 2, 3), range(len(test))))
    with torch.no_grad():
        answers = run.model.eval()(noisy.float() / 255, test.fields["meta"].float())["size"]
    error = float((answers - test.fields["size"].float()).square().mean().sqrt())
    assert found.runs[0].corrupted["fog", 2].metrics["size"]["rmse"] == pytest.approx(error, rel=1e-5)
    assert "`meta`: no pictures, and left as they are" in found.notes


def test_ctrl_c_ends_it_and_its_processes(job: Job) -> None:
    command = [
        sys.executable,
        "-m",
        "mtsldsl",
        "eval",
        "runs/narrow/1",
        "--device",
        "cpu",
        "--corruptions",
        "--workers=2",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "1 of 15: gaussian_noise\n"
        process.send_signal(signal.SIGINT)
        out, said = process.communicate()
    assert (process.returncode, out) == (128 + signal.SIGINT, "")
    assert said.endswith("stopped\n")
    assert "Traceback" not in said


def without_numbers(text: str) -> list[str]:
    """The words of lines, as numbers are those of a machine, and widths those of numbers."""
    return [" ".join(re.sub(r"[+-]?\d[\d.e-]*(?= |$)", "#", line).split()) for line in text.splitlines()]


def test_the_example_of_the_page_prints_such_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = examples(DOCS / "robustness.md", "console")
    shown = ""
    for words, expected in transcript(example):
        done = prepared.run("-m", *words, COLUMNS="120")
        assert done.returncode == 0, done.stderr
        shown = expected
        assert without_numbers(done.stdout) == without_numbers(shown) or not shown
    assert "gaussian_noise" in shown
