"""Specs whose tasks have samples of their own: what the data set knows is filled in, and each task gets its samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtsldsl import Spec, loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.data.mixed import Mixed
from tests.runtime.data.test_arrays_apart import own, saved
from tests.runtime.data.test_mnist import made_up, write_npz
from tests.runtime.data.test_omniglot import TINY, write_file

REST = """
backbone {
  trunk = flatten | linear(4)
}

train {
  epochs = 1
}
"""


def read(blocks: str, tasks: dict[str, str], classes: str = "auto") -> Spec:
    """The spec with these blocks, and tasks that each say what stands here, if anything, of where they read."""
    written = [
        f"task {name} {{\n  {line}\n  target = classes({classes})\n  head = linear(outputs)\n}}\n"
        for name, line in tasks.items()
    ]
    return loads("\n".join(["mtl 1\n", blocks, *written, REST]))


def block(label: str, place: Path | str, *lines: str, key: str = "root") -> str:
    entries = (f'{key} = "{place}"', "batch = 2", *lines)
    return f"data {label} {{\n" + "".join(f"  {line}\n" for line in entries) + "}\n"


def sizes(samples: Mixed) -> dict[str, int]:
    return {name: len(each) for name, each in samples.parts.items()}


def test_the_classes_of_an_alphabet_are_filled_in_and_each_task_has_its_own(tmp_path: Path) -> None:
    root = write_file(tmp_path / "omniglot_28.npz")
    names = [name.replace("(", "").replace(")", "") for name in TINY]
    spec = read(block("omniglot", root, "input = image(1, 28, 28)"), dict.fromkeys(names, ""))
    assert [task.target.channels for task in spec.tasks] == [14, 14]
    train = load_data(spec).train
    assert sizes(train) == dict.fromkeys(names, 140)
    assert all(set(samples.fields) == {"image", name} for name, samples in train.parts.items())


def test_an_alphabet_that_there_is_not_has_no_number_of_classes() -> None:
    with pytest.raises(MtlError, match=r"MTL202.*`omniglot` does not say how many classes `Runes` has"):
        read(block("omniglot", "nowhere"), {"Runes": ""})


def test_digits_turned_digits_and_garments_are_sources_of_one_spec(tmp_path: Path) -> None:
    place = write_npz(tmp_path / "a.npz")
    blocks = (
        block("mnist upright", place)
        + block("mnist turned", place, "rotate = 180")
        + block("fashion_mnist garments", place, "validation = 0.5")
    )
    spec = read(
        blocks, {"one": "data = upright", "two": "data = upright", "three": "data = turned", "four": "data = garments"}
    )
    assert [task.target.channels for task in spec.tasks] == [10] * 4
    splits = load_data(spec)
    assert sizes(splits.train) == {"one": 36, "two": 36, "three": 36, "four": 20}
    upright = made_up()["x_test"]
    for name, samples in splits.test.parts.items():
        wanted = upright[:, ::-1, ::-1] if name == "three" else upright
        assert np.array_equal(samples.fields["image"][:, 0].numpy(), wanted)


def test_arrays_apart_are_sources_by_their_tasks(tmp_path: Path) -> None:
    path = saved(tmp_path, own("kind", 50), own("age", 20))
    data = block("arrays", path, "input = image(1, 6, 8)", "apart = true", key="path")
    spec = read(data, {"kind": "", "age": ""}, "4")
    assert sizes(load_data(spec).train) == {"kind": 36, "age": 14}
