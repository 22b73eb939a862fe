"""How many tasks MTSL groups by the exact search, and what a task alone scores, is said in the spec and reaches the grouping."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import torch

from mtsldsl.codegen import compile_spec
from mtsldsl.editing import load
from mtsldsl.ir.normal import digest
from mtsldsl.methods.mtsl.learner import Mtsl
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.structure.phase import structural_phase
from mtsldsl.sharing import decide_grouping
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


def test_what_a_task_alone_scores_is_said_in_the_code_and_changes_no_hash_where_it_is_as_before() -> None:
    spec, paper, other = (
        load(SPEC, {**given}) for given in ({}, {"structure.alone": "paper"}, {"structure.alone": "threshold"})
    )
    assert digest(paper) == digest(spec) != digest(other)
    codes = [compile_spec(each)["train.py"] for each in (spec, paper, other)]
    assert ["alone=" in code for code in codes] == [False, False, True]
    assert 'alone="threshold"' in codes[2]
    assert other.structure is not None
    assert other.structure.settings.score_alone(0.9) == 0.9 == other.structure.settings.threshold


def test_the_value_of_a_phase_counts_tasks_alone_as_the_spec_says() -> None:
    small = {"data.input": "image(3, 16, 16)", "data.images": 32, "data.batch": 4, "structure.transfer": "average"}
    high = {"structure.threshold": 0.999, "structure.alone": "threshold"}
    spec = load(SPEC, {**small, **high})
    assert spec.structure is not None
    training, record = started(spec, lambda named: torch.optim.Adam(named, lr=1e-3)), Record()
    structural_phase(training, Mtsl(spec.structure.settings), load_data(spec), record)
    (said,) = [fields for kind, fields in record.said if kind == "similarity"]
    assert said["grouping"] == attrs.asdict(decide_grouping(said["similarity"], 0.999, alone=0.999))
