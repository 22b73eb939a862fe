"""Every knob stands at the top of the training script, and is read below; of the others its comment says the value."""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any

import attrs
import pytest
import torch

from mtsldsl.codegen import compile_spec
from mtsldsl.ir import Spec
from mtsldsl.language import schema
from mtsldsl.language.constants import Constant, Named
from mtsldsl.language.holding import named
from tests.codegen.examples import NAMES, example

OPTIMIZERS: dict[str, dict[str, Constant]] = {
    "adam": {"lr": 0.25, "betas": (0.5, 0.75), "eps": 1e-3, "weight_decay": 0.125, "amsgrad": True},
    "adamw": {"lr": 0.25, "weight_decay": 0.125},
    "sgd": {"lr": 0.25, "momentum": 0.5, "dampening": 0.125, "weight_decay": 0.0625, "nesterov": False},
    "radam": {"lr": 0.25, "decoupled_weight_decay": True},
}
SCHEDULERS: dict[str, dict[str, Constant]] = {
    "none": {},
    "multistep": {"milestones": (3, 5), "gamma": 0.5},
    "step": {"step_size": 7, "gamma": 0.5},
    "cosine": {"T_max": 9, "eta_min": 0.0625},
    "exponential": {"gamma": 0.5},
    "step by step": {"step_size": 7, "gamma": 0.5, "by": "step"},
    "cosine by step": {"eta_min": 0.0625, "by": "step"},
    "one_cycle": {"pct_start": 0.5, "div_factor": 8.0, "final_div_factor": 2.0},
}


def trained(spec: Spec, **changes: object) -> Spec:
    return attrs.evolve(spec, train=attrs.evolve(spec.train, **changes))


def script(spec: Spec) -> ast.Module:
    return ast.parse(compile_spec(spec)["train.py"])


def knobs(module: ast.Module) -> dict[str, str]:
    """The constants at the top and what they are."""
    found = {}
    for node in module.body:
        if isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = ast.unparse(node.value)
        elif isinstance(node, ast.AnnAssign):
            found[ast.unparse(node.target)] = ast.unparse(node.value or node.target)
    return found


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_knob_is_read_below_and_no_number_stands_there(optimizer: str, scheduler: str) -> None:
    spec = trained(
        example("tokens"),
        optimizer=named(schema.OPTIMIZERS, optimizer, **OPTIMIZERS[optimizer]),
        scheduler=None
        if scheduler == "none"
        else named(schema.SCHEDULERS, scheduler.split()[0], **SCHEDULERS[scheduler]),
    )
    module = script(spec)
    names = [node for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    assert knobs(module).keys() <= {name.id for name in names}
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    assert {"make_optimizer", "make_scheduler", "main"} <= {function.name for function in functions}
    constants = [node.value for each in functions for node in ast.walk(each) if isinstance(node, ast.Constant)]
    assert [value for value in constants if type(value) in (int, float)] == []

    defined: dict[str, Any] = {"__name__": "script"}
    without_model = [node for node in module.body if not isinstance(node, ast.If)]
    exec(compile(ast.Module(without_model, []), "train.py", "exec"), defined)
    made = defined["make_optimizer"]([("weight", torch.nn.Parameter(torch.zeros(1)))])
    given = OPTIMIZERS[optimizer]
    assert {key: made.param_groups[0][key] for key in given} == given
    steps = [10] if scheduler in ("one_cycle", "cosine by step") else []
    schedule = vars(defined["make_scheduler"](made, *steps) or object)
    wanted = {
        key: Counter(value) if isinstance(value, tuple) else value
        for key, value in SCHEDULERS[scheduler].items()
        if key != "by"
    }
    if scheduler == "cosine by step":
        wanted["T_max"] = 10
    if scheduler == "one_cycle":
        first = made.param_groups[0]["lr"]
        rates = [made.param_groups[0][key] for key in ("initial_lr", "max_lr", "min_lr")]
        assert (first, rates) == (0.25 / 8, [0.25 / 8, 0.25, 0.25 / 16])
        wanted = {"total_steps": 10, "cycle_momentum": False}
    assert {key: schedule[key] for key in wanted} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_the_constants_are_what_the_spec_says(name: str) -> None:
    spec = example(name)
    found = knobs(script(spec))
    batch = {data.name: data.batch for data in spec.blocks} if spec.more_data else spec.data.batch
    said = {"EPOCHS": spec.train.epochs, "BATCH_SIZE": batch, "SEED": spec.train.seed}
    assert {constant: ast.literal_eval(found[constant]) for constant in said} == said
    assert ("STRUCTURE" in found) == (spec.structure is not None)


@pytest.mark.parametrize("name", NAMES)
def test_of_what_is_read_from_the_spec_the_script_says_the_value(name: str) -> None:
    spec = example(name)
    weights = [index / 4 for index, _ in enumerate(spec.tasks)]
    tasks = [attrs.evolve(task, weight=weight) for task, weight in zip(spec.tasks, weights, strict=True)]
    dwa = named(schema.BALANCES, "dwa", temperature=3.5)
    changed = trained(attrs.evolve(spec, tasks=tuple(tasks)), balance=dwa, keep="last")
    text = compile_spec(changed)["train.py"]
    said = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))
    assert "balance = dwa(temperature=3.5)" in said
    assert 'keep = "last"' in said
    assert "average" not in text
    assert all(f"{task.weight} of {task.name}" in said for task in tasks[1:])
    assert "balance = equal" in " ".join(
        compile_spec(trained(spec, balance=named(schema.BALANCES, "equal")))["train.py"].split()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ema": 0.9},
        {"keep": Named("average", {"part": 0.1})},
        {"accumulate": 2, "clip": 0.5, "warmup": 3, "precision": "fp16"},
        {"stop": Named("patience", {"epochs": 2}), "sampling": Named("equal")},
    ],
    ids=lambda changes: " ".join(changes) or "as it is",
)
@pytest.mark.parametrize("name", NAMES)
def test_no_constant_is_there_that_nothing_reads(name: str, changes: dict[str, Any]) -> None:
    spec = example(name)
    one_mean = {"keep": "best", "ema": None} if {"ema", "keep"} & changes.keys() else {}
    module = script(trained(spec, **{**one_mean, **changes}))
    read = {node.id for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert knobs(module).keys() <= read


def test_a_mean_of_the_last_steps_is_said_with_the_lines_that_make_it() -> None:
    spec = trained(example(NAMES[0]), keep=Named("average", {"part": 0.1}))
    text = compile_spec(spec)["train.py"]
    assert "keep = average(0.1)" in text
    order = (
        "optimizer.step()",
        "training.average()",
        "epoch.end_step()",
        "training.reestimate(data.train)",
        "evaluate(",
    )
    places = [text.index(each) for each in order]
    assert places == sorted(places)
