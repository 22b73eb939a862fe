"""What the language knows is what the runtime does, for every kind of name."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pytest

from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.language import schema
from mtsldsl.language.kinds import Call
from mtsldsl.language.optimization import TORCH_OPTIMIZERS, TORCH_SCHEDULERS
from mtsldsl.language.targets import TARGETS
from mtsldsl.methods.mtsl.language import SIMILARITIES, TRANSFERS
from mtsldsl.methods.registry import METHODS, decision_rules, method
from mtsldsl.runtime.data.augment import AUGMENTATIONS
from mtsldsl.runtime.learning import balance
from mtsldsl.runtime.objectives.by_target import OBJECTIVES
from mtsldsl.runtime.structure.learner import Learner


def names(call: Call) -> set[str]:
    return {rule.name for rule in call.rules}


def of_targets(table: dict[str, Call]) -> set[str]:
    return {f"{target}.{name}" for target, call in table.items() for name in names(call)}


def flat(table: dict[str, Iterable[str]]) -> set[str]:
    return {f"{target}.{name}" for target, inside in table.items() for name in inside}


MODULES_OF_BALANCES = {path.stem for path in Path(str(balance.__file__)).parent.glob("*.py")} - {
    "__init__",
    "balance",
    "gradient",
}

TABLES = {
    "losses": (of_targets(schema.LOSSES), flat({kind: each.losses for kind, each in OBJECTIVES.items()})),
    "metrics": (of_targets(schema.METRICS), flat({kind: each.metrics for kind, each in OBJECTIVES.items()})),
    "targets": (names(schema.TARGET), set(TARGETS)),
    "balances": (names(schema.BALANCES), MODULES_OF_BALANCES),
    "optimizers": (names(schema.OPTIMIZERS), set(TORCH_OPTIMIZERS)),
    "schedulers": (names(schema.SCHEDULERS) - {"none"}, set(TORCH_SCHEDULERS)),
    "augmentations": (names(schema.AUGMENTATIONS), set(AUGMENTATIONS)),
    "similarities": (names(SIMILARITIES), {"cka"}),
    "transfers": (names(TRANSFERS), {"average", "amalgamate"}),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_name_of_the_language_is_one_of_the_runtime_and_the_other_way_round(kind: str) -> None:
    said, done = TABLES[kind]
    assert said
    assert said == done


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_block_a_learner_and_decisions_of_its_own(name: str) -> None:
    known = method(name)
    assert known.name == name
    assert known.phases in {key.name for key in known.block.keys or ()}
    assert issubclass(getattr(import_module(f"{METHODS[name]}.learner"), known.learner), Learner)
    assert all(decision_rules()[rule.call.name] is rule for rule in known.decisions)
    for rule in known.decisions:
        keys = {key.name for key in rule.call.keys}
        assert {*rule.subject, rule.strength} < keys


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_has_a_block_and_a_loader(name: str) -> None:
    known = data_kind(name)
    assert known.name == name
    assert callable(import_module(f"{DATASETS[name]}.load").load)
    keys = {key.name for key in known.block.keys or ()}
    assert {"input", "batch", "augment"} <= keys
    assert known.place is None or known.place in keys
    assert all(field.target in TARGETS for field in known.fields)
