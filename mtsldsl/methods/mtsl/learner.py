"""MTSL: similar copies are drawn together while tasks learn, compared at the end of some epochs, and merged.

Gurulingan, Arani, Zonooz: Multi-Task Structural Learning using Local Task Similarity induced Neuron Creation and
Removal, ICML 2023, arXiv 2305.00441.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.wiring import Value, reading_tasks
from mtsldsl.language import Shape
from mtsldsl.methods.merging_findings import Matching, Similarity
from mtsldsl.methods.mtsl.amalgamation import AmalgamationJob, AmalgamationReport, amalgamate
from mtsldsl.methods.mtsl.budgeted import merges_to_budget
from mtsldsl.methods.mtsl.language import MATCHES, Amalgamate, Budget, Settings
from mtsldsl.methods.mtsl.merges import Merge, proposed
from mtsldsl.methods.similarities import Cka, Gradient, Incomparable, Readout, Rsa, Stitched, Transference
from mtsldsl.records import Record
from mtsldsl.runtime.data import batches, steps_per_epoch
from mtsldsl.runtime.learning.beside import Twin
from mtsldsl.runtime.learning.learned import NamedParameters
from mtsldsl.runtime.learning.step import Position, Step
from mtsldsl.runtime.network.channels import Reordering
from mtsldsl.runtime.network.execution import evaluating, layer_inputs
from mtsldsl.runtime.network.inputs import inputs_in
from mtsldsl.runtime.network.other_seed import begun_by, given_to
from mtsldsl.runtime.network.places import located, title
from mtsldsl.runtime.structure.learner import Carry, Learner, Prepared, Proposal
from mtsldsl.runtime.structure.matching import matched
from mtsldsl.runtime.structure.similarities import ceilings, comparable_tasks, similarity_matrices
from mtsldsl.runtime.structure.similarities.cka import alignment_loss
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Copy, unmerged
from mtsldsl.sharing.grouping import GroupingDecision, decide_grouping

__all__ = ["Amalgamate", "Budget", "Cka", "Gradient", "Mtsl", "Readout", "Rsa", "Settings", "Stitched", "Transference"]


@attrs.frozen(eq=False, repr=False)
class Comparison(Record):
    """What was found at one place where tasks may merge: the tasks by name, their similarities, the decision."""

    layer: str
    tasks: tuple[str, ...]
    similarity: tuple[tuple[float, ...], ...]
    threshold: float
    grouping: GroupingDecision
    ceilings: tuple[float, ...] | None = None
    """How similar each task's copy is to that of the twin, where the threshold is the mean of these."""

    @property
    def merges(self) -> list[Merge]:
        """The accepted groups."""
        found, own = [], None if self.ceilings is None else self.threshold
        for group in self.grouping.accepted:
            pairs = [self.similarity[i][j] for i in group for j in group if i < j]
            tasks = frozenset(self.tasks[index] for index in group)
            found.append(Merge(self.layer, tasks, sum(pairs) / len(pairs), own))
        return found


