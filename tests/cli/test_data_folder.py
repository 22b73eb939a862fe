"""`mtsldsl data` and the first steps of a run on a folder of pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mtsldsl.cli import main
from tests import prepared
from tests.runtime.data.test_folder import colours, drawn
from tests.runtime.in_process import of, trained_file

SPEC = """\
mtl 1

data folder {
  path     = "pets"
  input    = image(3, 16, 16)
  images   = "photos/{kind}/*.png"
  resize   = cover
  crop     = center
  on_error = skip
  batch    = 4
}

task kind {
  target = classes(2)
  head   = adaptive_avg_pool2d(1) | flatten | linear(2)
}

task outline {
  target = binary(1)
  field  = "masks/{kind}/*.png"
  head   = conv2d(1, 1) | resize_as(image)
}

backbone {
  stem = conv2d(8, 3, stride=2) | batch_norm | relu
}

train {
  epochs = 1
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of two kinds with their masks, of which one picture and one mask are broken."""
    for number in range(24):
        kind, size = ("cat", "dog")[number % 2], (20 + number, 30)
        drawn(tmp_path / "pets" / "photos" / kind / f"{number:02}.png", colours(number, size))
        drawn(
            tmp_path / "pets" / "masks" / kind / f"{number:02}.png",
            (colours(number, size)[..., 0] > 99) * np.uint8(255),
        )
    (tmp_path / "pets" / "photos" / "cat" / "02.png").write_bytes(b"no picture")
    (tmp_path / "pets" / "masks" / "dog" / "05.png").write_bytes(b"no picture")
    (tmp_path / "pets.mtl").write_text(SPEC, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_data_says_the_classes_and_what_is_left_out_and_draws_a_sheet(folder: Path) -> None:
    told = CliRunner().invoke(main, ["data", "pets.mtl", "--json", "--no-cache", "--sheet", "sheet.png"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["targets"]["kind"]["names"] == ["cat", "dog"]
    assert sum(found["splits"][split]["samples"] for split in ("train", "validation", "test")) == 22
    (warning,) = [each for each in found["warnings"] if "left out" in each]
    assert "2 of 24 samples of `pets` are left out" in warning
    assert "`photos/cat/02.png`, `photos/dog/05.png`" in warning
    with Image.open(io.BytesIO(Path("sheet.png").read_bytes())) as sheet:
        assert sheet.width > 100


def test_data_names_every_broken_file_where_none_is_to_be_left_out(folder: Path) -> None:
    told = CliRunner().invoke(main, ["data", "pets.mtl", "--json", "--no-cache", "--set", "data.on_error=raise"])
    assert told.exit_code == 1
    causes = [each["cause"] for each in json.loads(told.stdout)["problems"]]
    assert any("photos/cat/02.png` is no whole picture" in cause for cause in causes)


def test_a_run_tells_of_what_is_left_out(folder: Path) -> None:
    (warning,) = [
        each["text"] for each in of(trained_file(folder / "pets.mtl"), "warning") if "left out" in each["text"]
    ]
    assert warning.startswith("2 of 24 samples of `pets` are left out, as `on_error = skip` says:")
    assert "`photos/cat/02.png`, `photos/dog/05.png`" in warning


@pytest.mark.soak
def test_a_run_says_what_is_left_out(folder: Path) -> None:
    done = prepared.run("-m", "mtsldsl", "train", "pets.mtl", "--device", "cpu", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (warning,) = [each["text"] for each in events if each["event"] == "warning" and "left out" in each["text"]]
    assert warning.startswith("2 of 24 samples of `pets` are left out, as `on_error = skip` says:")
    (start,) = [each for each in events if each["event"] == "start"]
    assert start["read"]["fitted"] == {"classes": {"kind": ["cat", "dog"]}}
    assert start["read"]["settings"]["resize"] == "cover"
    done = prepared.run(
        "-m", "mtsldsl", "predict", "runs/pets/1", "--input", "pets/photos/dog", "-o", "found.csv", "--task", "kind",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [line.split(",")[1] for line in (folder / "found.csv").read_text().splitlines()[1:]]
    assert len(answers) == 12
    assert set(answers) <= {"cat", "dog"}
    done = prepared.run("-m", "mtsldsl", "train", "pets.mtl", "--device", "cpu", "--dry-run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "dry run: 4 steps and one batch of validation made" in done.stdout
