"""Parameter allocation: which alternatives of a layer a task uses is sampled while tasks learn, and learned with them.

Maziarz et al., Flexible Multi-task Networks by Learning Parameter Allocation, 2019, arXiv 1910.04915. What the text
leaves open is as in the authors' code: ties are on, zeros where nothing is used, the normaliser has a gradient too, and
the penalties are those of the tasks of the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.wiring import reading_tasks
from mtsldsl.methods.allocation.language import USED, Settings
from mtsldsl.methods.allocation.language import Allocation as Allocated
from mtsldsl.methods.temperature import Anneal
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
    """Learns for every task which alternatives of each layer it uses, as far as the sharing lets it use them. Of a
    layer that it does not read, as where its head begins with an earlier one, it uses none.

    `logits` has for each task a parameter (alternatives, 2), those of all layers side by side, `allowed` (tasks,
    alternatives) what a task may use at all, `layer_of` (alternatives) the number of the layer of each. Each task has a
    parameter of its own, so that a step of others moves it no more than it moves the task's head. (In the authors' code
    they are parts of one tensor, which Adam goes on moving by its momentum in the steps of all tasks.)
    """

    exact = True
    earlier_best = True
    allowed: Tensor
    layer_of: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.logits = nn.ParameterDict()
        self._tasks: tuple[str, ...] = ()
        self._alternatives: dict[str, tuple[str, ...]] = {}
        self._read_by: Mapping[str, frozenset[str]] = {}
        self._counts: list[int] = []
        self._epochs = 0
        self._all_allowed = True

    def begin(self, spec: Spec) -> None:
        """Every use that the sharing has is as probable as the settings say."""
        backbone, self._tasks, self._epochs = spec.backbone, spec.sharing.tasks, spec.train.epochs
        routed = [name for name in backbone.layers if backbone.alternatives(name) and not backbone.mixes(name)]
        self._alternatives = {name: backbone.alternatives(name) for name in routed}
        self._counts = [len(alternatives) for alternatives in self._alternatives.values()]
        start = torch.tensor([math.log(self.settings.on), math.log1p(-self.settings.on)])
        self.logits.update({task: nn.Parameter(start.repeat(sum(self._counts), 1)) for task in self._tasks})
        self._read_by = reading_tasks(spec)
        uses = [
            {layer: spec.sharing.uses(layer, task) if self._reads(task, layer) else () for layer in routed}
            for task in self._tasks
        ]
        allowed = [[name in used[layer] for layer in routed for name in self._alternatives[layer]] for used in uses]
        self.register_buffer("allowed", torch.tensor(allowed))
        numbers = torch.arange(len(routed)).repeat_interleave(torch.tensor(self._counts))
        self.register_buffer("layer_of", numbers, persistent=False)
        self._all_allowed = bool(self.allowed.all())

    def restore(self, facts: Mapping[str, Any]) -> None:
        """What tasks may use was loaded with the other tensors."""
        self._all_allowed = bool(self.allowed.all())

    def options(self) -> Mapping[str, float]:
        """A rate of its own, and no decay."""
        return {"lr": self.settings.lr, "weight_decay": 0.0}

    def gates(self, tasks: Sequence[str], position: Position) -> Gates:
        """A sample of who uses what: for each alternative that a task may use, 1 over how many it uses of the layer, or
        0, with the gradient of the relaxed sample (straight-through; Jang et al., 2017, Maddison et al., 2017) and of
        the count.

        The noise is drawn anew for each step, layer and task, by the seed of the run.
        """
        samples = {task: self._sample(task, position) for task in tasks}
        return {layer: {task: by_layer[layer] for task, by_layer in samples.items()} for layer in self._alternatives}

    def noise(self, task: str, position: Position) -> Tensor:
        """Uniform random numbers (alternatives, 2) for a task of a step."""
        drawn = [
            torch.rand(count, 2, generator=keyed_generator(position, layer, task))
            for layer, count in zip(self._alternatives, self._counts, strict=True)
        ]
        return torch.cat(drawn)

    def _sample(self, task: str, position: Position) -> dict[str, Tensor]:
        place = self._tasks.index(task)
        logits = self.logits[task]
        on = straight_through(
            logits, self.noise(task, position).to(logits.device), self.settings.temperature.at(position.step)
        )
        if not self._all_allowed:
            on = on.masked_fill(~self.allowed[place], 0)
        by_layer = self._by_layer(means(on, self.layer_of, len(self._counts)))
        if self._all_allowed:
            return by_layer
        may_use = self._by_layer(self.allowed[place])
        return {layer: each[may_use[layer]] for layer, each in by_layer.items()}

    def _by_layer(self, numbers: Tensor) -> dict[str, Tensor]:
        """What all alternatives have, (..., alternatives), layer by layer."""
        return dict(zip(self._alternatives, torch.split_with_sizes(numbers, self._counts, -1), strict=True))

    def usable(self, sharing: Sharing) -> Sharing:
        """What tasks may use while they learn."""
        return self._with_uses(sharing, self.allowed)

    def present(self, sharing: Sharing) -> Sharing:
        """What tasks use by now: what is as probable as not, or more so."""
        return self._with_uses(sharing, self._probabilities() >= USED)

    def _with_uses(self, sharing: Sharing, used: Tensor) -> Sharing:
        """A sharing with what tasks use, (tasks, alternatives)."""
        rows = {}
        for layer, of_layer in self._by_layer(used).items():
            alternatives = self._alternatives[layer]
            rows[layer] = Cover.of_pairs(self._pairs(of_layer, alternatives), alternatives)
        return sharing.given({**sharing.components, **rows})

    def _reads(self, task: str, layer: str) -> bool:
        return task in self._read_by[layer]

    def _probabilities(self) -> Tensor:
        """That a task uses an alternative, (tasks, alternatives): 0 where it may not."""
        logits = torch.stack([self.logits[task].detach() for task in self._tasks])
        return logits.softmax(-1)[..., ON] * self.allowed

    def _pairs(self, on: Tensor, alternatives: Sequence[str]) -> Iterator[tuple[str, str]]:
        for task, row in zip(self._tasks, on.tolist(), strict=True):
            yield from ((task, name) for name, used in zip(alternatives, row, strict=True) if used)

    def penalty(self, step: Step) -> Tensor | None:
        """What the tasks of the step use, as far as it costs: above the budget (section 3.3), at all, in doubt, or
        nowhere at a layer. The mean loss of a task's samples goes beside it."""
        chosen = self.settings
        if not chosen.has_penalty:
            return None
        terms: list[Tensor] = []
        for task in in_order(step.outputs, self._tasks):
            layers = [layer for layer in self._alternatives if self._reads(task, layer)]
            if not layers:
                continue
            on = self.logits[task].softmax(-1)[:, ON]
            if not self._all_allowed:
                on = on.masked_fill(~self.allowed[self._tasks.index(task)], 0)
            if chosen.budget is not None and chosen.budget_weight:
                count = sum(len(self._alternatives[layer]) for layer in layers)
                terms.append(chosen.budget_weight * (on.sum() / count - chosen.budget).clamp(min=0))
            if chosen.entropy_weight:
                weight = chosen.entropy_weight * step.progress**chosen.entropy_power
                terms.append(weight * (torch.special.entr(on) + torch.special.entr(1 - on)).sum())
            if chosen.connection_weight:
                terms.append(chosen.connection_weight * on.sum())
            if chosen.disconnection_weight:
                by_layer = self._by_layer(on)
                nothing = torch.stack([(1 - by_layer[layer]).prod() for layer in layers])
                terms.append(chosen.disconnection_weight * nothing.sum())
        return torch.stack(terms).sum() if terms else None

    def due(self, position: Position) -> bool:
        """At the end of the epochs of `write`, and of the last."""
        return position.epoch in self.settings.write or position.epoch == self._epochs

    def decide(self, view: View) -> Proposal:
        """What tasks use by now, and a line of `history` for each layer and task that uses something else than the
        spec says."""
        before, after = view.spec.sharing, self.present(view.spec.sharing)
        probabilities = {layer: each.tolist() for layer, each in self._by_layer(self._probabilities()).items()}
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
        live: list[bool] = []
        for layer, alternatives in self._alternatives.items():
            used = {name for task in self._tasks for name in spec.sharing.uses(layer, task)}
            live += [name in used for name in alternatives]
        self.allowed &= torch.tensor(live, device=self.allowed.device)
        self._all_allowed = bool(self.allowed.all())


def straight_through(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Samples of 0 or 1, (n,), from logits and uniform random numbers (n, 2): the larger of the two noisy logits, both
    where they are equal, with the gradient of their softmax at the temperature."""
    noisy = logits - (-(uniform + _TINY).log() + _TINY).log()
    soft = (noisy / temperature).softmax(-1)[:, ON]
    hard = (noisy[:, ON] >= noisy[:, 1 - ON]).to(soft)
    return hard + (soft - soft.detach())


def means(on: Tensor, layer_of: Tensor, layers: int) -> Tensor:
    """What makes the mean of what is on in each layer, (n,), from 0 or 1 for each alternative and the number of its
    layer: 1 over the sum of the layer, 0 where that is 0."""
    counts = on.new_zeros(layers).index_add(0, layer_of, on).clamp(min=1)
    return on / counts.index_select(0, layer_of)