class Mtsl(Learner):
    """Merges what has become similar, at the end of the epochs `settings.phases`.

    `twin` is a network for each task that begins with weights of another seed, where the threshold comes from it: until
    the last phase, or until nothing is left that could merge.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.twin: Twin | None = None

    def begin(self, spec: Spec) -> None:
        """The twin begins too."""
        if self.settings.by_twin and unmerged(spec.sharing):
            single = attrs.evolve(spec, sharing=spec.sharing.apart())
            self.twin = Twin(single, begun_by(single, "twin"))

    def begins_with(self, spec: Spec, model: nn.Module) -> None:
        """So does the twin, where that is not what the seed gives."""
        if self.twin is not None:
            given = given_to(spec, model, self.twin.spec)
            for copy, state in given.items():
                self.twin.network.get_submodule(copy.name).load_state_dict(state)

    def facts(self) -> Mapping[str, Any]:
        """Whether there is a twin."""
        return {"twin": self.twin is not None} if self.settings.by_twin else {}

    def prepare_for(self, facts: Mapping[str, Any]) -> None:
        """Have none where it was dropped."""
        if not facts.get("twin"):
            self.twin = None

    def twins(self) -> Sequence[Twin]:
        """The one, as long as it is there."""
        return () if self.twin is None else (self.twin,)

    @property
    def teach(self) -> float:
        """As the settings have it."""
        return self.settings.teach

    def watching(self, spec: Spec, position: Position) -> tuple[Copy, ...]:
        """What may merge next, until the last phase, where the alignment loss has a weight."""
        if self.settings.align <= 0 or position.epoch >= self.settings.phases[-1]:
            return ()
        return tuple(
            Copy(layer, frozenset([task])) for layer, tasks in unmerged(spec.sharing) for task in sorted(tasks)
        )

    def penalty(self, step: Step) -> Tensor | None:
        """`align * (1 - mean pairwise CKA)` summed over the sets of tasks that may merge next; None without any.

        It compares what the copies make of the same inputs, and needs no label: a batch without labels of a task
        aligns that task's copy as any other does."""
        by_layer: dict[str, list[Tensor]] = {}
        for copy, output in step.watched.items():
            by_layer.setdefault(copy.layer, []).append(output)
        # A copy that no head depends on is not run, so a set may have left too little to compare.
        terms = [alignment_loss(outputs, self.settings.align) for outputs in by_layer.values() if len(outputs) > 1]
        return torch.stack(terms).sum() if terms else None

    def due(self, position: Position) -> bool:
        """At the end of the epochs of its phases."""
        return position.epoch in self.settings.phases

    def decide(self, view: View) -> Proposal:
        """Merge the groups of tasks that are more similar than the threshold, at every place where tasks may merge; or
        what costs the least for what it saves, until the phase's share of the way to the budget is gone."""
        if self.settings.choose is not None:
            merges, places = merges_to_budget(view, self.settings, self.settings.choose.part)
        else:
            comparisons = compare(view, self.settings, self.twin)
            for comparison in comparisons:
                said = {} if comparison.ceilings is None else {"ceilings": comparison.ceilings}
                view.say(
                    Similarity.kind,
                    layer=comparison.layer,
                    tasks=comparison.tasks,
                    similarity=comparison.similarity,
                    threshold=comparison.threshold,
                    grouping=attrs.asdict(comparison.grouping),
                    **said,
                )
            merges, places = [merge for each in comparisons for merge in each.merges], len(comparisons)
        proposal = proposed(view.spec, view.decided, merges, places)
        if view.position.epoch >= self.settings.phases[-1] or not unmerged(proposal.sharing):
            self.twin = None
        if self.settings.match == MATCHES[0] or not merges:
            return proposal
        return attrs.evolve(proposal, order=_matched(view, merges, self.settings.similarity.samples))

    def prepare(self, carry: Carry, view: View) -> Prepared:
        """Train the new components to stand for their members, where the settings ask for it."""
        transfer = self.settings.transfer
        if transfer is None:
            return Prepared(evidence={"amalgamation": {}})
        return _amalgamated(carry, view, transfer, transfer.epochs[self.settings.phases.index(view.position.epoch)])


def compare(view: View, settings: Settings, twin: Twin | None = None) -> list[Comparison]:
    """Similarity and grouping at every place where tasks may merge next, from one pass over training samples; with a
    twin, from one more over the same of either network, for the threshold there. A copy that its task does not read has
    learned nothing, and is left as it is."""
    read_by = reading_tasks(view.spec)
    places: list[tuple[str, tuple[str, ...]]] = []
    for layer, together in unmerged(view.spec.sharing):
        sides = comparable_tasks(view, settings.similarity, sorted(together & read_by[layer]))
        if len(sides) > 1:
            what = {"difference": "samples of their own"} if settings.similarity.apart else {}
            view.say(Incomparable.kind, layer=layer, tasks=[sorted(side) for side in sides], **what)
        places += [(layer, tuple(sorted(side))) for side in sides if len(side) > 1]
    values = [[Value(layer, frozenset([task])) for task in tasks] for layer, tasks in places]
    matrices = similarity_matrices(view, settings.similarity, values)
    alike: Sequence[Sequence[float] | None] = [None] * len(places)
    if twin is not None:
        beside = attrs.evolve(view, spec=twin.spec, model=twin.network)
        alike = ceilings(view, beside, settings.similarity, values)
    comparisons = []
    for (layer, tasks), matrix, own in zip(places, matrices, alike, strict=True):
        rows = tuple(tuple(row) for row in matrix.tolist())
        threshold = settings.threshold if own is None else fmean(own)
        assert not isinstance(threshold, str)
        alone = settings.score_alone(threshold)
        grouping = decide_grouping(rows, threshold, exact_tasks=settings.exact_tasks, alone=alone)
        comparisons.append(Comparison(layer, tasks, rows, threshold, grouping, None if own is None else tuple(own)))
    return comparisons


