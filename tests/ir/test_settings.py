"""Every setting with its defaults, written down: a spec in which all of them are set means the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtsldsl import load, loads
from mtsldsl.datasets.registry import data_kind
from mtsldsl.ir.normal import digest
from mtsldsl.ir.settings import settings
from mtsldsl.language.schema import TRAIN

ROOT = Path(__file__).parents[2]
SPECS = [*sorted((ROOT / "specs").glob("*.mtl")), *sorted((ROOT / "tests/codegen/golden").glob("*/spec.mtl"))]


def of_a_list(path: Path, key: str) -> bool:
    """Whether a setting is that of a task that is described with others, which `--set` changes all at once."""
    return key.startswith("task.") and "\ntask [" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_spec_with_every_setting_written_out_means_the_same(path: Path) -> None:
    spec = load(path)
    found = settings(spec)
    given = {key: value for key, value in found.items() if not of_a_list(path, key)}
    assert len(given) > 10
    again = load(path, given)
    assert digest(again) == digest(spec)
    assert settings(again) == found


def test_nothing_is_left_out() -> None:
    spec = load(ROOT / "specs/scenes.mtl")
    names = list(settings(spec))
    for block, keys in (("train", TRAIN.keys), ("data", data_kind("scenes").block.keys)):
        wanted = {key.name for key in keys or ()} - {"sampling"}  # which one source has no use for
        assert {name.partition(".")[2] for name in names if name.startswith(f"{block}.")} == wanted
    assert {name.rpartition(".")[2] for name in names if name.startswith("task.depth.")} == {
        "target", "loss", "metrics", "weight", "stop", "field",
    }  # fmt: skip


def test_text_is_quoted_and_what_is_none_says_so() -> None:
    text = (ROOT / "tests/codegen/golden/blocks/spec.mtl").read_text(encoding="utf-8")
    found = settings(loads(text, overrides={"data.small.path": '"a \\\\ \\"b\\".npz"', "train.clip": "none"}))
    assert found["data.small.path"] == '"a \\\\ \\"b\\".npz"'
    assert found["train.clip"] == "none"


@pytest.mark.parametrize(
    ("keep", "said"),
    [("normal.within(11.25)", "normal.within(degrees=11.25)"), ("average(0.25)", "average(part=0.25)")],
)
def test_what_is_kept_is_said_as_it_is_written(keep: str, said: str) -> None:
    text = (ROOT / "specs/scenes.mtl").read_text(encoding="utf-8")
    spec = loads(text, overrides={"train.keep": keep})
    assert settings(spec)["train.keep"] == said
    assert digest(loads(text, overrides=settings(spec))) == digest(spec)


TABLE = """\
mtl 1

data table {
  path       = "houses.csv"
  inputs     = ["area", "the city", "say \\"x\\""]
  categories = ["the city"]
  split      = "part"
  input      = row(6)
}

task price {
  target = values(1, scale=standard)
  head   = linear(1)
  field  = "sale price"
}

backbone {
  stem = linear(8) | relu
}

train {
  epochs = 3
}
"""


def test_lists_of_text_and_names_of_columns_are_quoted_too() -> None:
    spec = loads(TABLE)
    found = settings(spec)
    assert found["data.inputs"] == '["area", "the city", "say \\"x\\""]'
    assert found["data.split"] == '"part"'
    assert found["data.group"] == "none"
    assert found["task.price.target"] == "values(1, scale=standard)"
    again = loads(TABLE, overrides=found)
    assert digest(again) == digest(spec)
    assert settings(again) == found
