"""`mtsldsl data`: what a spec reads, and all that does not fit it, before anything trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from mtsldsl import loads
from mtsldsl.cli import main
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.run.sample_sheet import sample_sheet
from tests import prepared
from tests.cli.test_train_on_a_table import SPEC as FLOWERS
from tests.cli.test_train_on_a_table import write_flowers
from tests.given import needs_data
from tests.runtime.two_sources import LARGE, SMALL, written

SPEC = """\
mtl 1
data arrays {
  path  = "rooms.npz"
  input = image(3, 8, 8)
  batch = 8
}
task depth {
  target = values(1, valid=positive)
  head   = conv2d(1, 1)
}
task normal {
  target = unit_vectors(3)
  head   = conv2d(3, 1)
}
task wall {
  target = classes(3, ignore=255)
  head   = conv2d(3, 1)
}
task kind {
  target = classes(4)
  head   = flatten | linear(4)
}
task seen {
  target = binary(1)
  head   = flatten | linear(1)
}
backbone {
  enc = conv2d(4, 3) | relu
}
train {
  epochs    = 1
  optimizer = adam(lr=1e-2)
}
"""
COUNTS = {"train": 40, "validation": 10, "test": 20}


def rooms(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays by their names in the file: each split its own, labels missing here and there."""
    random = np.random.default_rng(seed)
    arrays = {}
    for split, count in COUNTS.items():
        depth = random.random((count, 1, 8, 8), dtype=np.float32) + 0.5
        depth[random.random(depth.shape) < 0.25] = 0
        wall = random.integers(0, 3, (count, 8, 8))
        wall[random.random(wall.shape) < 0.1] = 255
        seen = random.integers(0, 2, (count, 1)).astype(np.float32)
        seen[::5] = np.nan
        made = {
            "image": random.integers(0, 256, (count, 3, 8, 8), dtype=np.uint8),
            "depth": depth,
            "normal": random.normal(size=(count, 3, 8, 8)).astype(np.float32),
            "wall": wall,
            "kind": random.integers(0, 3, count),
            "seen": seen,
        }
        arrays |= {f"{split}/{name}": array for name, array in made.items()}
    return arrays


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rooms.mtl").write_text(SPEC, encoding="utf-8")
    np.savez(tmp_path / "rooms.npz", **rooms())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def looked(*words: str) -> Result:
    return CliRunner().invoke(main, ["data", *words])


