"""Warnings about what is shared and how that is learned."""

from __future__ import annotations

from collections.abc import Iterator

from mtsldsl.diagnostics import Diagnostic
from mtsldsl.ir.pedantic.reading import Check, Reading, warn
from mtsldsl.methods.method import Situation
from mtsldsl.methods.registry import decision_rules
from mtsldsl.syntax import tree


def empty_sharing(reading: Reading) -> Iterator[Diagnostic]:
    """MTL921: a `sharing` block with which every task has its own copy of every layer."""
    spec = reading.spec
    for section in reading.sections("sharing"):
        if section.items and len(spec.tasks) > 1 and spec.sharing == spec.sharing.apart():
            cause = "the block shares nothing, as if it were not there"
            yield warn("MTL921", cause, "leave it out", section.kind.span)


def contradicted_history(reading: Reading) -> Iterator[Diagnostic]:
    """MTL922: decisions of the history that the sharing does not have."""
    for decision in reading.spec.history:
        cause = decision_rules()[decision.kind].contradiction(decision.fields, reading.spec.sharing)
        if cause is not None:
            yield warn("MTL922", cause, "let the sharing say the same, or leave the decision out", decision.span)


def doubtful_structure(reading: Reading) -> Iterator[Diagnostic]:
    """What the method finds doubtful in its block: MTL931 to MTL934."""
    spec = reading.spec
    if spec.structure is None:
        return
    situation = Situation(
        spec.structure.settings,
        spec.sharing,
        spec.train.epochs,
        reading.training_images,
        lambda key, argument: _written(reading, key, argument),
    )
    for doubt in spec.structure.known.doubts(situation):
        if doubt.item is None:
            span = reading.place("structure", doubt.key)
        else:
            span = reading.item("structure", doubt.key, doubt.item)
        yield warn(doubt.code, doubt.cause, doubt.remedy, span)


def _written(reading: Reading, key: str, name: str) -> bool:
    """Whether the text gives an argument of a key's call by its name, or as the first."""
    return any(
        isinstance(item, tree.Entry)
        and item.key.text == key
        and isinstance(item.value, tree.Call)
        and any(argument.name is None or argument.name.text == name for argument in item.value.arguments)
        for section in reading.sections("structure")
        for item in section.items
    )


def unused_alternatives(reading: Reading) -> Iterator[Diagnostic]:
    """MTL923: a layer of alternatives of which a task uses none."""
    spec = reading.spec
    for layer in spec.layers:
        without = [
            task for task in spec.sharing.tasks if layer.alternatives and not spec.sharing.uses(layer.name, task)
        ]
        if without:
            listed = ", ".join(f"`{task}`" for task in without)
            verbs = ("uses", "gets") if len(without) == 1 else ("use", "get")
            cause = f"{listed} {verbs[0]} no alternative of `{layer.name}`, and {verbs[1]} zeros"
            yield warn("MTL923", cause, "name an alternative for each", layer.span)


SHARING: tuple[Check, ...] = (empty_sharing, contradicted_history, doubtful_structure, unused_alternatives)
"""All checks of this module."""
