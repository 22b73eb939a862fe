"""Sharing by chance: what a learner must do, and nothing more."""

from __future__ import annotations

import random

from mtsldsl.methods.chance.language import Draw, Settings

from mtsldsl.ir import Decision
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.structure.learner import Learner, Proposal
from mtsldsl.runtime.structure.view import View

__all__ = ["Chance", "Settings"]


class Chance(Learner):
    """Merges two components of a layer at the end of each of its epochs."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self._epoch = 0

    def due(self, position: Position) -> bool:
        """At the end of its epochs."""
        return position.epoch in self.settings.epochs

    def decide(self, view: View) -> Proposal:
        """Draw a place where tasks may merge, and two components there."""
        self._epoch = view.position.epoch
        drawn = random.Random(f"{self.settings.seed} {view.position.epoch}")
        frontier = view.spec.sharing.frontier()
        if not frontier:
            return Proposal(view.spec.sharing, (), {"drawn_from": 0})
        layer, tasks = drawn.choice(frontier)
        view.say(Draw.kind, layer=layer, of=len(frontier))
        inside = [component for component in view.spec.sharing[layer] if component <= tasks]
        chosen = frozenset().union(*drawn.sample(inside, 2))
        names = tuple(task for task in view.spec.sharing.tasks if task in chosen)
        join = Decision("join", view.decided, {"layer": layer, "tasks": names, "luck": round(drawn.random(), 4)})
        return Proposal(view.spec.sharing.merge(layer, chosen), (join,), {"drawn_from": len(frontier)})

    def accept(self, before: Evaluation, after: Evaluation) -> bool:
        """Not at the end of the epoch at which it is wary."""
        return self._epoch != self.settings.wary
