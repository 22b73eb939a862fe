"""Sharing by rote: nothing is drawn, measured or refused."""

from __future__ import annotations

from mtsldsl.methods.rote.language import Settings

from mtsldsl.ir import Decision
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.structure.learner import Learner, Proposal
from mtsldsl.runtime.structure.view import View

__all__ = ["Rote", "Settings"]


class Rote(Learner):
    """Merges all tasks that may at the first layer where some may."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def due(self, position: Position) -> bool:
        """At the end of every so many epochs."""
        return position.epoch % self.settings.every == 0

    def decide(self, view: View) -> Proposal:
        """The first place on the frontier."""
        sharing = view.spec.sharing
        if not sharing.frontier():
            return Proposal(sharing, ())
        layer, chosen = sharing.frontier()[0]
        names = tuple(task for task in sharing.tasks if task in chosen)
        turn = view.position.epoch // self.settings.every
        unite = Decision("unite", view.decided, {"layer": layer, "tasks": names, "turn": turn})
        return Proposal(sharing.merge(layer, chosen), (unite,))
