"""Learning to branch: every copy of a layer samples the one copy of the layer before that it reads; the tree of the
most probable choices is what is left.

Guo, Lee, Ulbricht, Learning to Branch for Multi-Task Learning, ICML 2020, arXiv 2006.01895.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.wiring import needed, reading_tasks, wired
from mtsldsl.language.constants import Constant
from mtsldsl.methods.ltb.language import Settings, Tree
from mtsldsl.methods.temperature import Anneal
from mtsldsl.runtime.learning.step import Position, keyed_generator
from mtsldsl.runtime.network.choosing import Choices
from mtsldsl.runtime.network.transfer import Members
from mtsldsl.runtime.structure.learner import Carry, Learner, Prepared, Proposal
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Copy, Sharing
from mtsldsl.sharing.component import HEADS
from mtsldsl.sharing.partition import in_order

__all__ = ["Anneal", "Ltb", "Settings"]


@attrs.frozen
class _Level:
    """The copies of a layer, and the places below it: those that choose one of them, and those that pass the layer by,
    as no head reads it by way of them. Its own places are its copies, and after them those that pass."""

    copies: tuple[Copy, ...]
    choosing: tuple[int, ...]
    passing: tuple[int, ...]

    def matrix(self, chosen: Tensor) -> Tensor:
        """What is chosen, (choosing, copies), with what passes: (places below, places)."""
        if not self.passing:
            return chosen
        passed = torch.eye(len(self.passing), dtype=chosen.dtype, device=chosen.device)
        whole = torch.cat([F.pad(chosen, (0, len(self.passing))), F.pad(passed, (len(self.copies), 0))])
        order = (*self.choosing, *self.passing)
        return whole[[order.index(place) for place in range(len(order))]]


@attrs.frozen
class _Path:
    """The copy of a layer in which paths of tasks meet, and the probability of the least probable choice on them.
    Where they pass the layer by, it is the copy that these tasks have already, or copies."""

    layer: str
    tasks: tuple[str, ...]
    copies: tuple[Copy, ...]
    probability: float


class Ltb(Learner):
    """Learns for every copy of a layer, and for every head, which copy of the layer before it reads.

    The layers in their order are the levels of the tree: the choice of a copy is of the level before; what it reads
    further up is what the copies between have chosen. So tasks that meet stay together up to the input, whatever reads
    what. A level that a head does not read, as where it begins with an earlier layer, is none for it: its path passes
    by, and copies that no head reads take no part. `logits` has for each layer a parameter (T, T), a row for each place
    of the level below it that chooses, a column for each of its copies, of which the sharing at the start has so many.
    """

    exact = True

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.logits = nn.ParameterDict()
        self._levels: dict[str, _Level] = {}
        self._read_by: Mapping[str, frozenset[str]] = {}
        self._start: Sharing | None = None
        self._reads: dict[str, tuple[str, ...]] = {}
        self._tasks: tuple[str, ...] = ()

    def begin(self, spec: Spec) -> None:
        """Every choice is as probable as any other."""
        self._tasks, self._start, self._read_by = spec.sharing.tasks, spec.sharing, reading_tasks(spec)
        self._levels = _levels(spec, self._read_by)
        self._reads = {layer.name: spec.backbone.inputs(layer.name) for layer in spec.layers}
        by_head = (read for task in spec.tasks for read in task.head.inputs if read in self._levels)
        self._reads[HEADS] = tuple(dict.fromkeys(by_head))
        count = len(self._tasks)
        self.logits.update({layer: nn.Parameter(torch.zeros(count, count)) for layer in self._levels})
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
        return self._composed(
            {
                layer: level.matrix(self._sample(layer, position, temperature))
                for layer, level in self._levels.items()
                if level.copies
            }
        )

    def _logits(self, layer: str) -> Tensor:
        """Those of the copies that there are: (places of the level below that choose, copies of the layer)."""
        level = self._levels[layer]
        logits: Tensor = self.logits[layer]
        return logits[: len(level.choosing), : len(level.copies)]

    def _sample(self, layer: str, position: Position, temperature: float) -> Tensor:
        logits = self._logits(layer)
        uniform = torch.rand(logits.shape, generator=keyed_generator(position, "choice", layer)).to(logits.device)
        noisy = logits - (-uniform.clamp(min=torch.finfo(uniform.dtype).tiny).log()).log()
        soft = (noisy / temperature).softmax(-1)
        return _one_hot(noisy.detach()) + (soft - soft.detach())

    def _composed(self, chosen: Mapping[str, Tensor]) -> Choices:
        """For each layer and what it reads, level by level: the choices of the levels between, one after the other."""
        names = list(chosen)
        found = {}
        for reader, reads in self._reads.items():
            if reader != HEADS and reader not in chosen:
                continue
            readers = len(self._tasks if reader == HEADS else self._levels[reader].copies)
            level = len(names) if reader == HEADS else names.index(reader)
            product = None
            for layer in reversed(names[min(map(names.index, reads), default=level) : level]):
                product = chosen[layer] if product is None else product @ chosen[layer]
                if layer in reads:
                    found[reader, layer] = product[:readers, : len(self._levels[layer].copies)]
        return found

    def _paths(self) -> list[_Path]:
        """Where the paths of tasks from their heads to the input meet, by the most probable choices."""
        at = {task: (place, 1.0) for place, task in enumerate(self._tasks)}
        found = []
        for layer, level in reversed(self._levels.items()):
            probabilities = self._logits(layer).detach().double().softmax(-1).cpu().tolist()
            best = [(row.index(max(row)), max(row)) for row in probabilities]
            passed = ((place, 1.0) for place in range(len(level.copies), len(level.copies) + len(level.passing)))
            to = dict(zip((*level.choosing, *level.passing), (*best, *passed), strict=True))
            at = {task: (to[place][0], min(least, to[place][1])) for task, (place, least) in at.items()}
            for place in sorted({place for place, _ in at.values()}):
                met = {task: least for task, (chosen, least) in at.items() if chosen == place}
                copies = level.copies[place : place + 1] or self._own(layer, met)
                found.append(_Path(layer, in_order(met, self._tasks), copies, min(met.values())))
        return found

    def _own(self, layer: str, tasks: Collection[str]) -> tuple[Copy, ...]:
        """The copies of a layer that tasks have at the start."""
        assert self._start is not None
        return tuple(Copy(layer, each) for each in self._start.partition(layer) if not each.isdisjoint(tasks))

    def present(self, sharing: Sharing) -> Sharing:
        """The tree of the most probable choices."""
        if not self.choosing:
            return sharing
        rows: dict[str, list[tuple[str, ...]]] = {layer: [] for layer in self._levels}
        for path in self._paths():
            rows[path.layer].append(path.tasks)
        return sharing.given(rows)

    def stand_ins(self, sharing: Sharing) -> Members:
        """The copies at which the paths meet."""
        if not self.choosing:
            return {}
        return {Copy(path.layer, frozenset(path.tasks)): path.copies for path in self._paths()}

    @property
    def begins_anew(self) -> bool:
        """Where the settings ask for it."""
        return self.settings.retrain

    def due(self, position: Position) -> bool:
        """At the end of the epoch of the choice."""
        return self.choosing and position.epoch == self.settings.choose

    def decide(self, view: View) -> Proposal:
        """The tree, and a line of `history` for each of its copies in which paths meet."""
        order = [layer for layer, level in self._levels.items() if level.copies]
        met = (
            attrs.evolve(path, tasks=in_order(self._read_by[path.layer].intersection(path.tasks), self._tasks))
            for path in self._paths()
        )
        paths = sorted(
            (path for path in met if path.tasks),
            key=lambda path: (order.index(path.layer), self._tasks.index(path.tasks[0])),
        )
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
        """New weights for the tree, as the run began with, where the settings ask for it."""
        if self.begins_anew:
            carry.begin_anew()
        return Prepared(anew=self.settings.retrain)

    def adopted(self, spec: Spec) -> None:
        """All is chosen."""
        self.choosing = False


def _levels(spec: Spec, read_by: Mapping[str, Collection[str]]) -> dict[str, _Level]:
    """The levels of the tree. As many places as tasks are enough: of those of a level each is for a task of its own."""
    found: dict[str, _Level] = {}
    calls = needed(wired(spec))
    reads = [{layer for layer, tasks in read_by.items() if task in tasks} for task in spec.sharing.tasks]
    for layer in reversed(spec.backbone.layers):
        copies = tuple(copy for call in calls if call.layer == layer for copy in call.copies)
        choosing = tuple(place for place, layers in enumerate(reads) if layer in layers)
        passing = tuple(place for place, layers in enumerate(reads) if layer not in layers)
        found[layer] = _Level(copies, choosing, passing)
        beyond = set[str]().union(*(reads[place] for place in choosing))
        reads = [*(beyond for _ in copies), *(reads[place] for place in passing)]
    return dict(reversed(found.items()))


def _one_hot(values: Tensor) -> Tensor:
    """A 1 for the largest of each row, 0 for the others."""
    return nn.functional.one_hot(values.argmax(-1), values.shape[-1]).to(values)
