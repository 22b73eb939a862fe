"""How many tasks MTSL groups by the exact search is said in the spec, and reaches the grouping."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtsldsl.editing import load
from mtsldsl.methods.mtsl.learner import Mtsl
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.structure.phase import structural_phase
from tests.runtime.started import started
from tests.runtime.test_phase import Record

SPEC = Path(__file__).parents[2] / "specs" / "scenes.mtl"


@pytest.mark.parametrize(("asked", "exact"), [({}, True), ({"structure.exact_tasks": 2}, False)])
def test_a_grouping_is_exact_up_to_the_number_that_the_spec_names(asked: dict[str, object], exact: bool) -> None:
    small = {"data.input": "image(3, 16, 16)", "data.images": 32, "data.batch": 4, "structure.transfer": "average"}
    spec = load(SPEC, {**small, **asked})
    assert spec.structure is not None
    assert len(spec.tasks) > 2
    learner = Mtsl(spec.structure.settings)
    training = started(spec, lambda named: torch.optim.Adam(named, lr=1e-3))
    record = Record()
    structural_phase(training, learner, load_data(spec), record)
    decisions = [fields["grouping"] for kind, fields in record.said if kind == "similarity"]
    assert decisions
    assert all(decision["exact"] is exact for decision in decisions)
