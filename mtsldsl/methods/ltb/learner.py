"""Learning to branch: every copy of a layer samples the one copy of the layer before that it reads; the tree of the
most probable choices is what is left.

Guo, Lee, Ulbricht, Learning to Branch for Multi-Task Learning, ICML 2020, arXiv 2006.01895.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.wiring import copies_of
from mtsldsl.language.constants import Constant
from mtsldsl.methods.ltb.language import Settings, Tree
from mtsldsl.methods.temperature import Anneal
from mtsldsl.runtime.learning.step import Position, keyed_generator
from mtsldsl.runtime.network.built import initialise
from mtsldsl.runtime.network.choosing import Choices
from mtsldsl.runtime.network.transfer import Members
from mtsldsl.runtime.structure.learner import Carry, Learner, Prepared, Proposal
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Copy, Sharing
from mtsldsl.sharing.component import HEADS
from mtsldsl.sharing.partition import in_order

__all__ = ["Anneal", "Ltb", "Settings"]


@attrs.frozen
class _Path:
    """The copy of a layer in which paths of tasks meet, and the probability of the least probable choice on them."""

    layer: str
    tasks: tuple[str, ...]
    copy: Copy
    probability: float


class Ltb(Learner):
    """Learns for every copy of a layer, and for every head, which copy of the layer before it reads.

    The layers in their order are the levels of the tree: the choice of a copy is of the level before; what it reads
    further up is what the copies between have chosen. So tasks that meet stay together up to the input, whatever reads
    what. `logits` has for each layer a parameter (T, T), a row for each copy of the level below it, a column for each
    of its copies, of which the sharing at the start has so many as it has copies.
    """

    exact = True

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.logits = nn.ParameterDict()
        self._copies: dict[str, tuple[Copy, ...]] = {}
        self._reads: dict[str, tuple[str, ...]] = {}
        self._tasks: tuple[str, ...] = ()

    def begin(self, spec: Spec) -> None:
        """Every choice is as probable as any other."""
        self._tasks = spec.sharing.tasks
        self._copies = {layer.name: copies_of(spec.sharing, layer.name) for layer in spec.layers}
        self._reads = {layer.name: spec.backbone.inputs(layer.name) for layer in spec.layers}
        by_head = (read for task in spec.tasks for read in task.head.inputs if read in self._copies)
        self._reads[HEADS] = tuple(dict.fromkeys(by_head))
        count = len(self._tasks)
        self.logits.update({layer: nn.Parameter(torch.zeros(count, count)) for layer in self._copies})
        self.choosing = True

    def facts(self) -> Mapping[str, Any]:
        """Whether it still chooses."""
        return {"choosing": self.choosing}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Know that again."""
        self.choosing = facts["choosing"]

    def options(self) -> Mapping[str, float]:
        """A rate of its own, and no decay."""
        return {"lr": self.settings.lr, "weight_decay": 0.0}

    def choices(self, position: Position) -> Choices:
        """A sample for each copy, with the gradient of the relaxed one (straight-through Gumbel-softmax).

        The noise is drawn anew for each step and layer, by the seed of the run.
        """
        temperature = self.settings.temperature.at(position.step)
        return self._composed({layer: self._sample(layer, position, temperature) for layer in self._copies})

    def _logits(self, layer: str) -> Tensor:
        """Those of the copies that there are: (copies of the level below, copies of the layer)."""
        logits: Tensor = self.logits[layer]
        return logits[: len(self._below(layer)), : len(self._copies[layer])]

    def _below(self, layer: str) -> tuple[object, ...]:
        """The copies that choose one of a layer: those of the next layer, or the heads."""
        names = list(self._copies)
        place = names.index(layer) + 1
        return self._copies[names[place]] if place < len(names) else self._tasks

    def _sample(self, layer: str, position: Position, temperature: float) -> Tensor:
        logits = self._logits(layer)
        uniform = torch.rand(logits.shape, generator=keyed_generator(position, "choice", layer)).to(logits.device)
        noisy = logits - (-uniform.clamp(min=torch.finfo(uniform.dtype).tiny).log()).log()
        soft = (noisy / temperature).softmax(-1)
        return _one_hot(noisy.detach()) + (soft - soft.detach())

    def _composed(self, chosen: Mapping[str, Tensor]) -> Choices:
        """For each layer and what it reads, level by level: the choices of the levels between, one after the other."""
        names = list(self._copies)
        found = {}
        for reader, reads in self._reads.items():
            level = len(names) if reader == HEADS else names.index(reader)
            product = None
            for layer in reversed(names[min(map(names.index, reads), default=level) : level]):
                product = chosen[layer] if product is None else product @ chosen[layer]
                if layer in reads:
                    found[reader, layer] = product
        return found

    def _paths(self) -> list[_Path]:
        """Where the paths of tasks from their heads to the input meet, by the most probable choices."""
        at = {task: (place, 1.0) for place, task in enumerate(self._tasks)}
        found = []
        for layer in reversed(self._copies):
            probabilities = self._logits(layer).detach().double().softmax(-1).cpu()
            best = probabilities.argmax(-1).tolist()
            at = {
                task: (best[place], min(least, float(probabilities[place, best[place]])))
                for task, (place, least) in at.items()
            }
            for place, copy in enumerate(self._copies[layer]):
                met = {task: least for task, (chosen, least) in at.items() if chosen == place}
                if met:
                    found.append(_Path(layer, in_order(met, self._tasks), copy, min(met.values())))
        return found

    def present(self, sharing: Sharing) -> Sharing:
        """The tree of the most probable choices."""
        if not self.choosing:
            return sharing
        rows: dict[str, list[tuple[str, ...]]] = {layer: [] for layer in self._copies}
        for path in self._paths():
            rows[path.layer].append(path.tasks)
        return sharing.given(rows)

    def stand_ins(self, sharing: Sharing) -> Members:
        """The copies at which the paths meet."""
        if not self.choosing:
            return {}
        return {Copy(path.layer, frozenset(path.tasks)): (path.copy,) for path in self._paths()}

    def due(self, position: Position) -> bool:
        """At the end of the epoch of the choice."""
        return self.choosing and position.epoch == self.settings.choose

    def decide(self, view: View) -> Proposal:
        """The tree, and a line of `history` for each of its copies in which paths meet."""
        order = list(self._copies)
        paths = sorted(self._paths(), key=lambda path: (order.index(path.layer), self._tasks.index(path.tasks[0])))
        by_layer = {layer: [path for path in paths if path.layer == layer] for layer in order}
        view.say(
            Tree.kind,
            layers=order,
            sets=[[path.tasks for path in each] for each in by_layer.values()],
            least=[[path.probability for path in each] for each in by_layer.values()],
        )
        decisions = []
        for path in paths:
            if len(path.tasks) > 1:
                probability = round(path.probability, 4)
                fields: dict[str, Constant] = {"layer": path.layer, "tasks": path.tasks, "probability": probability}
                decisions.append(Decision("meet", view.decided, fields))
        sharing = view.spec.sharing
        return Proposal(self.present(sharing), tuple(decisions), made=self.stand_ins(sharing))

    def prepare(self, carry: Carry, view: View) -> Prepared:
        """New weights for the tree, as a run of its spec begins with, where the settings ask for it."""
        if self.settings.retrain:
            initialise(carry.new_model, carry.new_spec, carry.new_spec.train.seed, but=carry.new_spec.frozen)
        return Prepared(anew=self.settings.retrain)

    def adopted(self, spec: Spec) -> None:
        """All is chosen."""
        self.choosing = False


def _one_hot(values: Tensor) -> Tensor:
    """A 1 for the largest of each row, 0 for the others."""
    return nn.functional.one_hot(values.argmax(-1), values.shape[-1]).to(values)
