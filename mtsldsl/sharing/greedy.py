"""Which copies of layers to merge until a network is small enough: one by one, those that cost the least for what they
save.

What it costs that tasks share a layer is the scatter of a group, (1/n) times the sum of 1 less the similarity over all
ordered pairs of its n tasks: for a pair 1 less its similarity, in general the sum of squared distances to their mean of
n vectors of length 1 whose products are the similarities. What a merge of two copies costs is by how much it raises the
sum of these (Ward: Hierarchical Grouping to Optimize an Objective Function, Journal of the American Statistical
Association, 1963), and it is weighed against the parameters that it saves.

Merges are made at the frontier alone, so the refinement rule always holds. A merge moves the frontier. Numbers are
compared as integers and fractions; of equal merges the one at the earliest layer is made, then the first by the names
of the tasks, so that neither the order of a sum nor that of the tasks decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import combinations
from math import isfinite
from typing import TypeAlias

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing.partition import Component
from mtsldsl.sharing.sharing import Sharing

Similarities: TypeAlias = Mapping[frozenset[str], float]
"""By the names of two tasks."""

_SCALE = 2**60
"""Dissimilarities are whole numbers of this part of 1."""


@attrs.frozen(eq=False, repr=False)
class Merged(Record):
    """The sharing that was reached, what it `cost`s, and the merges that were `made`: the layer with the tasks of both
    copies."""

    sharing: Sharing
    cost: int
    made: tuple[tuple[str, Component, Component], ...]


def merge_to(
    start: Sharing,
    cost: int,
    allowed: Fraction,
    similarity: Callable[[str, Component], Similarities],
    saved: Callable[[str, Component], int],
    *,
    sides: Iterable[Iterable[str]] | None = None,
    read_by: Mapping[str, Collection[str]] | None = None,
    moving: bool = True,
) -> Merged:
    """Merge copies until what a network costs, which is `cost` at the start, is no more than what is `allowed`, or
    nothing is left that may merge.

    `similarity(layer, tasks)` is asked once for each layer and set of tasks that come to share all that it reads, and
    has at least every two of them that may merge there and do not share the layer at the start: those that do count as
    one. `saved(layer, tasks)` is what a copy for some tasks costs. Copies that cost nothing are merged before others,
    for all that stands behind them. Tasks of two `sides` never merge, nor copies of a layer that none of the tasks of
    `read_by` has. Where the frontier is not `moving`, only what may merge at the start is merged.

    Raises ValueError where a similarity is not a finite number; SharingError where `start` has layers of alternatives.
    """
    parts = [frozenset(side) for side in sides] if sides is not None else [frozenset(start.tasks)]
    search = _Search(start, similarity, saved, parts, read_by or {})
    at_first = frozenset(start.frontier())
    sharing, made = start, []
    while cost > allowed:
        open_now = (place for place in sharing.frontier() if moving or place in at_first)
        best = min((merge for place in open_now for merge in search.at(sharing, *place)), default=None)
        if best is None:
            break
        sharing = sharing.merge(best.layer, best.one | best.other)
        cost -= best.saved
        made.append((best.layer, best.one, best.other))
    return Merged(sharing, cost, tuple(made))


@attrs.frozen(order=True)
class _Merge:
    """A merge that may be made; the least is the best."""

    order: tuple[bool, Fraction, int, list[str], list[str]]
    layer: str = attrs.field(order=False)
    one: Component = attrs.field(order=False)
    other: Component = attrs.field(order=False)
    saved: int = attrs.field(order=False)


@attrs.define
class _Search:
    """What is known of similarities and of the scatter of groups."""

    start: Sharing
    similarity: Callable[[str, Component], Similarities]
    saved: Callable[[str, Component], int]
    sides: list[Component]
    read_by: Mapping[str, Collection[str]]
    _known: dict[tuple[str, Component], Similarities] = attrs.field(factory=dict)
    _scatters: dict[tuple[str, Component, Component], Fraction] = attrs.field(factory=dict)

    def at(self, sharing: Sharing, layer: str, tasks: Component) -> Iterator[_Merge]:
        """The merges at a place of the frontier."""
        place, read = sharing.backbone.position(layer), self.read_by.get(layer, tasks)
        copies = [each for each in sharing.partition(layer) if each <= tasks and not each.isdisjoint(read)]
        for one, other in combinations(sorted(copies, key=sorted), 2):
            if any(one | other <= side for side in self.sides):
                saved = self.saved(layer, other)
                worse = self._scatter(layer, tasks, one | other)
                worse -= self._scatter(layer, tasks, one) + self._scatter(layer, tasks, other)
                order = (saved > 0, worse / max(saved, 1), place, sorted(one), sorted(other))
                yield _Merge(order, layer, one, other, saved)

    def _scatter(self, layer: str, tasks: Component, group: Component) -> Fraction:
        """That of a group of the tasks of a place, in parts of 1 / `_SCALE`."""
        key = layer, tasks, group
        if key not in self._scatters:
            pairs = combinations(sorted(group), 2)
            total = sum(self._apart(layer, tasks, frozenset(pair)) for pair in pairs)
            self._scatters[key] = Fraction(2 * total, len(group))
        return self._scatters[key]

    def _apart(self, layer: str, tasks: Component, pair: frozenset[str]) -> int:
        """How dissimilar two tasks are, in parts of 1 / `_SCALE`."""
        if pair <= self.start.component(layer, min(pair)):
            return 0
        if (layer, tasks) not in self._known:
            self._known[layer, tasks] = self.similarity(layer, tasks)
        value = self._known[layer, tasks][pair]
        if not isfinite(value):
            raise ValueError(f"the similarity of {' and '.join(sorted(pair))} at `{layer}` is {value}, not finite")
        return round((1 - Fraction(value)) * _SCALE)
