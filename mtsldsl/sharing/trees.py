"""Which tree of layers tasks should share under a budget: beam search from the last layer to the first.

Vandenhende, Georgoulis, De Brabandere, Van Gool: Branched Multi-Task Networks: Deciding What Layers To Share, BMVC
2020, arXiv 1904.02920. How bad a tree is, is the sum over the layers of the mean, over the groups of tasks that share
the layer, of the largest dissimilarity (1 less the similarity, at least 0) of two tasks of the group; a task alone has
none.

The search goes through the layers from the last to the first. Each layer has a partition of the tasks that is at least
as coarse as those of the layers that read it. Of all that are, and can still end within the budget, those go on that
may end with the least dissimilarity: what they have so far, and the least that the layers before them come to for what
is left of the budget, if each layer were chosen for itself and could be chosen in part. (By what they have so far
alone, the whole budget would go to the last layers.) A choice that is no better than another in dissimilarity and in
what it spends, and leaves the same open, is left out. Numbers are compared as integers and fractions, and equal choices
by the names of the tasks, so that neither the order of a sum nor that of the tasks decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import isfinite, lcm
from typing import TypeAlias

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing.partition import Component, Partition
from mtsldsl.sharing.sharing import Sharing

Matrix: TypeAlias = Sequence[Sequence[float]]
"""(tasks, tasks)"""

BEAM = 10
"""How many choices go on from layer to layer, where no other number is asked for."""

ALL_WAYS = 8
"""Of up to so many groups every way to bring some together is looked at; of more, the most alike are joined first."""

_SCALE = 2**60
"""Dissimilarities are whole numbers of this part of 1."""


@attrs.frozen(eq=False, repr=False)
class Tree(Record):
    """The sharing that was chosen, its `dissimilarity` (the sum over the layers), and what its layers `cost`.

    Where it is `exact`, nothing was left out that might have been better; else it is the best that was found.
    """

    sharing: Sharing
    dissimilarity: float
    cost: float
    exact: bool


def choose_tree(
    start: Sharing,
    similarity: Mapping[str, Matrix],
    cost: Callable[[str, Component], float],
    budget: float,
    *,
    beam: int = BEAM,
    sides: Iterable[Iterable[str]] | None = None,
    read_by: Mapping[str, Collection[str]] | None = None,
) -> Tree:
    """The tree of the least dissimilarity whose layers cost no more than the budget; of equal ones the cheapest.

    `start` is what is shared already and stays so, mostly nothing. `similarity` has for each layer a matrix (tasks,
    tasks) in the order of `start.tasks`: its diagonal is not looked at, and of [i][j] and [j][i] the mean counts.
    `cost(layer, tasks)` is that of a copy of a layer for some tasks, in the unit of the budget. `sides` part the tasks:
    those of two sides come to share nothing. `read_by` has for each layer the tasks that read it, by default all: a
    copy that none of these has stays as it is, and is no group of which the mean is taken.

    Raises ValueError where a layer has no similarity or one that is no such matrix of finite numbers, `beam` is below
    1, sides do not part the tasks or share a layer already, or even the cheapest tree is above the budget;
    SharingError where `start` has layers of alternatives.
    """
    if beam < 1:
        raise ValueError(f"a beam of {beam} lets nothing go on")
    search = _Search(start, similarity, cost, Fraction(budget), beam, sides, read_by or {})
    found = search.best()
    whole = start.given({layer: search.tasks_of(found.rows[layer]) for layer in start.backbone.layers})
    return Tree(whole, float(Fraction(found.value, search.unit)), float(found.spent), search.exact)


_Row: TypeAlias = tuple[int, ...]
"""The groups of a layer, each as a set of bits, in rising order."""


@attrs.frozen(eq=False)
class _State:
    """Layers from the last on, with their groups; what these come to, and what they spend."""

    rows: Mapping[str, _Row]
    value: int
    spent: Fraction
    key: tuple[_Row, ...]
    """All groups, for an order of equal choices."""


class _Search:
    """Masks have a bit for each task, in the order of the names."""

    def __init__(
        self,
        start: Sharing,
        similarity: Mapping[str, Matrix],
        cost: Callable[[str, Component], float],
        budget: Fraction,
        beam: int,
        sides: Iterable[Iterable[str]] | None,
        read_by: Mapping[str, Collection[str]],
    ) -> None:
        self.names = sorted(start.tasks)
        self.start, self.budget, self.beam, self.exact = start, budget, beam, True
        self._cut: Fraction | None = None
        """The least that something may have come to that did not go on."""
        self.unit = _SCALE * lcm(*range(1, len(self.names) + 1))
        self._cost = cost
        self._bits = {name: 1 << place for place, name in enumerate(self.names)}
        self._rows = {layer: self._row(start.partition(layer)) for layer in start.backbone.layers}
        self._sources = self._row(start.sources)
        self._unread = {
            layer: self._row(each for each in start.partition(layer) if each.isdisjoint(read_by.get(layer, each)))
            for layer in start.backbone.layers
        }
        self._sides = self._row(Partition(map(frozenset, sides if sides is not None else [self.names])))
        self._check_sides()
        order = [start.tasks.index(name) for name in self.names]
        self._apart = {layer: self._dissimilarities(layer, similarity, order) for layer in start.backbone.layers}
        self._largest: dict[tuple[str, int], int] = {}
        self._costs: dict[tuple[str, int], Fraction] = {}
        self._known: dict[tuple[str, _Row], list[tuple[int, Fraction, _Row]]] = {}

    def _row(self, groups: Iterable[Component]) -> _Row:
        return tuple(sorted(sum(self._bits[task] for task in group) for group in groups))

    def tasks_of(self, row: _Row) -> list[Component]:
        """The groups by the names of their tasks."""
        return [self._named(group) for group in row]

    def _named(self, group: int) -> Component:
        return frozenset(name for name, bit in self._bits.items() if group & bit)

    def _check_sides(self) -> None:
        if sum(self._sides) != (1 << len(self.names)) - 1 or sum(map(int.bit_count, self._sides)) != len(self.names):
            raise ValueError("the sides do not part the tasks")
        for layer, row in self._rows.items():
            if any(_joined((*self._sides, group)) != self._sides for group in row):
                raise ValueError(f"tasks of two sides share `{layer}`")

    def _dissimilarities(self, layer: str, similarity: Mapping[str, Matrix], order: Sequence[int]) -> list[list[int]]:
        """Of every two tasks, in the order of the names; 0 for those that share the layer already."""
        if layer not in similarity:
            raise ValueError(f"there is no similarity for `{layer}`")
        matrix, count = similarity[layer], len(order)
        if len(matrix) != count or any(len(row) != count for row in matrix):
            raise ValueError(f"the similarity at `{layer}` is no matrix of {count} x {count}")
        found = [[0] * count for _ in order]
        for i, one in enumerate(order):
            for j, other in enumerate(order):
                if i != j and not any(group >> i & 1 and group >> j & 1 for group in self._rows[layer]):
                    mean = (matrix[one][other] + matrix[other][one]) / 2
                    if not isfinite(mean):
                        raise ValueError(f"the similarity at `{layer}` holds {mean}, which is not a finite number")
                    found[i][j] = round((1 - Fraction(mean)) * _SCALE)
        return found

    def best(self) -> _State:
        """The best that is found."""
        layers = self.start.backbone.layers
        least = [self._price_of(layer, self._joined_to_sides(layer)) for layer in layers]
        if sum(least, Fraction(0)) > self.budget:
            raise ValueError(
                f"even the tree that shares every layer costs {float(sum(least)):g}, above {float(self.budget):g}"
            )
        states = [_State({}, 0, Fraction(0), ())]
        for place in reversed(range(len(layers))):
            layer, left = layers[place], self.budget - sum(least[:place], Fraction(0))
            found = [new for state in states for new in self._next(layer, state, left)]
            before = [self._choices(each, self._rows[each]) for each in layers[:place]]
            states = self._kept(layer, found, _Ahead.of(before))
        self.exact &= self._cut is None or states[0].value < self._cut
        return states[0]

    def _joined_to_sides(self, layer: str) -> _Row:
        """The coarsest groups that a layer may have."""
        unread = self._unread[layer]
        read = (side & ~sum(unread) for side in self._sides)
        return (*unread, *(side for side in read if side))

    def _next(self, layer: str, state: _State, left: Fraction) -> Iterator[_State]:
        """The choices for a layer that spend no more than what is left, with what comes before it all shared."""
        for value, price, row in self._choices(layer, self._bound(layer, state)):
            if state.spent + price <= left:
                rows = {**state.rows, layer: row}
                yield _State(rows, state.value + value, state.spent + price, (*state.key, row))

    def _kept(self, layer: str, states: list[_State], ahead: _Ahead) -> list[_State]:
        """Those of the choices that may end the best, without those that another is as good as."""
        place = self.start.backbone.position
        read = [
            each
            for each in self.start.backbone.layers[place(layer) :]
            if any(place(source) < place(layer) for source in self.start.backbone.inputs(each))
        ]
        cheapest: dict[tuple[_Row, ...], Fraction] = {}
        worth: list[tuple[Fraction, int, _State]] = []
        for state in sorted(states, key=lambda each: (each.value, each.spent, each.key)):
            open_rows = tuple(state.rows[each] for each in read)
            if open_rows in cheapest and cheapest[open_rows] <= state.spent:
                continue
            cheapest[open_rows] = state.spent
            worth.append((state.value + ahead.least(self.budget - state.spent), len(worth), state))
        worth.sort(key=lambda each: each[:2])
        for value, *_ in worth[self.beam : self.beam + 1]:
            self._cut = value if self._cut is None else min(value, self._cut)
        return [state for *_, state in worth[: self.beam]]

    def _bound(self, layer: str, state: _State) -> _Row:
        """The finest groups that a layer may have: tasks of one source that share what reads it share it too."""
        groups = list(self._rows[layer])
        for reader in self.start.backbone.readers(layer):
            groups += [both for group in state.rows[reader] for source in self._sources if (both := group & source)]
        return _joined(groups)

    def _choices(self, layer: str, finest: _Row) -> list[tuple[int, Fraction, _Row]]:
        """What may be chosen for a layer, each with its value and its price; the best first."""
        key = layer, finest
        if key not in self._known:
            rows = self._coarser(layer, finest)
            priced = ((self._price_of(layer, row), row) for row in rows)
            self._known[key] = [(self._value(layer, row), price, row) for price, row in priced]
        return self._known[key]

    def _value(self, layer: str, row: _Row) -> int:
        """The mean of the groups' largest dissimilarities, in `unit`."""
        count = len(row) - len(self._unread[layer])
        return sum(self._spread(layer, group) for group in row) * (self.unit // _SCALE) // max(count, 1)

    def _spread(self, layer: str, group: int) -> int:
        """The largest dissimilarity of two tasks of a group."""
        key = layer, group
        if key not in self._largest:
            members = [place for place in range(len(self.names)) if group >> place & 1]
            apart = self._apart[layer]
            self._largest[key] = max((apart[i][j] for i in members for j in members), default=0)
        return self._largest[key]

    def _price_of(self, layer: str, row: _Row) -> Fraction:
        return sum((self._price(layer, group) for group in row), Fraction(0))

    def _price(self, layer: str, group: int) -> Fraction:
        key = layer, group
        if key not in self._costs:
            self._costs[key] = Fraction(self._cost(layer, self._named(group)))
        return self._costs[key]

    def _coarser(self, layer: str, finest: _Row) -> list[_Row]:
        """The ways to bring groups of one side together: all of a few groups; of more what comes of joining the two
        that are the most alike, again and again, until there are a few, and all of these."""
        found: list[_Row] = []
        unread = self._unread[layer]
        finest = tuple(group for group in finest if group not in unread)
        while len(finest) > ALL_WAYS:
            pairs = [
                (self._spread(layer, one | other), one, other)
                for place, one in enumerate(finest)
                for other in finest[place + 1 :]
                if any(not (one | other) & ~side for side in self._sides)
            ]
            if not pairs:
                break
            self.exact = False
            found.append(finest)
            _, one, other = min(pairs)
            finest = tuple(sorted((*(group for group in finest if group not in (one, other)), one | other)))
        found += self._all_coarser(finest)
        return [tuple(sorted((*row, *unread))) for row in found]

    def _all_coarser(self, finest: _Row) -> Iterator[_Row]:
        def placed(place: int, groups: tuple[int, ...]) -> Iterator[_Row]:
            if place == len(finest):
                yield tuple(sorted(groups))
                return
            group = finest[place]
            side = next(each for each in self._sides if each & group)
            for number, other in enumerate(groups):
                if other & side:
                    yield from placed(place + 1, (*groups[:number], other | group, *groups[number + 1 :]))
            yield from placed(place + 1, (*groups, group))

        return placed(0, ())


@attrs.frozen(eq=False)
class _Ahead:
    """The least that layers come to for what may be spent on them, if each were chosen for itself: convex in what is
    spent. `spent` and `value` have its corners, from the cheapest choice on."""

    spent: Sequence[Fraction]
    value: Sequence[Fraction]

    @classmethod
    def of(cls, choices: Iterable[Sequence[tuple[int, Fraction, _Row]]]) -> _Ahead:
        """For the choices of each layer: from corner to corner of each, what pays the most is bought first."""
        spent, value = [Fraction(0)], [Fraction(0)]
        steps: list[tuple[Fraction, Fraction]] = []
        for of_layer in choices:
            corners = _corners((price, Fraction(least)) for least, price, _ in of_layer)
            spent[0], value[0] = spent[0] + corners[0][0], value[0] + corners[0][1]
            steps += [(to[0] - here[0], to[1] - here[1]) for here, to in pairwise(corners)]
        for price, gained in sorted(steps, key=lambda step: (step[1] / step[0], step)):
            spent.append(spent[-1] + price)
            value.append(value[-1] + gained)
        return cls(spent, value)

    def least(self, left: Fraction) -> Fraction:
        """For so much to spend, which the cheapest choices do not exceed."""
        place = bisect_right(self.spent, left) - 1
        if place + 1 == len(self.spent):
            return self.value[-1]
        part = (left - self.spent[place]) / (self.spent[place + 1] - self.spent[place])
        return self.value[place] + part * (self.value[place + 1] - self.value[place])


_Corner: TypeAlias = tuple[Fraction, Fraction]


def _corners(points: Iterable[_Corner]) -> list[_Corner]:
    """The lower convex hull of prices with their values, from the cheapest on as far as more pays."""
    hull: list[_Corner] = []
    for price, value in sorted(points):
        if hull and value >= hull[-1][1]:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) >= _slope(hull[-2], (price, value)):
            hull.pop()
        hull.append((price, value))
    return hull


def _slope(one: _Corner, other: _Corner) -> Fraction:
    return (other[1] - one[1]) / (other[0] - one[0])


def _joined(groups: Iterable[int]) -> _Row:
    """The unions of the groups that overlap, directly or through others."""
    unions: list[int] = []
    for group in groups:
        for union in [union for union in unions if union & group]:
            unions.remove(union)
            group |= union
        unions.append(group)
    return tuple(sorted(unions))
