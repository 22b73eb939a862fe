"""The blocks that belong to a method: `structure`, how sharing is learned, and `history`, what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs

from mtsldsl.diagnostics import Span, proposal
from mtsldsl.ir.blocks import BlockValues, read_block
from mtsldsl.ir.definitions import Definitions
from mtsldsl.ir.model import Decision, Structure, Train
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort
from mtsldsl.ir.scope import EMPTY
from mtsldsl.ir.spec_rules import strangers, surroundings_of
from mtsldsl.ir.values import call_arguments
from mtsldsl.language.kinds import CallRule
from mtsldsl.methods.method import NO_METHOD
from mtsldsl.methods.registry import METHODS, decision_rules, method, method_with
from mtsldsl.sharing import Backbone
from mtsldsl.syntax import tree


def read_structure(
    section: tree.Section, train: Train | Broken, definitions: Definitions, problems: Problems, *, grouped: bool = False
) -> Structure | Broken | None:
    """The structure block; None where its label is `none`, though the keys that it has are checked all the same.

    A block of an unknown method is not looked into: nobody knows its keys. `grouped` says whether the tasks are in
    groups in which some help.
    """
    label = section.labels[0].text
    if label not in (*METHODS, NO_METHOD):
        return BROKEN
    keys = [item.key.text for item in section.items if isinstance(item, tree.Entry)]
    chosen = method_with(keys) if label == NO_METHOD else method(label)
    if label == NO_METHOD:  # so that what it lacks has no effect either
        read_block(attrs.evolve(section, whole=False), chosen.block, definitions.scope, problems)
        return None
    block = read_block(section, chosen.block, definitions.scope, problems)
    surroundings = surroundings_of(None if isinstance(train, Broken) else train, grouped=grouped)
    sound = {key: value for key, value in block.values.items() if value is not BROKEN}
    faulty = False
    for fault in chosen.faults(sound, surroundings):
        span = block.place(fault.key) if fault.item is None else _item_span(block, fault.key, fault.item)
        problems.add(fault.code, fault.cause, fault.remedy, span)
        faulty = True
    if block.broken or faulty or isinstance(train, Broken):
        return BROKEN
    return Structure(chosen.name, chosen.completed(sound, surroundings), span=section.span)


def _item_span(block: BlockValues, key: str, index: int) -> Span:
    """The span of one item of a list that is written in the block."""
    value = block.entries[key].value if key in block.entries else None
    return value.items[index].span if isinstance(value, tree.List) else block.place(key)


def read_history(
    section: tree.Section | None, backbone: Backbone, tasks: Sequence[str], problems: Problems
) -> tuple[Decision, ...]:
    """The decisions so far, oldest first. They have no effect on the network."""
    decisions = []
    for item in section.items if section else ():
        if isinstance(item, tree.Entry) and isinstance(item.value, tree.Unreadable):
            continue
        rule = _rule(item, problems)
        if rule is None or not isinstance(item, tree.Call):
            continue
        values = call_arguments(rule, item.arguments, EMPTY, item.function.span, problems)
        if isinstance(values, Broken):
            continue
        _check_names(rule, values, item, backbone, tasks, problems)
        epoch, *rest = rule.keys
        fields = {key.name: values[key.name] for key in rest if values[key.name] is not None}
        decisions.append(Decision(rule.name, cast(int, values[epoch.name]), fields, span=item.span))
    return tuple(decisions)


def _rule(item: tree.Entry | tree.Call, problems: Problems) -> CallRule | None:
    """What a line of the history is a decision of; one that is none is reported, and read as what it seems to mean."""
    rules = decision_rules()
    name = item.key if isinstance(item, tree.Entry) else item.function
    if isinstance(item, tree.Call) and name.text in rules:
        return rules[name.text].call
    remedy = proposal(name.text, list(rules)) if isinstance(item, tree.Call) else None
    examples = " or ".join(f"`{rule.example}`" for rule in rules.values())
    problems.add("MTL504", f"`{name.text}` is no decision", remedy or f"write {examples}", name.span)
    meant = [each for each in rules if remedy is not None and f"`{each}`" in remedy]
    return rules[meant[0]].call if meant else None


def _check_names(
    rule: CallRule, values: Any, item: tree.Call, backbone: Backbone, tasks: Sequence[str], problems: Problems
) -> None:
    """Report layers, alternatives and tasks of a decision that there are not."""
    for each in strangers(rule, values, backbone, tasks):
        if not problems.may_be_lost(each.name, each.known, Sort.TASK if each.nouns == "tasks" else Sort.LAYER):
            problems.add("MTL504", each.cause, each.remedy, item.span)
