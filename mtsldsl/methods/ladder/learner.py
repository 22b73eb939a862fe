"""A ladder of budgets: at each size the shapes of sharing that fit train side by side, on the same batches, and the
worse half of them is dropped until one is left (successive halving).

Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016, arXiv
1502.07943.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.cost import cost_of, sizes_of
from mtsldsl.language import Constant
from mtsldsl.methods.ladder.candidate import Beginnings, Candidate
from mtsldsl.methods.ladder.gains import gains_over_mean, judging
from mtsldsl.methods.ladder.language import KNEE, Chosen, Rung, Settings
from mtsldsl.runtime.learning.beside import Beside
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.known_gradients import gradients_of, losses_with_gradients, with_gradients
from mtsldsl.runtime.learning.learned import balance_of
from mtsldsl.runtime.learning.step import Position, Step
from mtsldsl.runtime.network.built import build_model, place
from mtsldsl.runtime.network.inputs import as_values, each_of, inputs_in
from mtsldsl.runtime.network.module_state import give_state
from mtsldsl.runtime.network.optimizer_state import ParameterState
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.runtime.objectives.relative_gain import Results
from mtsldsl.runtime.structure.learner import Carry, Learner, Prepared, Proposal
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Sharing
from mtsldsl.sharing.component import LEARNER, NETWORK
from mtsldsl.sharing.halving import best_within, halvings, knee, looks
from mtsldsl.sharing.shape import Shape, budget_name

__all__ = ["Ladder", "Settings"]


class Ladder(Learner):
    """Trains `candidates`, the shapes that fit the budgets, in the place of the network of the run, which takes up the
    one that is picked when the search is over; the best at the other budgets, `others`, go on beside it.

    `_left` has for each budget the names of the candidates that are left, from the best to the worst as far as they
    were compared; `_seen` of each of these what it reached on validation, by epoch;
    `_rungs` how many of a budget go on after which epochs.
    """

    exact = True
    of_part = True

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.candidates = nn.ModuleDict()
        self.others = nn.ModuleList()
        self._own: tuple[str, ...] = ()
        self._left: dict[float, list[str]] = {}
        self._seen: dict[str, dict[int, Results]] = {}
        self._pick = 0.0
        self._rungs: dict[float, dict[int, int]] = {}
        self._end = 0

    def begin(self, spec: Spec) -> None:
        """All shapes that fit a budget; that of several budgets is one candidate."""
        self._spec = spec
        self._sizes = sizes = sizes_of(spec)
        self._balance = balance_of(spec)
        edges = {budget: sizes.edge(budget) for budget in self.settings.budgets_of(sizes)}
        self._rungs, self._end = {}, 0
        for budget, shapes in edges.items():
            ends, end = self.settings.schedule(len(shapes)).search(spec.train.epochs)
            self._rungs[budget] = dict(zip(ends, halvings(len(shapes)), strict=True))
            self._end = max(self._end, end)
        self._pick = self.settings.picked_of(list(edges))
        self._left = {budget: [shape.name for shape in shapes] for budget, shapes in edges.items()}
        most = {shape: len(shapes) for shapes in sorted(edges.values(), key=len) for shape in shapes}
        for shape in dict.fromkeys(shape for shapes in edges.values() for shape in shapes):
            # Copies of a shape of several budgets are chosen before the first of these compares it.
            self.candidates[shape.name] = Candidate(shape, Beginnings(spec, sizes), self.settings.schedule(most[shape]))
        self.instead = True

    def begins_with(self, spec: Spec, model: nn.Module) -> None:
        """All candidates begin with them too."""
        for candidate in self._candidates().values():
            filled = Candidate(candidate.shape, Beginnings(spec, self._sizes, model), candidate.schedule)
            give_state(candidate, filled.state_dict())

    def facts(self) -> Mapping[str, Any]:
        """Which candidates are left, and who has which copy; or who shares what in the networks that are kept."""
        return {
            "instead": self.instead,
            "left": [[budget, names] for budget, names in self._left.items()],
            "seen": {name: list(map(list, by_epoch.items())) for name, by_epoch in self._seen.items()},
            "chosen": {name: each.chosen for name, each in self._candidates().items() if each.chosen is not None},
            "own": list(self._own),
            "others": [[list(each.names), _rows(each.spec.sharing), each.spec.source.text] for each in self.beside()],
        }

    def prepare_for(self, facts: Mapping[str, Any]) -> None:
        """Have those candidates, or these networks."""
        self.instead = facts["instead"]
        self._left = {budget: list(names) for budget, names in facts["left"]}
        self._seen = {name: dict(map(tuple, by_epoch)) for name, by_epoch in facts["seen"].items()}
        self._own = tuple(facts["own"])
        self._forget()
        for name, chosen in facts["chosen"].items():
            candidate = self._candidates()[name]
            if candidate.chosen is None:
                candidate.take(chosen)
        device = next((each.device for each in self.parameters()), torch.device("cpu"))
        for names, rows, text in facts["others"]:
            source = attrs.evolve(self._spec.source, text=text)
            spec = attrs.evolve(self._with(self._spec.sharing.given(rows)), source=source)
            self.others.append(Beside(tuple(names), spec, place(build_model(spec), spec, device)))
        if not self.instead:
            self.candidates.clear()

    def _candidates(self) -> dict[str, Candidate]:
        return {name: each for name, each in self.candidates.items() if isinstance(each, Candidate)}

    def beside(self) -> Sequence[Beside]:
        """The networks of the other budgets, once they are found."""
        return [each for each in self.others if isinstance(each, Beside)]

    @property
    def own_names(self) -> tuple[str, ...]:
        """The budgets at which that was the best."""
        return self._own

    def apart(self) -> Sequence[nn.Module]:
        """Each candidate, or each network that is left."""
        return [*self._candidates().values(), *(each.network for each in self.beside())]

    def _with(self, sharing: Sharing) -> Spec:
        return Beginnings(self._spec, self._sizes).of(sharing)

    # A step.

    def learn(self, step: Step) -> tuple[BatchLosses, Tensor]:
        """One of every candidate, one after the other, so that the activations of one are in memory; what is told is
        of the one that leads."""
        inputs = inputs_in(step.batch, self._spec.data)
        known, leader = as_values(self._spec, inputs), self._leader()
        told: BatchLosses | None = None
        found, values = [], []
        for name, candidate in self._candidates().items():
            with autocast(self._spec.train.precision, each_of(inputs)[0].device):
                outputs = candidate.outputs(known, step.tasks)
            loss, losses = candidate.learn(outputs, step, self._balance, told=name == leader)
            found += gradients_of(loss, candidate)
            values.append(loss.detach())
            told = losses or told
        assert told is not None
        return _detached(told), with_gradients(torch.stack(values).sum(), found)

    def penalty(self, step: Step) -> Tensor | None:
        """The loss of the networks of the other budgets."""
        return losses_with_gradients([each.learned(step, self._balance) for each in self.beside()])

    # What it would be if the run ended here.

    def _leader(self) -> str:
        """The best candidate of the budget that is picked."""
        return self._left[self._pick][0]

    def present(self, sharing: Sharing) -> Sharing:
        """That of the candidate that leads."""
        return self._candidates()[self._leader()].sharing() if self.instead else sharing

    def leading(self, spec: Spec) -> nn.Module:
        """The candidate that leads."""
        return self._candidates()[self._leader()].shown(spec)

    # Between epochs.

    def due(self, position: Position) -> bool:
        """When tasks have their copies, in the epochs by which shapes are compared, and at the end of the search."""
        epoch = position.epoch
        return self.instead and bool(self._looked_at(epoch) or self._hardening(epoch))

    def _hardening(self, epoch: int) -> list[Candidate]:
        """The candidates whose tasks choose until this epoch."""
        epochs = self._spec.train.epochs
        undecided = (each for each in self._candidates().values() if each.chosen is None)
        return [each for each in undecided if epoch >= each.schedule.chosen_after(epochs)]

    def _looked_at(self, epoch: int) -> list[str]:
        """The candidates that are: before a rung of theirs, and before the end of the search where several are left."""
        budgets = [budget for budget, epochs in self._looks().items() if epoch in epochs]
        several = len({name for names in self._left.values() for name in names}) > 1
        if epoch == self._end or (several and epoch in looks(self._end)):
            budgets = list(self._left)
        return list(dict.fromkeys(name for budget in budgets for name in self._left[budget]))

    def _looks(self) -> dict[float, set[int]]:
        """The epochs in which the shapes of each budget are looked at, of those that have several left."""
        left = {budget: len(names) for budget, names in self._left.items()}
        return {
            budget: {epoch for end in ends for epoch in looks(end)}
            for budget, ends in self._rungs.items()
            if left[budget] > 1
        }

    def decide(self, view: View) -> Proposal:
        """Drop the heads of copies that tasks have not chosen, and the worse half of the shapes of each budget at its
        rungs; at the end of the search, when one is left of each, the one that is picked. Before a rung it only looks
        what they reach."""
        epoch = view.position.epoch
        for candidate in self._hardening(epoch):
            candidate.harden()
        for name in self._looked_at(epoch):
            self._seen.setdefault(name, {})[epoch] = self._reached(view, name)
        ended = [budget for budget, rungs in self._rungs.items() if epoch in rungs]
        for budget in ended:
            self._halve(budget, view)
        if epoch != self._end:
            return Proposal(view.spec.sharing, (), told=bool(ended))
        return self._picked(view)

    def _halve(self, budget: float, view: View) -> None:
        names = self._left[budget]
        epochs = looks(view.position.epoch)
        gains = self._gains({name: [self._seen[name][epoch] for epoch in epochs] for name in names})
        ordered = sorted(names, key=lambda name: -gains[name])
        kept = self._rungs[budget][view.position.epoch]
        shapes = [self._candidates()[name].shape for name in ordered]
        view.say(
            Rung.kind,
            budget=budget,
            shapes=[self._told(shape) for shape in shapes],
            parameters=[self._sizes.of(shape) for shape in shapes],
            gains=[_known(gains[name]) for name in ordered],
            kept=kept,
        )
        self._left[budget] = ordered[:kept]
        self._forget()

    def _gains(self, reached: Mapping[str, Sequence[Results]]) -> dict[str, float]:
        return gains_over_mean(reached, judging(self._spec))

    def _forget(self) -> None:
        """Drop the candidates that no budget has any more."""
        left = {name for names in self._left.values() for name in names}
        for name in [name for name in self.candidates if name not in left]:
            del self.candidates[name]
        self._seen = {name: each for name, each in self._seen.items() if name in left}

    def _told(self, shape: Shape) -> str:
        return shape.told(list(self._sizes.layers))

    def _reached(self, view: View, name: str) -> Results:
        """What a candidate reaches on validation."""
        candidate = self._candidates()[name]
        spec = self._with(candidate.sharing())
        return view.evaluate(spec, candidate.shown(spec)).metrics

    def _picked(self, view: View) -> Proposal:
        """The sharing that is picked, with its lines of `history`."""
        left = [names[0] for names in self._left.values()]
        epochs = {name: [epoch for epoch in looks(self._end) if epoch in self._seen[name]] for name in left}
        gains = self._gains({name: [self._seen[name][epoch] for epoch in each] for name, each in epochs.items()})
        best = dict(zip(self._left, best_within(left, gains), strict=True))
        self._left = {budget: [name] for budget, name in best.items()}
        self._forget()
        found = {name: self._with(self._candidates()[name].sharing()) for name in dict.fromkeys(best.values())}
        costs = {name: cost_of(spec).parameters for name, spec in found.items()}
        if self.settings.pick == KNEE:
            names = list(best.values())
            self._pick = list(best)[knee([costs[name] for name in names], [gains[name] for name in names])]
        for budget, name in best.items():
            shape = self._candidates()[name].shape
            view.say(
                Chosen.kind,
                budget=budget,
                shape=self._told(shape),
                sets=[sorted(each) for each in found[name].sharing.partition(self._layer(shape))],
                parameters=costs[name],
                gain=_known(gains[name]),
                picked=budget == self._pick,
            )
        own = best[self._pick]
        return Proposal(found[own].sharing, self._decisions(own, view))

    def _layer(self, shape: Shape) -> str:
        return list(self._sizes.layers)[shape.since]

    def _names(self, name: str) -> tuple[str, ...]:
        """The budgets at which a candidate is the best."""
        return tuple(budget_name(budget) for budget, names in self._left.items() if names[0] == name)

    def _decisions(self, name: str, view: View) -> tuple[Decision, ...]:
        """A line for each budget at which a candidate is the best."""
        candidate = self._candidates()[name]
        layer = self._layer(candidate.shape)
        copies = len(candidate.sharing().partition(layer))
        fields: dict[str, Constant] = {"layer": layer, "copies": copies}
        return tuple(
            Decision("ladder", view.decided, {"budget": float(budget), **fields}) for budget in self._names(name)
        )

    def prepare(self, carry: Carry, view: View) -> Prepared:
        """Give the network of the run what was picked, and make networks of the best at the other budgets; the
        optimizer goes on with what it had of each."""
        states, own = view.optimizer_state(), self._left[self._pick][0]
        found = self._filled(own, carry.new_spec, carry.new_model, states, "")
        for name in dict.fromkeys(names[0] for names in self._left.values()):
            if name != own:
                sharing = self._candidates()[name].sharing()
                spec = view.rewritten(sharing, self._decisions(name, view))
                model = place(build_model(spec), spec, view.device)
                prefix = f"{LEARNER}.others.{len(self.others)}.{NETWORK}."
                found |= self._filled(name, spec, model, states, prefix)
                self.others.append(Beside(self._names(name), spec, model))
        self._own = self._names(own)
        self.candidates.clear()
        self.instead = False
        return Prepared(found)

    def _filled(
        self, name: str, spec: Spec, model: nn.Module, states: Mapping[str, ParameterState], prefix: str
    ) -> dict[str, ParameterState]:
        """Give a network the weights of a candidate; what the optimizer has of its parameters, whose names begin with
        the prefix."""
        candidate = self._candidates()[name]
        candidate.fill(spec, model)
        found = {}
        for copy, origin in candidate.origins(spec):
            for rest, _ in model.get_submodule(copy.name).named_parameters():
                state = states.get(f"{LEARNER}.candidates.{name}.{origin}.{rest}")
                if state is not None:
                    found[f"{prefix}{copy.name}.{rest}"] = state
        return found


def _rows(sharing: Sharing) -> dict[str, list[list[str]]]:
    """Who shares what, as JSON has it."""
    return {layer: [sorted(each) for each in sharing.partition(layer)] for layer in sharing.backbone.layers}


def _detached(losses: BatchLosses) -> BatchLosses:
    """The same without what they were computed from."""
    return losses.with_sums([tuple(part.detach() for part in each.sums) for each in losses.joint])


def _known(gain: float) -> float | None:
    return gain if math.isfinite(gain) else None
