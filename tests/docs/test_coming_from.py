"""What stands for the files of other tools trains: each example of that page for an epoch, on a little data which lies where
the example says that it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.docs.pages import DOCS, Example, completed, examples, frame_of
from tests.runtime.data.test_nyuv2 import array_files, write_folder
from tests.runtime.in_process import of, trained_file

EXAMPLES = examples(DOCS / "coming_from.md", "mtl")
SMALL = {"train.epochs": "1"}


def scenes(folder: Path) -> dict[str, str]:
    """`data/nyuv2`, in pictures of a smaller size, as `--set data.input` says."""
    write_folder(folder / "data" / "nyuv2", array_files())
    return {"data.input": "image(3, 12, 16)"}


def houses(folder: Path) -> dict[str, str]:
    """`houses.csv`, with three cities and a column of the parts."""
    lines = ["area,rooms,city,price,style,part"]
    for number in range(48):
        city, style = ("Graz", "Linz", "Wien")[number % 3], ("flat", "house", "villa")[number // 2 % 3]
        part = ("train", "train", "validation", "test")[number // 3 % 4]
        lines.append(f"{40 + 3 * number},{1 + number % 5},{city},{90000 + 3000 * number},{style},{part}")
    (folder / "houses.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {}


def clicks(folder: Path) -> dict[str, str]:
    """`clicks.npz`, with rows of 32 numbers."""
    chance = np.random.default_rng(0)
    row = chance.normal(size=(40, 32)).astype(np.float32)
    np.savez(folder / "clicks.npz", row=row, click=row[:, 0] > 0, buy=row[:, 1] > 0.5)
    return {}


WRITTEN = {"data nyuv2": scenes, "data table": houses, "data arrays": clicks}


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_trains_for_an_epoch(example: Example, tmp_path: Path) -> None:
    text = example.text if example.complete else completed(example.text, frame_of(example.page))
    (write,) = [write for block, write in WRITTEN.items() if block in text]
    (tmp_path / "job.mtl").write_text(text, encoding="utf-8")
    events = trained_file(tmp_path / "job.mtl", {**write(tmp_path), **SMALL})
    (epoch,), (validation,) = of(events, "epoch"), of(events, "validation")
    assert all(map(np.isfinite, epoch["losses"].values()))
    assert list(validation["losses"]) == [name for name in epoch["losses"] if f"task {name} " in text]


def test_the_page_has_an_example_for_each_tool() -> None:
    page = (DOCS / "coming_from.md").read_text(encoding="utf-8")
    assert len(EXAMPLES) == page.count("\n## ") == 4
