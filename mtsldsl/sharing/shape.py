"""Shapes of sharing, what each costs, which fit a budget, and who has which copy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing.partition import in_order
from mtsldsl.sharing.sharing import Sharing


def budget_name(budget: float) -> str:
    """What a budget is called wherever it is named, as `1.0`: in files, rows, events and lines, as `history` has it."""
    return repr(float(budget))


def part_of(budget: float, parameters: int) -> Fraction:
    """How many of these parameters a budget allows, which is a part of them."""
    return Fraction(budget_name(budget)) * parameters


@attrs.frozen(eq=False, repr=False)
class Shape(Record):
    """The layers before the one at the place `since` are shared by all tasks, from there on there are so many copies of
    each. With one copy, all is shared."""

    since: int
    copies: int

    @property
    def name(self) -> str:
        """What tells it from others, as a part of names of tensors."""
        return f"since{self.since}x{self.copies}"

    def told(self, layers: Sequence[str]) -> str:
        """In words."""
        return "all shared" if self.copies == 1 else f"{self.copies} copies from {layers[self.since]} on"


ALL_SHARED = Shape(0, 1)


@attrs.frozen(eq=False, repr=False)
class Sizes(Record):
    """The parameters of a network: of one copy of each layer, in their order, and of all heads; and for each layer the
    tasks whose heads read it."""

    layers: Mapping[str, int]
    heads: int
    tasks: tuple[str, ...]
    read_by: Mapping[str, Collection[str]]

    def of(self, shape: Shape) -> int:
        """The parameters of a network of that shape."""
        each = list(self.layers.values())
        return self.heads + sum(each[: shape.since]) + shape.copies * sum(each[shape.since :])

    @property
    def single(self) -> int:
        """Those of a network for each task."""
        return self.of(Shape(0, len(self.tasks)))

    @property
    def least(self) -> int:
        """Those of the smallest shape."""
        return self.of(ALL_SHARED)

    def readers(self, since: int) -> tuple[str, ...]:
        """The tasks that read a layer at that place or after it: those that copies of these can be for."""
        found = set[str]().union(*list(self.read_by.values())[since:])
        return in_order(found, self.tasks)

    def allowed(self, budget: float) -> Fraction:
        """How many parameters a budget allows, a part of those of single-task networks."""
        return part_of(budget, self.single)

    def edge(self, budget: float) -> tuple[Shape, ...]:
        """The shapes on the edge of a budget: for each layer from which on there may be copies the most that fit.

        A layer without parameters begins none: with copies of it and of all after it a network computes what it does
        with copies of these alone. None where not even the smallest shape fits.
        """
        allowed = self.allowed(budget)
        found: dict[Shape, None] = {}
        for place, size in enumerate(self.layers.values()):
            most = len(self.readers(place)) if size else 0
            fits = (Shape(place, copies) for copies in range(most, 0, -1) if self.of(Shape(place, copies)) <= allowed)
            if (shape := next(fits, None)) is not None:
                found[ALL_SHARED if shape.copies == 1 else shape] = None
        if not found and self.least <= allowed:
            found[ALL_SHARED] = None
        return tuple(found)

    def sharing(self, shape: Shape, chosen: Mapping[str, int], start: Sharing) -> Sharing:
        """The sharing of a shape whose tasks have chosen these copies, by number; all others go with the first."""
        sets: dict[int, list[str]] = {}
        for task in self.tasks:
            sets.setdefault(chosen.get(task, min(chosen.values(), default=0)), []).append(task)
        whole, parts = [self.tasks], list(sets.values())
        names = list(self.layers)
        return start.given({name: whole if place < shape.since else parts for place, name in enumerate(names)})


def assigned(losses: Sequence[Sequence[float]]) -> list[int]:
    """For each row of losses, relative to their mean, the place of the least; but every place is taken by a row, where
    there are as many. As long as one is not, the row that loses the least by it goes there, of those whose place is
    taken by another one as well."""
    chosen = [min(range(len(row)), key=row.__getitem__) for row in losses]
    while len(losses) >= len(losses[0]) and (free := set(range(len(losses[0]))).difference(chosen)):
        spare = [row for row, place in enumerate(chosen) if chosen.count(place) > 1]
        _, row, place = min(
            (losses[row][place] - losses[row][chosen[row]], row, place) for row in spare for place in free
        )
        chosen[row] = place
    return chosen
