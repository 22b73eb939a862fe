"""The recipe of docs/data.md for a Hugging Face data set, on one that was saved to disk."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mtsldsl.editing import load
from mtsldsl.runtime.data import batches, describe, load_data

datasets = pytest.importorskip("datasets", reason="`datasets` is not installed: with what it brings it has 240 MB")

SPEC = """\
mtl 1
data python {{
  input     = row(4)
  factory   = "saved_data:saved"
  arguments = ["{folder}"]
  batch     = 8
  {more}
}}
task kind  {{ target = classes(3)
             head = linear(3) }}
task price {{ target = values(1)
             head = linear(1) }}
backbone {{ hidden = linear(8) | relu }}
train {{ epochs = 1 }}
"""


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("parted", [False, True])
def test_a_saved_data_set_is_read_by_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parted: bool, workers: int
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    recipe = re.search(r'Path\("saved_data.py"\).write_text\(\n    """\\\n(.*?)"""', page, re.S)
    assert recipe is not None
    (tmp_path / "saved_data.py").write_text(recipe[1], encoding="utf-8")
    rows = np.random.default_rng(0).random((60, 4)).astype(np.float32)
    prices = [None if number % 4 == 0 else float(number) for number in range(60)]
    whole = datasets.Dataset.from_dict({"row": rows.tolist(), "kind": [n % 3 for n in range(60)], "price": prices})
    (whole.train_test_split(12, shuffle=False) if parted else whole).save_to_disk(tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    more = "" if parted else 'stratify = "kind"'
    Path("job.mtl").write_text(SPEC.format(folder="saved", more=more), encoding="utf-8")
    try:
        job = load("job.mtl")
        splits = load_data(job, workers=workers)
        found = torch.cat([batch["row"] for _, samples in splits.named() for batch in batches(samples, 16)])
        labels = describe(job, splits)
    finally:
        sys.modules.pop("saved_data", None)
    if not parted:
        assert splits.test.fields["kind"].flatten().bincount().tolist() == [4, 4, 4]
    assert sorted(found.tolist()) == sorted(rows.tolist())
    assert sum(each["labels"]["price"]["entries"] for each in labels.values()) == 45
    assert sum(each["labels"]["kind"]["entries"] for each in labels.values()) == 60