def _matched(view: View, merges: Sequence[Merge], samples: int) -> Reordering:
    """The order of channels in which copies are averaged."""
    sharing = view.spec.sharing
    groups = [
        (merge.layer, [each for each in sharing.partition(merge.layer) if each <= merge.tasks]) for merge in merges
    ]
    order, told = matched(view, groups, samples)
    for each in told:
        view.say(
            Matching.kind,
            layer=each.layer,
            tasks=sorted(each.tasks),
            matched=each.sets,
            left=each.fixed,
            correlation=(each.before, each.after),
        )
    return order


def _amalgamated(carry: Carry, view: View, transfer: Amalgamate, epochs: int) -> Prepared:
    """Train each new component on what its members make of the training samples; so far it is their average, which a
    frozen one stays."""
    made = [copy for copy in map(_copy, carry.decisions) if copy.layer not in carry.new_spec.frozen]
    comparable = view.comparable(task for copy in made for task in sorted(copy.component))
    reports = [
        _amalgamated_alike([copy for copy in made if copy.component <= tasks], carry, view, transfer, epochs)
        for tasks in comparable
    ]
    return Prepared(
        {name: state for each in reports for name, state in each.optimizer_state.items()},
        {"amalgamation": {name: losses for each in reports for name, losses in each.losses.items()}},
    )


def _amalgamated_alike(
    made: Sequence[Copy], carry: Carry, view: View, transfer: Amalgamate, epochs: int
) -> AmalgamationReport:
    """The same of those components whose tasks have inputs of one shape."""
    spec, old_model, new_model = carry.old_spec, carry.old_model, carry.new_model
    tasks = [task for copy in made for task in sorted(copy.component)]
    data, samples = spec.data_of(tasks[0]), view.inputs(tasks)
    jobs = []
    for copy in made:
        former = sorted(carry.made[copy], key=lambda member: sorted(member.component))
        members = tuple(old_model.get_submodule(each.name) for each in former)
        fusion, part = new_model.get_submodule(copy.name), spec.layer(copy.layer)
        channels = _channels(part.body.shape)
        jobs.append(AmalgamationJob(copy.name, fusion, members, channels, title(spec, copy.name), part.span))

    def inputs(epoch: int) -> Iterator[list[tuple[Tensor, ...]]]:
        view.watcher.begin_stage("amalgamation", steps_per_epoch(samples, data.batch))
        for batch in batches(
            samples,
            data.batch,
            seed=spec.train.seed,
            epoch=spec.train.epochs * view.position.epoch + epoch,  # other batches than those of task learning
            shuffle=True,
            augment=data.augment,
            device=view.device,
            drop_last=True,
        ):
            with evaluating(old_model):
                found = layer_inputs(old_model, spec, inputs_in(batch, spec.data), made)
            yield [found[copy] for copy in made]

    def make_optimizer(parameters: NamedParameters) -> Optimizer:
        optimizer = view.make_optimizer(parameters)
        for group in optimizer.param_groups:
            group["lr"] = transfer.lr
        return optimizer

    with located(old_model, spec), located(new_model, carry.new_spec):
        return amalgamate(jobs, inputs, epochs, make_optimizer, lambda _, __, ___: view.watcher.advance())


def _copy(merge: Decision) -> Copy:
    """The copy of a layer that a merge makes."""
    layer, tasks = merge.fields["layer"], merge.fields["tasks"]
    assert isinstance(layer, str)
    assert isinstance(tasks, tuple)
    return Copy(layer, frozenset(map(str, tasks)))


def _channels(shape: Shape) -> int:
    """The size of the channel dimension: first of an image, last of tokens and features."""
    return shape[0] if len(shape) == 3 else shape[-1]