def told(*words: str) -> dict[str, Any]:
    done = looked(*words, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_numbers_are_those_of_the_arrays(folder: Path) -> None:
    found, arrays = told("rooms.mtl"), rooms()
    assert found["problems"] == []
    for split, count in COUNTS.items():
        image, depth, wall, kind, seen = (
            arrays[f"{split}/{name}"] for name in ("image", "depth", "wall", "kind", "seen")
        )
        assert found["splits"][split]["samples"] == count
        range_of = found["inputs"]["arrays"]["range"][split]
        assert range_of["least"] == pytest.approx(image.min() / 255)
        assert range_of["largest"] == pytest.approx(image.max() / 255)
        assert range_of["mean"] == pytest.approx(image.mean() / 255, rel=1e-5)
        known = depth[depth > 0].astype(np.float64)
        labels = found["splits"][split]["labels"]
        assert (labels["depth"]["entries"], labels["depth"]["of"]) == (known.size, depth.size)
        assert found["targets"]["depth"]["range"][split] == pytest.approx(
            {"least": known.min(), "largest": known.max(), "mean": known.mean()}, rel=1e-6
        )
        assert found["targets"]["wall"]["counts"][split] == [int((wall == each).sum()) for each in range(3)]
        assert found["targets"]["kind"]["counts"][split] == [int((kind == each).sum()) for each in range(4)]
        assert found["targets"]["seen"]["counts"][split] == [int((seen == each).sum()) for each in (0, 1)]
    assert found["targets"]["normal"]["shape"] == [3, 8, 8]
    assert found["targets"]["normal"]["range"]["train"]["largest"] <= 1
    assert found["targets"]["kind"]["shape"] == []
    assert found["rows"] == {}


def test_a_process_says_the_same_twice_and_writes_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    first, second = (prepared.run("-m", "mtsldsl", "data", "rooms.mtl") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert "samples: 40 train, 10 validation, 20 test" in first.stdout
    assert "`seen`: binary(1), 1\n  train       20 % missing; no: " in first.stdout
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_rows_are_printed_with_the_names_of_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_flowers(Path("flowers.csv"))
    Path("flowers.mtl").write_text(FLOWERS, encoding="utf-8")
    found = told("flowers.mtl")
    assert found["targets"]["species"]["names"] == ["setosa", "versicolor", "virginica"]
    assert {split: sum(each) for split, each in found["targets"]["species"]["counts"].items()} == {
        split: each["samples"] for split, each in found["splits"].items()
    }
    rows = found["rows"]["table"]
    assert [len(rows[name]) for name in ("row", "species", "width")] == [5, 5, 5]
    assert len(rows["row"][0]) == 3
    text = looked("flowers.mtl").stdout
    table = text[text.index("first training rows:") :].splitlines()
    assert table[1].split() == ["row[0]", "row[1]", "row[2]", "species", "width"]
    for line, species in zip(table[2:7], rows["species"], strict=True):
        assert line.split()[3] == found["targets"]["species"]["names"][species]
    assert "setosa: " in text


def test_a_number_that_is_missing_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_flowers(Path("flowers.csv"))
    Path("flowers.mtl").write_text(FLOWERS, encoding="utf-8")
    widths = [told("flowers.mtl", "--set", f"data.seed={seed}")["rows"]["table"]["width"] for seed in range(3)]
    assert any(width == [None] for each in widths for width in each)  # a quarter of them has none


@needs_data
def test_each_source_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = told(path.name)
    assert set(found["inputs"]) == {"small", "large"}
    sizes = {name: sum(each["sources"][name] for each in found["splits"].values()) for name in found["inputs"]}
    assert sizes == {"small": SMALL, "large": LARGE}
    assert "input `image` of `small`: 1 x 16 x 16" in looked(path.name).stdout


def test_all_that_does_not_fit_is_said(folder: Path) -> None:
    arrays = rooms()
    arrays["train/wall"] = arrays["train/wall"] % 250 + 7
    arrays["test/normal"] = arrays["test/normal"][..., :7]
    arrays["train/depth"] = arrays["train/depth"] * 0
    del arrays["train/kind"]
    np.savez("rooms.npz", **arrays)
    done = looked("rooms.mtl")
    assert done.exit_code == 1
    assert done.stdout == ""
    expected = [("MTL804", 7), ("MTL602", 11), ("MTL602", 15), ("MTL603", 19)]
    for said in (
        "no training sample has a label of `depth` that counts",
        "a sample of `test/normal` of `rooms.npz` is 3 x 8 x 7",
        "the target of `wall`: row 0 (from 0) of `train/wall` of `rooms.npz` holds the label",
        "`rooms.npz` has no array `train/kind`",
    ):
        assert done.stderr.count(said) == 1, done.stderr
    assert done.stderr.count("error MTL") == len(expected)
    as_json = looked("rooms.mtl", "--json")
    assert as_json.exit_code == 1
    problems = json.loads(as_json.stdout)["problems"]
    assert sorted((each["code"], each["line"]) for each in problems) == sorted(expected)


def test_what_is_wrong_for_all_tasks_is_said_once(folder: Path) -> None:
    done = looked("rooms.mtl", "--set", "data.path=gone.npz")
    assert done.exit_code == 1
    assert done.stderr.count("error MTL") == done.stderr.count("error MTL601") == 1


def test_what_is_wrong_with_the_spec_comes_first(folder: Path) -> None:
    done = looked("rooms.mtl", "--set", "data.batch=no")
    assert done.exit_code == 1
    assert "error MTL" in done.stderr


def test_a_task_without_a_label_in_validation_is_a_warning(folder: Path) -> None:
    np.savez("rooms.npz", **{**rooms(), "validation/kind": np.full(10, np.nan)})
    found = told("rooms.mtl")
    (warning,) = (each for each in found["warnings"] if "`kind`" in each)
    assert warning in looked("rooms.mtl").stdout
    assert found["targets"]["kind"]["counts"]["validation"] == [0, 0, 0, 0]


def test_a_sheet_of_the_same_samples_is_the_same(folder: Path) -> None:
    head, _, rest = SPEC.partition("task normal")
    spec = loads(head + rest[rest.index("backbone") :], overrides={"data.batch": 2})
    np.savez("rooms.npz", **{name: array[:2] for name, array in rooms().items()})
    first, second = (sample_sheet(spec, load_data(spec, cache=False)) for _ in range(2))
    assert first == second


@pytest.mark.soak
def test_a_sheet_has_the_samples_and_is_the_same_each_time(folder: Path) -> None:
    sheets = []
    for name in ("first.png", "second.png"):
        done = looked("rooms.mtl", "--sheet", name)
        assert done.exit_code == 0, done.output
        sheets.append(Path(name).read_bytes())
    assert sheets[0] == sheets[1]
    with Image.open("first.png") as sheet:
        assert sheet.format == "PNG"
        assert len(sheet.convert("RGB").getcolors(sheet.width * sheet.height)) > 500
    np.savez("rooms.npz", **{**rooms(), "train/depth": rooms(1)["train/depth"]})
    looked("rooms.mtl", "--sheet", "other.png")
    assert Path("other.png").read_bytes() != sheets[0]


@needs_data
def test_a_sheet_of_several_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = looked(path.name, "--sheet", "sheet.png")
    assert done.exit_code == 0, done.output
    with Image.open("sheet.png") as sheet:
        assert min(sheet.size) > 200


def test_rows_have_no_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_flowers(Path("flowers.csv"))
    Path("flowers.mtl").write_text(FLOWERS, encoding="utf-8")
    done = looked("flowers.mtl", "--sheet", "sheet.png")
    assert done.exit_code == 2
    assert "no picture" in done.stderr
    assert not Path("sheet.png").exists()
