"""Parameter allocation: which alternatives of a layer a task uses is sampled while tasks learn, and learned with them.

Maziarz et al., Flexible Multi-task Networks by Learning Parameter Allocation, 2019, arXiv 1910.04915. What the text
leaves open is as in the authors' code: ties are on, zeros where nothing is used, the normaliser has a gradient too, and
the penalties are those of the tasks of the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from mtsldsl.ir import Decision, Spec
from mtsldsl.methods.allocation.language import USED, Anneal, Settings
from mtsldsl.methods.allocation.language import Allocation as Allocated
from mtsldsl.runtime.learning.step import Gates, Position, Step, keyed_generator
from mtsldsl.runtime.structure.learner import Learner, Proposal
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Cover, Sharing
from mtsldsl.sharing.partition import in_order

__all__ = ["Allocation", "Anneal", "Settings"]

_TINY = 1e-20
"""Keeps logarithms finite."""

ON = 0
"""The place of the logit by which a task uses an alternative; the other is that by which it does not."""


class Allocation(Learner):
    """Learns for every task which alternatives of each layer it uses, as far as the sharing lets it use them.

    `logits` has for each layer of alternatives a parameter (tasks, alternatives, 2), `allowed_<layer>` (tasks,
    alternatives) what a task may use at all.
    """

    exact = True

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.logits = nn.ParameterDict()
        self._tasks: tuple[str, ...] = ()
        self._alternatives: dict[str, tuple[str, ...]] = {}
        self._epochs = 0

    def begin(self, spec: Spec) -> None:
        """Every use that the sharing has is as probable as the settings say."""
        backbone, self._tasks, self._epochs = spec.backbone, spec.sharing.tasks, spec.train.epochs
        routed = [name for name in backbone.layers if backbone.alternatives(name) and not backbone.mixes(name)]
        self._alternatives = {name: backbone.alternatives(name) for name in routed}
        start = torch.tensor([math.log(self.settings.on), math.log1p(-self.settings.on)])
        for layer, alternatives in self._alternatives.items():
            self.logits[layer] = nn.Parameter(start.repeat(len(self._tasks), len(alternatives), 1))
            row = spec.sharing[layer]
            assert isinstance(row, Cover)
            allowed = [[(task, name) in row.pairs for name in alternatives] for task in self._tasks]
            self.register_buffer(_allowed(layer), torch.tensor(allowed))

    def options(self) -> Mapping[str, float]:
        """A rate of its own, and no decay."""
        return {"lr": self.settings.lr, "weight_decay": 0.0}

    def gates(self, tasks: Sequence[str], position: Position) -> Gates:
        """A sample of who uses what: 0 or 1 for each alternative that the task may use, with the gradient of the
        relaxed sample (straight-through; Jang et al., 2017, Maddison et al., 2017).

        The noise is drawn anew for each step, layer and task, by the seed of the run.
        """
        samples = {task: self._sample(task, position) for task in tasks}
        return {layer: {task: by_layer[layer] for task, by_layer in samples.items()} for layer in self.logits}

    def temperature(self, step: int) -> float:
        """That of a step, counted from 0 over the whole run."""
        anneal = self.settings.temperature
        return max(anneal.end, anneal.start / math.sqrt(step + 1))

    def _sample(self, task: str, position: Position) -> dict[str, Tensor]:
        """For each layer a number for each alternative that the task may use, of all layers at once."""
        place = self._tasks.index(task)
        logits = torch.cat([logits[place] for logits in self.logits.values()])
        counts = [len(alternatives) for alternatives in self._alternatives.values()]
        noise = torch.cat(
            [
                torch.rand(count, 2, generator=keyed_generator(position, layer, task))
                for layer, count in zip(self.logits, counts, strict=True)
            ]
        )
        gates = straight_through(logits, noise.to(logits.device), self.temperature(position.step))
        every = torch.split_with_sizes(gates, counts)
        found = dict(zip(self.logits, every, strict=True))
        may_use = {layer: self._may_use(layer, task) for layer in found}
        if torch.cat(list(may_use.values())).all():
            return found
        return {layer: each[may_use[layer]] for layer, each in found.items()}

    def _may_use(self, layer: str, task: str) -> Tensor:
        allowed: Tensor = self.get_buffer(_allowed(layer))[self._tasks.index(task)]
        return allowed

    def _logits(self, layer: str, task: str) -> Tensor:
        """Those of the alternatives that a task may use, (alternatives, 2)."""
        logits: Tensor = self.logits[layer][self._tasks.index(task)]
        return logits[self._may_use(layer, task)]

    def usable(self, sharing: Sharing) -> Sharing:
        """What tasks may use while they learn."""
        rows = {
            layer: Cover.of_pairs(self._pairs(self.get_buffer(_allowed(layer)), alternatives), alternatives)
            for layer, alternatives in self._alternatives.items()
        }
        return sharing.given({**sharing.components, **rows})

    def present(self, sharing: Sharing) -> Sharing:
        """What tasks use by now: what is as probable as not, or more so."""
        return sharing.given({**sharing.components, **self._uses()})

    def _uses(self) -> dict[str, Cover]:
        found = {}
        for layer, alternatives in self._alternatives.items():
            on = self._probabilities(layer) >= USED
            found[layer] = Cover.of_pairs(self._pairs(on, alternatives), alternatives)
        return found

    def _probabilities(self, layer: str) -> Tensor:
        """That a task uses an alternative, (tasks, alternatives): 0 where it may not."""
        logits: Tensor = self.logits[layer]
        return logits.detach().softmax(-1)[..., ON] * self.get_buffer(_allowed(layer))

    def _pairs(self, on: Tensor, alternatives: Sequence[str]) -> Iterator[tuple[str, str]]:
        for task, row in zip(self._tasks, on.tolist(), strict=True):
            yield from ((task, name) for name, used in zip(alternatives, row, strict=True) if used)

    def penalty(self, step: Step) -> Tensor | None:
        """What the tasks of the step use, as far as it costs: above the budget (section 3.3), at all, in doubt, or
        nowhere at a layer. The mean loss of a task's samples goes beside it."""
        chosen = self.settings
        if not chosen.has_penalty:
            return None
        total = sum(map(len, self._alternatives.values()))
        terms: list[Tensor] = []
        for task in in_order(step.outputs, self._tasks):
            by_layer = [self._logits(layer, task).softmax(-1)[:, ON] for layer in self.logits]
            on = torch.cat(by_layer)
            if chosen.budget is not None and chosen.budget_weight:
                terms.append(chosen.budget_weight * (on.sum() / total - chosen.budget).clamp(min=0))
            if chosen.entropy_weight:
                weight = chosen.entropy_weight * step.progress**chosen.entropy_power
                terms.append(weight * (torch.special.entr(on) + torch.special.entr(1 - on)).sum())
            if chosen.connection_weight:
                terms.append(chosen.connection_weight * on.sum())
            if chosen.disconnection_weight:
                nothing = torch.stack([(1 - each).prod() for each in by_layer])
                terms.append(chosen.disconnection_weight * nothing.sum())
        return torch.stack(terms).sum()

    def due(self, position: Position) -> bool:
        """At the end of the epochs of `write`, and of the last."""
        return position.epoch in self.settings.write or position.epoch == self._epochs

    def decide(self, view: View) -> Proposal:
        """What tasks use by now, and a line of `history` for each layer and task that uses something else than the
        spec says."""
        before, after = view.spec.sharing, self.present(view.spec.sharing)
        probabilities = {layer: self._probabilities(layer).tolist() for layer in self.logits}
        view.say(Allocated.kind, tasks=self._tasks, alternatives=self._alternatives, probabilities=probabilities)
        decisions = [
            Decision("allocate", view.decided, {"layer": layer, "task": (task,), "uses": after.uses(layer, task)})
            for layer in self._alternatives
            for task in self._tasks
            if after.uses(layer, task) != before.uses(layer, task)
        ]
        return Proposal(after, tuple(decisions))

    def adopted(self, spec: Spec) -> None:
        """What no task used is gone for all."""
        for layer, alternatives in self._alternatives.items():
            row = spec.sharing[layer]
            assert isinstance(row, Cover)
            there = {use.alternative for use in row}
            live = torch.tensor([name in there for name in alternatives])
            allowed = self.get_buffer(_allowed(layer))
            allowed &= live.to(allowed.device)


def _allowed(layer: str) -> str:
    return f"allowed_{layer}"


def straight_through(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Samples of 0 or 1, (n,), from logits and uniform random numbers (n, 2): the larger of the two noisy logits, both
    where they are equal, with the gradient of their softmax at the temperature."""
    noisy = logits - (-(uniform + _TINY).log() + _TINY).log()
    soft = (noisy / temperature).softmax(-1)[:, ON]
    hard = (noisy[:, ON] >= noisy[:, 1 - ON]).to(soft)
    return hard + (soft - soft.detach())
