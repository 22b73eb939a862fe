"""The loop of a training script is the same for all methods, whatever else the spec says: one line makes the learner."""

from __future__ import annotations

import ast

import pytest

from mtsldsl.codegen import compile_spec
from mtsldsl.editing import loads
from mtsldsl.language.schema import TRAIN
from mtsldsl.methods.registry import METHODS
from tests.methods.each_learner import text

SAID = {
    "with a running mean": "ema = 0.5",
    "with a mean of the last steps": "keep = average(0.5)",
    "with a rate for each step": "scheduler = one_cycle",
}
"""What stands in `train` beside all the rest, of keys that cannot stand together."""
TAKEN = {"epochs", "optimizer", "scheduler", "balance", "keep", "ema", "init", "teachers", "teach"}
"""Keys that are said elsewhere, or say what is done beside the loop."""
REST = {
    "accumulate": "2",
    "clip": "1.0",
    "warmup": "3",
    "stop": "patience(2)",
    "precision": "bf16",
    "seed": "7",
    "sampling": "equal",
}

TWIN = "mtsl with a twin"


def main_of(method: str, said: str) -> list[str]:
    """The lines of `main`, in the same layout whatever they hold."""
    block = text("mtsl" if method == TWIN else method)
    if method == TWIN:
        block = block.replace("threshold = 0\n  align = 0.1", "threshold = auto")
    changed = block.replace("  keep       = last\n  ema        = 0.5\n", f"  {said}\n")
    changed = changed.replace("  accumulate = 2\n", "".join(f"  {key} = {value}\n" for key, value in REST.items()))
    (main,) = (
        node
        for node in ast.parse(compile_spec(loads(changed))["train.py"]).body
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    return ast.unparse(main).split("\n")


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_methods_differ_in_the_line_that_makes_the_learner(said: str) -> None:
    first, *others = (main_of(method, said) for method in (*METHODS, TWIN))
    for other in others:
        differing = [pair for pair in zip(first, other, strict=True) if pair[0] != pair[1]]
        assert all(line.startswith("    learner = ") for pair in differing for line in pair)
    assert "training.clip(CLIP)" in "".join(first)


def test_every_key_of_training_is_said() -> None:
    assert {key.name for key in TRAIN.keys or ()} == TAKEN | REST.keys()
