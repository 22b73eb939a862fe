"""Branching: single-task networks are compared at every layer, once, and the tree that they are to share is chosen.

Vandenhende, Georgoulis, De Brabandere, Van Gool: Branched Multi-Task Networks: Deciding What Layers To Share, BMVC
2020, arXiv 1904.02920. There the tree is trained from initial weights, as here with `transfer = fresh`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import attrs

from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.body import Body
from mtsldsl.ir.cost import body_cost
from mtsldsl.ir.wiring import Value
from mtsldsl.language import Constant
from mtsldsl.methods.branch.language import FRESH, Compares, Settings
from mtsldsl.methods.evidence import in_four_digits
from mtsldsl.methods.similarities import Cka, Incomparable, Rsa
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.network.built import initialise
from mtsldsl.runtime.structure.learner import Carry, Learner, Prepared, Proposal
from mtsldsl.runtime.structure.similarities import comparable_tasks, similarity_matrices
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Component, Tree, choose_tree
from mtsldsl.sharing.partition import in_order

__all__ = ["Branch", "Cka", "Rsa", "Settings"]


class Branch(Learner):
    """Chooses a tree at the end of the epoch `settings.at`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def due(self, position: Position) -> bool:
        """At the end of its epoch."""
        return position.epoch == self.settings.at

    def decide(self, view: View) -> Proposal:
        """The best tree within the budget that is found, and a line of `history` for each layer and set of tasks that
        come to share it."""
        spec, start = view.spec, view.spec.sharing
        sides = comparable_tasks(view, self.settings.similarity, start.tasks)
        if len(sides) > 1:
            for layer in start.backbone.layers:
                view.say(Incomparable.kind, layer=layer, tasks=[sorted(side) for side in sides])
        similarity = _compared(view, self.settings, sides)
        single = attrs.evolve(spec, sharing=start.apart()).cost()
        heads = sum(head.parameters for head in single.heads.values())
        allowed = self.settings.budget * single.parameters - heads

        def cost(layer: str, tasks: Component) -> int:
            return copy_cost(spec, layer, tasks)

        tree = choose_tree(start, similarity, cost, allowed, beam=self.settings.beam, sides=sides)
        return _proposed(view, tree, similarity)

    def prepare(self, carry: Carry, view: View) -> Prepared:
        """Begin anew, with the initial weights and nothing of the optimizer, where the settings ask for it."""
        if self.settings.transfer != FRESH:
            return Prepared()
        initialise(carry.new_model, carry.new_spec, carry.new_spec.train.seed)
        return Prepared({name: {} for name, _ in carry.new_model.named_parameters()})


def copy_cost(spec: Spec, layer: str, tasks: Component) -> int:
    """The parameters of a copy of a layer for some tasks, whose inputs have one size."""
    body = spec.layer(layer).body_for(spec.data_of(min(tasks)).name)
    assert isinstance(body, Body)  # a layer of alternatives is none for this method
    return body_cost(body).parameters


def _compared(view: View, settings: Settings, sides: Sequence[frozenset[str]]) -> Mapping[str, list[list[float]]]:
    """For each layer the similarity of every two tasks, in the order of the sharing; 0 of tasks of two sides."""
    tasks, values = view.spec.sharing.tasks, view.spec.sharing.all_values()
    asked = [(layer, in_order(side, tasks)) for layer in values for side in sides if len(side) > 1]
    places = [[Value(layer, values[layer].of(task)[0]) for task in side] for layer, side in asked]
    found = {layer: [[0.0] * len(tasks) for _ in tasks] for layer in values}
    for (layer, side), matrix in zip(asked, similarity_matrices(view, settings.similarity, places), strict=True):
        rows = matrix.tolist()
        view.say(Compares.kind, layer=layer, tasks=side, similarity=rows)
        for one, row in zip(side, rows, strict=True):
            for other, number in zip(side, row, strict=True):
                found[layer][tasks.index(one)][tasks.index(other)] = number
    return found


def _proposed(view: View, tree: Tree, similarity: Mapping[str, list[list[float]]]) -> Proposal:
    """The tree, a decision for each set of tasks that comes to share a layer, and how good it is."""
    start, tasks = view.spec.sharing, view.spec.sharing.tasks
    decisions, branches = [], []
    for layer in start.backbone.layers:
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
