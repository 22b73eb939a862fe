"""Which samples of its files each split has, as `mtsldsl data --rows` writes them, is what training reads."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mtsldsl.cli import main
from mtsldsl.division import SPLITS
from mtsldsl.editing import loads
from mtsldsl.runtime.data import load_data

REST = """
task a {
  target = values(1)
  head   = FLATlinear(1)
}
backbone {
  stem = relu
}
train {
  epochs = 1
}
"""


def listed(folder: Path, data: str) -> list[list[str]]:
    """The lines of the file for a data block, of whose samples the target `a` is their own number."""
    flat = "flatten | " if "image(" in data else ""
    (folder / "s.mtl").write_text(f"mtl 1\n{data}{REST.replace('FLAT', flat)}", encoding="utf-8")
    done = CliRunner().invoke(main, ["data", str(folder / "s.mtl"), "--rows", str(folder / "rows.csv"), "--no-cache"])
    assert done.exit_code == 0, done.output
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def of_training(folder: Path) -> list[list[str]]:
    """The same by the numbers that training reads."""
    splits = load_data(loads((folder / "s.mtl").read_text(encoding="utf-8"), str(folder / "s.mtl")), cache=False)
    read = {split: samples.fields["a"].flatten().tolist() for split, samples in splits.named()}
    return [["sample", "split"], *([str(round(each)), split] for split in SPLITS for each in read[split])]


@pytest.mark.parametrize("more", ["", "seed = 3\n  validation = 0.3", "on_error = skip", 'group = "g"'])
def test_of_arrays_and_of_a_table(more: str, tmp_path: Path) -> None:
    numbers = np.arange(40.0)
    given = np.where(numbers == 17, np.nan, numbers) if "skip" in more else numbers
    np.savez(tmp_path / "x.npz", row=given[:, None], a=numbers, g=numbers // 4)
    block = f'  path = "{tmp_path}/x.EXT"\n  batch = 4\n  {more}\n'
    found = listed(tmp_path, f"data arrays {{\n{block}  input = row(1)\n}}\n".replace("EXT", "npz"))
    assert found == of_training(tmp_path)
    assert len(found) == (40 if "skip" in more else 41)
    cells: Iterable[str] = ["x" if np.isnan(each) else str(each) for each in given]
    lines = [f"{cell},{number},{number // 4}" for number, cell in enumerate(cells)]
    (tmp_path / "x.csv").write_text("\n".join(["row,a,g", *lines]), encoding="utf-8")
    of_table = f'data table {{\n{block}  input = row(1)\n  inputs = ["row"]\n}}\n'.replace("EXT", "csv")
    assert sorted(listed(tmp_path, of_table)) == sorted(found) or "group" in more
    assert listed(tmp_path, of_table) == of_training(tmp_path)


def test_of_arrays_that_are_parted_in_the_file_numbers_are_those_of_their_own(tmp_path: Path) -> None:
    arrays = {f"{split}/row": np.zeros((count, 1)) for split, count in (("train", 20), ("test", 5))}
    targets = {f"{split}/a": np.arange(len(arrays[f"{split}/row"])) * 1.0 for split in ("train", "test")}
    np.savez(tmp_path / "x.npz", **arrays, **targets)
    found = listed(tmp_path, f'data arrays {{\n  path = "{tmp_path}/x.npz"\n  batch = 4\n  input = row(1)\n}}\n')
    assert found == of_training(tmp_path)
    assert {split for _, split in found[1:]} == set(SPLITS)


def test_of_pictures_they_are_the_paths(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(20):
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(folder / f"{number}.png")
    labels = "\n".join(["file,a", *(f"{number}.png,{number}" for number in range(20))])
    (folder / "t.csv").write_text(labels, encoding="utf-8")
    data = 'input = image(3, 4, 4)\n  images = "*.png"\n  table = "t.csv"\n  file = "file"\n  batch = 4'
    found = listed(tmp_path, f'data folder {{\n  path = "{folder}"\n  {data}\n}}\n')
    head, *rest = of_training(tmp_path)
    assert found == [head, *([f"{sample}.png", split] for sample, split in rest)]


def test_what_has_no_rows_is_refused(tmp_path: Path) -> None:
    for words, said in (
        (["specs/library/mmoe.mtl", "--rows", "x.mtl"], "call it x.csv"),
        (
            ["specs/scenes.mtl", "--set", "data.images=16", "--set", "data.batch=4", "--no-cache", "--rows", "x.csv"],
            "leave --rows out",
        ),
    ):
        done = CliRunner().invoke(main, ["data", *words])
        assert done.exit_code == 2, done.output
        assert said in done.output
