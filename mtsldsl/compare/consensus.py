"""What several evolved specs agree on: for every layer and pair of tasks, how many of the runs share it.

A run is a set of answers, one for each layer and pair of tasks: do the two share the layer? The consensus answers as
more than half of the runs do (a tie is a no), and a run's distance to it is the number of answers that differ. The
consensus need be no sharing itself: that most runs share a with b and b with c does not make most share a with c. At a
layer of alternatives two tasks share it where they use a common one; which one that is, runs may see otherwise all the
same. In groups two tasks share a layer where one copy serves both; who helps there, runs may see otherwise too.
Whatever else the runs say otherwise than the first does is listed beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import attrs

from mtsldsl.compare.key_changes import KeyChange, keys_changed
from mtsldsl.diagnostics import Diagnostic, MtlError
from mtsldsl.ir.model import Spec
from mtsldsl.records import Record
from mtsldsl.sharing import Groups, Sharing
from mtsldsl.sharing.groups import Help
from mtsldsl.sharing.row import tasks_of

FORMAT_VERSION = 1

MOST_ANSWERS = 100_000
"""Layers times pairs of tasks: more than anybody reads, and as many as are counted in a fraction of a second."""


@attrs.frozen(eq=False, repr=False)
class Pair(Record):
    """Two tasks at one layer, and how many runs have them share it."""

    layer: str
    tasks: tuple[str, str]
    runs: int


@attrs.frozen(eq=False, repr=False)
class Consensus(Record):
    """The agreement of several runs; `names` and `distances` are in the order in which the runs were given."""

    names: tuple[str, ...]
    tasks: tuple[str, ...]
    layers: tuple[str, ...]
    pairs: tuple[Pair, ...]
    """Every layer with every pair of tasks, in their order."""
    distances: tuple[int, ...]
    keys: tuple[tuple[KeyChange, ...], ...]
    """What each run says otherwise than the first does, the sharing left out."""
    allocated: tuple[str, ...] = ()
    """The layers of alternatives that tasks use otherwise in some run than in the first."""
    helped: tuple[str, ...] = ()
    """The layers in whose groups other tasks help, or help others, in some run than in the first."""

    def __bool__(self) -> bool:
        """Whether the runs differ, and not in the seed alone, in which runs of one job are meant to differ."""
        shared = any(0 < pair.runs < len(self.names) for pair in self.pairs)
        said = any(change.key != "train.seed" for changes in self.keys for change in changes)
        return shared or said or bool(self.allocated) or bool(self.helped)

    def shared(self, pair: Pair) -> bool:
        """Whether more than half of the runs share the pair."""
        return 2 * pair.runs > len(self.names)

    @property
    def nearest(self) -> str:
        """The first of the runs that are nearest to the consensus."""
        return self.names[self.distances.index(min(self.distances))]

    def as_json(self) -> dict[str, Any]:
        """The consensus in the format that other programs read; `format_version` changes when it does."""
        return {
            "format_version": FORMAT_VERSION,
            "tasks": list(self.tasks),
            "layers": list(self.layers),
            "pairs": [
                {"layer": pair.layer, "tasks": list(pair.tasks), "runs": pair.runs, "shared": self.shared(pair)}
                for pair in self.pairs
            ],
            "runs": [
                {"name": name, "distance": distance, "keys": [change.as_json() for change in changes]}
                for name, distance, changes in zip(self.names, self.distances, self.keys, strict=True)
            ],
            "nearest": self.nearest,
            "allocated": list(self.allocated),
            "helped": list(self.helped),
        }


def consensus(specs: Sequence[Spec]) -> Consensus:
    """The consensus of two specs or more, which must have the same tasks and layers, in whatever order.

    Raises MtlError MTL407 for each that has others than the first, and for more answers than `MOST_ANSWERS`.
    """
    first = specs[0]
    _check_comparable(specs)
    tasks, layers = tuple(task.name for task in first.tasks), first.backbone.layers
    answers = [set(shared_pairs(spec.sharing.served())) for spec in specs]
    counts = Counter(answer for run in answers for answer in run)
    pairs = tuple(
        Pair(layer, (one, other), counts[layer, frozenset((one, other))])
        for layer in layers
        for one, other in combinations(tasks, 2)
    )
    majority = {answer for answer, runs in counts.items() if 2 * runs > len(specs)}
    return Consensus(
        names=tuple(spec.source.name for spec in specs),
        tasks=tasks,
        layers=layers,
        pairs=pairs,
        distances=tuple(len(each ^ majority) for each in answers),
        keys=tuple(keys_changed(first, spec, {layer: layer for layer in layers}) for spec in specs),
        allocated=tuple(
            layer
            for layer in layers
            if any(_uses(spec, layer, task) != _uses(first, layer, task) for spec in specs for task in tasks)
        ),
        helped=tuple(layer for layer in layers if any(_helps(spec, layer) != _helps(first, layer) for spec in specs)),
    )


def _uses(spec: Spec, layer: str, task: str) -> frozenset[str]:
    """The alternatives of a layer that a task uses."""
    return frozenset(spec.sharing.uses(layer, task))


def _helps(spec: Spec, layer: str) -> frozenset[Help]:
    """Who helps whom at a layer."""
    row = spec.sharing[layer]
    return row.helps if isinstance(row, Groups) else frozenset()


def shared_pairs(sharing: Sharing) -> Iterator[tuple[str, frozenset[str]]]:
    """Every layer with every pair of tasks that share it, or an alternative of it."""
    for layer in sharing.backbone.layers:
        for component in sharing[layer].components:
            for pair in combinations(tasks_of(component), 2):
                yield layer, frozenset(pair)


def _check_comparable(specs: Sequence[Spec]) -> None:
    first = specs[0]
    problems = []
    for spec in specs[1:]:
        for noun, mine, theirs in (
            ("tasks", first.sharing.tasks, spec.sharing.tasks),
            ("layers", first.backbone.layers, spec.backbone.layers),
        ):
            if set(mine) != set(theirs):
                odd = ", ".join(f"`{name}`" for name in (*mine, *theirs) if name not in mine or name not in theirs)
                problems.append(
                    Diagnostic(
                        "MTL407",
                        f"{spec.source.name} and {first.source.name} do not have the same {noun}: {odd}",
                        "compare specs of one job, or two at a time",
                    )
                )
    if problems:
        raise MtlError(problems)
    layers, tasks = len(first.backbone.layers), len(first.tasks)
    answers = layers * tasks * (tasks - 1) // 2
    if answers > MOST_ANSWERS:
        raise MtlError.of(
            "MTL407",
            f"a consensus on {layers:,} layers of {tasks:,} tasks has {answers:,} answers, more than {MOST_ANSWERS:,}",
            "compare two specs at a time",
        )
