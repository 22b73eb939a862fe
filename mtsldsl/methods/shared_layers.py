"""Decisions that tasks share a layer from now on, as several methods take them by how similar the tasks are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import Any

from mtsldsl.diagnostics.bounded import first_lines, shown
from mtsldsl.language.kinds import CallRule, Integer, Key, LayerName, Real, Tasks
from mtsldsl.methods.evidence import told
from mtsldsl.methods.method import DecisionRule, Fault, Reach, Values
from mtsldsl.sharing import Sharing


def deciding_to_share(name: str, summary: str, epoch: str, similarity: str, verb: str, *more: Key) -> DecisionRule:
    """The rule of such a line of `history`, in the words of its method: what it says, its epoch, its similarity, and
    what the history does to the layer; with `more` that may be said, and is left out where it is not."""
    keys = (
        Key("epoch", Integer(0), epoch),
        Key("layer", LayerName(), "the layer"),
        Key("tasks", Tasks(), "the tasks"),
        Key("similarity", Real(), similarity),
        *more,
    )

    def contradiction(decision: Values, sharing: Sharing) -> str | None:
        layer, tasks = decision["layer"], decision["tasks"]
        apart = [task for task in tasks if task not in sharing.component(layer, tasks[0])]
        return f"the history {verb} `{layer}`, where the sharing keeps `{apart[0]}` apart" if apart else None

    example = f"{name}(epoch=3, layer=..., tasks=a + b, similarity=0.9)"
    return DecisionRule(CallRule(name, summary, keys), ("layer", "tasks"), "similarity", contradiction, example)


def beyond_reach(part: float, reach: Reach, key: str) -> Iterator[Fault]:
    """A budget, as a part of the parameters of single-task networks, below what the network has with all layers
    shared."""
    allowed = part * reach.single
    if reach.least > allowed:
        least = ceil(1000 * reach.least / reach.single) / 1000
        cause = f"the budget is {allowed:,.0f} parameters, and with every layer shared there are {reach.least:,}"
        remedy = f"give a `budget` of {least:g} or more" if least < 1 else "leave the block `structure` out"
        yield Fault("MTL202", cause, remedy, key)


def who_shares(decided: Iterable[Mapping[str, Any]], noun: str) -> list[str]:
    """A line for each layer and its tasks, with their similarity."""
    lines = [
        f"{each['layer']}: {shown(each['tasks'], ' + ')} share it (similarity {told(each['similarity'])})"
        for each in decided
    ]
    return first_lines(lines, noun)
