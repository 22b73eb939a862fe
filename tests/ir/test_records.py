"""Records refuse what the language cannot say: a spec that is made in Python is one that could have been written."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import attrs
import pytest

from mtsldsl.editing import loads
from mtsldsl.ir import Decision, Structure, Target
from mtsldsl.language import Named
from tests.ir.specs import text

SPEC = loads(text(""))
TASK = SPEC.tasks[0]
WRONG: dict[str, Callable[[], Any]] = {
    "precision": lambda: attrs.evolve(SPEC.train, precision="float32"),
    "balance": lambda: attrs.evolve(SPEC.train, balance=Named("fixed")),
    "argument of a balance": lambda: attrs.evolve(SPEC.train, balance=Named("equal", {"c": 1.0})),
    "optimizer": lambda: attrs.evolve(SPEC.train, optimizer=Named("lbfgs")),
    "argument of an optimizer": lambda: attrs.evolve(SPEC.train, optimizer=Named("sgd", {"beta": 1.0})),
    "scheduler": lambda: attrs.evolve(SPEC.train, scheduler=Named("plateau")),
    "epochs": lambda: attrs.evolve(SPEC.train, epochs=0),
    "seed": lambda: attrs.evolve(SPEC.train, seed=-1),
    "batch": lambda: attrs.evolve(SPEC.data, batch=0),
    "shape": lambda: attrs.evolve(SPEC.data, shape=(3, 0, 8)),
    "shape of nothing": lambda: attrs.evolve(SPEC.data, shape=()),
    "shape of four": lambda: attrs.evolve(SPEC.data, shape=(1, 1, 1, 1)),
    "data set": lambda: attrs.evolve(SPEC.data, kind="imagenet"),
    "weight": lambda: attrs.evolve(TASK, weight=-1.0),
    "weight without end": lambda: attrs.evolve(TASK, weight=inf),
    "target": lambda: Target("boxes", 4),
    "channels": lambda: Target("values", 0),
    "valid": lambda: Target("values", 1, valid="negative"),
    "method": lambda: Structure("transference", {}, None),
    "epoch of a decision": lambda: Decision("merge", -1, {}),
}


@pytest.mark.parametrize("made", WRONG.values(), ids=WRONG)
def test_a_record_refuses_what_no_text_can_say(made: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        made()
