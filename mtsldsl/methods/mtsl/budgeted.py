"""Merging under a budget: how far a phase goes, and what it merges to get there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import combinations

import attrs

from mtsldsl.ir.cost import copy_cost
from mtsldsl.ir.wiring import Value, reading_tasks
from mtsldsl.methods.merging_findings import BudgetSimilarity, Spending
from mtsldsl.methods.mtsl.language import Settings
from mtsldsl.methods.mtsl.merges import Merge
from mtsldsl.methods.similarities import Incomparable, reads_the_same
from mtsldsl.runtime.structure.similarities import comparable_tasks, similarity_matrices
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing.greedy import Similarities, merge_to
from mtsldsl.sharing.partition import Component


def merges_to_budget(view: View, settings: Settings, part: float) -> tuple[list[Merge], int]:
    """What a phase merges on the way to this part of the parameters of single-task networks, and at how many places it
    looked.

    Of what the network still has to lose each phase takes an even share with those to come, the last one all.
    """
    spec, start = view.spec, view.spec.sharing
    budget = Fraction(str(part)) * attrs.evolve(spec, sharing=start.apart()).cost().parameters
    now = spec.cost().parameters
    phases_left = len(settings.phases) - settings.phases.index(view.position.epoch)
    allowed = now - max(now - budget, Fraction(0)) / phases_left
    compared = _Compared.of(view, settings)
    found = merge_to(
        start,
        now,
        allowed,
        compared.at,
        lambda layer, tasks: copy_cost(spec, layer, tasks),
        sides=compared.sides,
        read_by=compared.read_by,
        moving=not compared.at_frontier,
    )
    view.say(Spending.kind, parameters=found.cost, allowed=int(allowed), budget=int(budget))
    merges = []
    for layer in start.backbone.layers:
        former = start.partition(layer)
        for tasks in found.sharing.partition(layer):
            if tasks not in former:
                pairs = list(map(frozenset, combinations(sorted(tasks), 2)))
                known = [compared.known[layer][pair] for pair in pairs if not any(pair <= each for each in former)]
                merges.append(Merge(layer, tasks, sum(known) / len(known)))
    return merges, len(compared.known)


@attrs.define
class _Compared:
    """Similarities, computed as they are asked for.

    Copies that are compared by what they make of what both read are compared at the frontier, where they do; so are
    all where a new copy is to learn what its members make of that. Others are compared layer by layer, all that read
    it at once.
    """

    view: View
    settings: Settings
    sides: list[Component]
    read_by: Mapping[str, Component]
    at_frontier: bool
    known: dict[str, dict[frozenset[str], float]] = attrs.field(factory=dict)
    """By layer, of every two tasks that were compared."""

    @classmethod
    def of(cls, view: View, settings: Settings) -> _Compared:
        """Nothing is compared yet."""
        at_frontier = reads_the_same(settings.similarity) or settings.transfer is not None
        sides = comparable_tasks(view, settings.similarity, view.spec.sharing.tasks)
        return cls(view, settings, sides, reading_tasks(view.spec), at_frontier)

    def at(self, layer: str, tasks: Component) -> Similarities:
        """Those of tasks that may merge at a layer."""
        if self.at_frontier or layer not in self.known:
            self._compare(layer, tasks if self.at_frontier else frozenset(self.view.spec.sharing.tasks))
        return self.known[layer]

    def _compare(self, layer: str, tasks: Iterable[str]) -> None:
        sharing, wanted = self.view.spec.sharing, frozenset(tasks)
        read = [
            component
            for component in sharing.partition(layer)
            if component <= wanted and not component.isdisjoint(self.read_by[layer])
        ]
        sides = [side for each in self.sides if (side := [component for component in read if component <= each])]
        if len(sides) > 1:
            what = {"difference": "samples of their own"} if self.settings.similarity.apart else {}
            named = [sorted(task for component in side for task in component) for side in sides]
            self.view.say(Incomparable.kind, layer=layer, tasks=named, **what)
        sides = [side for side in sides if len(side) > 1]
        values = sharing.all_values()[layer]
        own = [[Value(layer, values.of(min(component))[0]) for component in side] for side in sides]
        known = self.known.setdefault(layer, {})
        for side, matrix in zip(sides, similarity_matrices(self.view, self.settings.similarity, own), strict=True):
            rows = matrix.tolist()
            copy_of = {task: place for place, component in enumerate(side) for task in component}
            names = sorted(copy_of)
            table = [[rows[copy_of[one]][copy_of[other]] for other in names] for one in names]
            known |= {
                frozenset((one, other)): table[i][j]
                for i, one in enumerate(names)
                for j, other in enumerate(names)
                if copy_of[one] != copy_of[other]
            }
            self.view.say(BudgetSimilarity.kind, layer=layer, tasks=names, similarity=table)
