"""Branching: tasks are compared at every layer, once, and the tree that they are to share is chosen.

Vandenhende, Georgoulis, De Brabandere, Van Gool: Branched Multi-Task Networks: Deciding What Layers To Share, BMVC
2020, arXiv 1904.02920. There the tree is trained from initial weights, as here with `transfer = fresh`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import attrs
import torch
from torch import Tensor

from mtsldsl.ir import Decision
from mtsldsl.ir.cost import copy_cost
from mtsldsl.ir.wiring import Value, reading_tasks
from mtsldsl.language import Constant
from mtsldsl.methods.branch.language import FRESH, Compares, Settings, shared_whole
from mtsldsl.methods.evidence import in_four_digits
from mtsldsl.methods.similarities import (
    Chosen,
    Cka,
    Gradient,
    Incomparable,
    Readout,
    Rsa,
    Stitched,
    Transference,
    reads_the_same,
)
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.network.built import build_model, place
from mtsldsl.runtime.network.transfer import carry_state
from mtsldsl.runtime.structure.learner import Carry, Learner, Prepared, Proposal
from mtsldsl.runtime.structure.similarities import Place, comparable_tasks, similarity_matrices
from mtsldsl.runtime.structure.similarities.transference import gains
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Component, Sharing, Tree, choose_tree
from mtsldsl.sharing.partition import Partition, in_order, parted

__all__ = ["Branch", "Cka", "Gradient", "Readout", "Rsa", "Settings", "Stitched", "Transference"]


class Branch(Learner):
    """Chooses a tree at the end of the epoch `settings.at`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    @property
    def begins_anew(self) -> bool:
        """Where the settings ask for it."""
        return self.settings.transfer == FRESH

    def due(self, position: Position) -> bool:
        """At the end of its epoch."""
        return position.epoch == self.settings.at

    def decide(self, view: View) -> Proposal:
        """The best tree within the budget that is found, and a line of `history` for each layer and set of tasks that
        come to share it."""
        spec, start = view.spec, view.spec.sharing
        sides = comparable_tasks(view, self.settings.similarity, start.tasks)
        if reads_the_same(self.settings.similarity):
            sets = shared_whole(start)
            if sets is None:
                return Proposal(start, (), {"parts": True})
            sides = [part for side in sides for part in parted(side, Partition(sets))]
            start = start.apart()
        if len(sides) > 1:
            what = {} if len(view.comparable(start.tasks)) > 1 else {"difference": "nothing in common"}
            for layer in start.backbone.layers:
                view.say(Incomparable.kind, layer=layer, tasks=[sorted(side) for side in sides], **what)
        similarity = _compared(_with_copies(view, start), self.settings, sides)
        single = attrs.evolve(spec, sharing=start.apart()).cost()
        heads = sum(head.parameters for head in single.heads.values())
        allowed = self.settings.budget * single.parameters - heads

        def cost(layer: str, tasks: Component) -> int:
            return copy_cost(spec, layer, tasks)

        read_by = reading_tasks(spec)
        tree = choose_tree(start, similarity, cost, allowed, beam=self.settings.beam, sides=sides, read_by=read_by)
        return _proposed(view, start, tree, similarity)

    def prepare(self, carry: Carry, view: View) -> Prepared:
        """Begin anew, with the initial weights and nothing of the optimizer, where the settings ask for it."""
        if not self.begins_anew:
            return Prepared()
        carry.begin_anew()
        return Prepared({name: {} for name, _ in carry.new_model.named_parameters()})


def _with_copies(view: View, sharing: Sharing) -> View:
    """The network with that sharing: of what tasks share now and do not there each has a copy that is equal."""
    if sharing is view.spec.sharing:
        return view
    spec = attrs.evolve(view.spec, sharing=sharing)
    model = place(build_model(spec), spec, view.device)
    carry_state(view.spec, spec, view.model, model)
    return attrs.evolve(view, spec=spec, model=model)


def _compared(view: View, settings: Settings, sides: Sequence[frozenset[str]]) -> Mapping[str, list[list[float]]]:
    """For each layer the similarity of every two tasks, in the order of the sharing; 0 of tasks of two sides, and of
    those whose copy is read by nothing."""
    sharing, read_by = view.spec.sharing, reading_tasks(view.spec)
    tasks, values = sharing.tasks, sharing.all_values()
    asked = []
    for layer in values:
        for side in sides:
            read = (task for task in side if not sharing.component(layer, task).isdisjoint(read_by[layer]))
            asked.append((layer, in_order(read, tasks)))
    asked = [(layer, compared) for layer, compared in asked if len(compared) > 1]
    places = [[Value(layer, values[layer].of(task)[0]) for task in side] for layer, side in asked]
    found = {layer: [[0.0] * len(tasks) for _ in tasks] for layer in values}
    for (layer, together), matrix in zip(asked, _matrices(view, settings.similarity, places), strict=True):
        rows = matrix.tolist()
        view.say(Compares.kind, layer=layer, tasks=together, similarity=rows)
        for one, row in zip(together, rows, strict=True):
            for other, number in zip(together, row, strict=True):
                found[layer][tasks.index(one)][tasks.index(other)] = number
    return found


def _matrices(view: View, chosen: Chosen, places: Sequence[Place]) -> list[Tensor]:
    """How similar tasks are, at most 1."""
    if isinstance(chosen, Transference):
        return [_by_own(each) for each in gains(view, chosen, places)]
    return similarity_matrices(view, chosen, places)


def _by_own(found: Tensor) -> Tensor:
    """Transference Z(i -> j) in units of what tasks do for themselves: the root of Z(i -> j) Z(j -> i) over that of
    Z(i -> i) Z(j -> j), with the sign of both, 0 where they differ, and between -1 and 1. For a small step it is the
    cosine of the gradients on the layer's weights, whatever the scales of the losses. Whose own step does not lower
    its own loss is similar to none."""
    own = found.diagonal().clamp_min(0.0)
    whole, both = own.outer(own).sqrt(), (found * found.T).clamp_min(0.0).sqrt()
    return torch.where(whole > 0, found.sign() * both / whole, 0.0).clamp(-1.0, 1.0)


def _proposed(view: View, start: Sharing, tree: Tree, similarity: Mapping[str, list[list[float]]]) -> Proposal:
    """The tree, a decision for each set of tasks that shares a layer and did not at the `start`, and how good it is;
    none where it is the network as it is."""
    tasks = start.tasks
    decisions, branches = [], []
    for layer in start.backbone.layers if tree.sharing != view.spec.sharing else ():
        for component in tree.sharing.partition(layer):
            if component in start.partition(layer):
                continue
            least = min(
                similarity[layer][tasks.index(one)][tasks.index(other)]
                for one, other in combinations(in_order(component, tasks), 2)
            )
            names = in_order(component, tasks)
            fields: dict[str, Constant] = {"layer": layer, "tasks": names, "similarity": in_four_digits(least)}
            decisions.append(Decision("branch", view.decided, fields))
            branches.append({"layer": layer, "tasks": sorted(component), "similarity": least})
    evidence = {"branches": branches, "dissimilarity": tree.dissimilarity, "proven": tree.exact}
    return Proposal(tree.sharing, tuple(decisions), evidence)
