"""A task whose head reads an earlier layer has copies of the later ones that learn nothing: they take no part in merging."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtsldsl import load
from tests.runtime.in_process import of, trained

TEXT = """\
mtl 1

data arrays {
  path  = "rows.npz"
  input = row(6)
  batch = 8
}

task a {
  target = values(2)
  head   = linear(2)
  loss   = mse
}

task b {
  target = values(1)
  head   = linear(1)
  loss   = mse
}

task early {
  target = values(1)
  field  = b
  head   = one | linear(1)
  loss   = mse
}

backbone {
  one = linear(8) | tanh
  two = linear(8) | tanh
}

train {
  epochs    = 2
  optimizer = sgd(lr=0.1)
}

structure mtsl {
  phases    = [1, 2]
  threshold = 0
  align     = ALIGN
}
"""


@pytest.mark.parametrize("align", ["0", "0.1"])
def test_a_copy_that_its_task_does_not_read_is_neither_compared_nor_merged(
    align: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = trained(tmp_path, TEXT.replace("ALIGN", align))
    compared = {event["layer"]: event["tasks"] for event in of(found, "similarity")}
    assert compared == {"one": ["a", "b", "early"], "two": ["a", "b"]}
    spec = load(tmp_path / "runs/job/1/spec.mtl")
    assert set(spec.sharing["one"]) == {frozenset(["a", "b", "early"])}
    assert set(spec.sharing["two"]) == {frozenset(["a", "b"]), frozenset(["early"])}
