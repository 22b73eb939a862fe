"""A target that does not fit, in data of one's own of any kind: the report names sample and task, at the task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mtsldsl import loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data import load_data

SPEC = """\
mtl 1
data {kind} {{
  {options}
  input = {shape}
  batch = 2
}}
task other {{
  target = values(1)
  field  = "price"
  head   = {head}linear(1)
}}
task wrong {{
  target = {target}
  field  = "{field}"
  head   = {head}linear({channels})
}}
backbone {{ {body} }}
train {{ epochs = 1 }}
"""
COUNT = 12
WRONG: dict[str, tuple[Any, str]] = {
    "classes(2)": (7, "holds the label 7, but the task has the classes 0 to 1; 1 more row is alike"),
    "binary(1)": (7, "holds 7, where a binary target has 0 and 1; 1 more row is alike"),
    "values(1)": (1e300, "holds 1e+300, too large for float32; 1 more row is alike"),
}


def cells(target: str, *rows: int) -> NDArray[Any]:
    """Labels of which those in some rows are none."""
    found = np.arange(COUNT, dtype=np.float64) % 2
    found[list(rows)] = WRONG[target][0]
    return found


def npz(folder: Path, target: str) -> str:
    image = np.zeros((COUNT, 1, 4, 4), np.uint8)
    np.savez(folder / "a.npz", image=image, price=np.zeros(COUNT), it=cells(target, 5, 9))
    return f"row 5 (from 0) of `it` of `{folder / 'a.npz'}` {WRONG[target][1]}"


def npy(folder: Path, target: str) -> str:
    (folder / "a.npz").mkdir()
    arrays = {"image": np.zeros((COUNT, 1, 4, 4), np.uint8), "price": np.zeros(COUNT), "it": cells(target, 5, 9)}
    for name, array in arrays.items():
        np.save(folder / "a.npz" / f"{name}.npy", array)
    return f"row 5 (from 0) of `it` of `{folder / 'a.npz'}` {WRONG[target][1]}"


def apart(folder: Path, target: str) -> str:
    image = np.zeros((COUNT, 1, 4, 4), np.uint8)
    fields = {"price": np.zeros(COUNT), "it": cells(target, 5, 9)}
    arrays = {f"{name}/image": image for name in fields} | {f"{name}/target": each for name, each in fields.items()}
    np.savez(folder / "a.npz", **arrays)
    return f"row 5 (from 0) of `it/target` of `{folder / 'a.npz'}` {WRONG[target][1]}"


def table(folder: Path, target: str) -> str:
    it = ["1", "0"] * (COUNT // 2)
    it[5] = it[9] = "x" if target != "values(1)" else "1e300"
    if target == "classes(2)":
        it[7] = "y"
    rows = [f"{number},0,{cell}" for number, cell in enumerate(it)]
    (folder / "a.csv").write_text("\n".join(["image,price,it", *rows, ""]), encoding="utf-8")
    if target == "classes(2)":
        return "holds 4 different classes"
    return f"line 7 of `{folder / 'a.csv'}` has `{it[5]}` in the column `it`, "


def files(folder: Path, target: str) -> str:
    for number, label in enumerate(cells(target, 5)):
        for name in ("image", "it"):
            (folder / name).mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(folder / "image" / f"{number:02}.png")
        np.save(folder / "it" / f"{number:02}.npy", label)
    rows = [f"{number:02}.png,0" for number in range(COUNT)]
    (folder / "a.csv").write_text("\n".join(["file,price", *rows, ""]), encoding="utf-8")
    return f"`{folder / 'it' / '05.npy'}` {WRONG[target][1].partition(';')[0]}"


PICTURE = {"shape": "image(1, 4, 4)", "body": "stem = conv2d(2, 3)", "head": "flatten | "}
KINDS: dict[Callable[[Path, str], str], dict[str, str]] = {
    npz: {"kind": "arrays", "options": 'path = "{}/a.npz"', "field": "it", **PICTURE},
    npy: {"kind": "arrays", "options": 'path = "{}/a.npz"', "field": "it", **PICTURE},
    apart: {"kind": "arrays", "options": 'path = "{}/a.npz"\n  apart = true', "field": "it", **PICTURE},
    table: {
        "kind": "table", "options": 'path = "{}/a.csv"\n  inputs = ["image"]', "field": "it",
        "shape": "row(1)", "body": "stem = linear(2)", "head": "",
    },
    files: {"kind": "folder", "options": 'path = "{}"\n  images = "image/*.png"\n  table = "a.csv"', "field": "it/*.npy", **PICTURE},
}  # fmt: skip


@pytest.mark.parametrize("target", WRONG)
@pytest.mark.parametrize("given", KINDS, ids=lambda given: given.__name__)
def test_a_target_that_does_not_fit_is_said_with_sample_task_and_line(
    given: Callable[[Path, str], str], target: str, tmp_path: Path
) -> None:
    cause = given(tmp_path, target)
    words = KINDS[given] | {"options": KINDS[given]["options"].format(tmp_path)}
    channels = 2 if target == "classes(2)" else 1
    text = SPEC.format(target=target, channels=channels, **words)
    with pytest.raises(MtlError) as caught:
        load_data(loads(text), cache=False)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL602"
    assert cause in found.cause
    assert "`wrong`" in found.cause
    assert found.span is not None
    assert found.span.line == text.splitlines().index("task wrong {") + 1


@pytest.mark.parametrize("given", KINDS, ids=lambda given: given.__name__)
def test_so_is_one_that_is_left_out(given: Callable[[Path, str], str], tmp_path: Path) -> None:
    cause = given(tmp_path, "binary(1)")
    words = KINDS[given] | {"options": KINDS[given]["options"].format(tmp_path) + "\n  on_error = skip"}
    splits = load_data(loads(SPEC.format(target="binary(1)", channels=1, **words)), cache=False)
    assert any(f"of the first: the target of `wrong`: {cause}" in remark for remark in splits.remarks)
