"""Which networks to train under a budget, of candidates whose losses are known (Standley et al., 2020, section 4)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

import attrs

Network = TypeVar("Network", bound=Hashable)


def select_networks(
    losses: Mapping[Network, Mapping[str, float]], cost: Mapping[Network, float], budget: float
) -> tuple[Network, ...]:
    """The networks of the least sum over the tasks of the loss where it is least, at most at the cost of the budget; in
    the order of `losses`.

    `losses` has for each candidate the loss of every task that it would serve, `cost` what it costs. A task may be in
    several networks. The choice is proven, by branch and bound; of equal ones it is the cheapest, then that of the
    fewest networks. Costs are added as they are written, in decimals. Raises ValueError where a loss or a cost is not a
    finite number, a cost is missing or negative, or no choice within the budget serves all tasks.
    """
    tasks = sorted({task for of_tasks in losses.values() for task in of_tasks})
    candidates = [
        _Candidate(place, [_loss(name, task, of_tasks) for task in tasks], _price(name, cost))
        for place, (name, of_tasks) in enumerate(losses.items())
    ]
    search = _Search(len(tasks), candidates, _written(budget, "the budget"))
    if search.best is None:
        unserved = [task for task, least in zip(tasks, search.least[0], strict=True) if least == math.inf]
        which = f"serves {', '.join(unserved)}" if unserved else "serves all tasks together"
        raise ValueError(f"nothing at the cost of {budget} or less {which}")
    names = tuple(losses)
    return tuple(names[place] for place in search.best)


@attrs.frozen
class _Candidate:
    """A network, by its place among the given ones, with its loss of each task, infinite where it serves none."""

    place: int
    losses: Sequence[float]
    cost: Fraction

    def is_beaten_by(self, other: _Candidate) -> bool:
        """Whether another, at no more, is as good for every task."""
        no_worse = other.cost <= self.cost and all(a <= b for a, b in zip(other.losses, self.losses, strict=True))
        same = other.cost == self.cost and other.losses == self.losses
        return no_worse and (not same or other.place < self.place)


class _Search:
    """Branch and bound over candidates, each taken or not."""

    def __init__(self, tasks: int, candidates: Sequence[_Candidate], budget: Fraction) -> None:
        within = [each for each in candidates if each.cost <= budget]
        worth = [each for each in within if not any(map(each.is_beaten_by, within))]
        self._order = sorted(worth, key=lambda each: (each.losses.count(math.inf), sum(each.losses), each.place))
        self.least: list[list[float]] = [[math.inf] * tasks]
        """For each place in the order, the least loss of each task from there on."""
        for each in reversed(self._order):
            self.least.insert(0, list(map(min, self.least[0], each.losses)))
        self.best: tuple[int, ...] | None = None
        self._value: tuple[float, Fraction, int] = (math.inf, Fraction(0), 0)
        self._from(0, [math.inf] * tasks, budget, Fraction(0), ())

    def _from(self, start: int, found: list[float], left: Fraction, spent: Fraction, taken: tuple[int, ...]) -> None:
        total = math.fsum(found)
        if total < math.inf and (value := (total, spent, len(taken))) < self._value:
            self._value, self.best = value, tuple(sorted(taken))
        for number in range(start, len(self._order)):
            if math.fsum(map(min, found, self.least[number])) > self._value[0]:
                return  # what is left betters nothing
            each = self._order[number]
            if each.cost <= left and any(a < b for a, b in zip(each.losses, found, strict=True)):
                better = list(map(min, found, each.losses))
                self._from(number + 1, better, left - each.cost, spent + each.cost, (*taken, each.place))


def _loss(name: Hashable, task: str, of_tasks: Mapping[str, float]) -> float:
    loss = of_tasks.get(task)
    if loss is not None and not math.isfinite(loss):
        raise ValueError(f"the loss of {task} in {name} is {loss}, not a finite number")
    return math.inf if loss is None else loss


def _price(name: Network, cost: Mapping[Network, float]) -> Fraction:
    if name not in cost:
        raise ValueError(f"nothing says what {name} costs")
    price = _written(cost[name], f"the cost of {name}")
    if price < 0:
        raise ValueError(f"the cost of {name} is {cost[name]}, below 0")
    return price


def _written(number: float, what: str) -> Fraction:
    """A number as it is written in decimals: 0.1 thrice is 0.3."""
    if not math.isfinite(number):
        raise ValueError(f"{what} is {number}, not a finite number")
    return Fraction(str(number))
