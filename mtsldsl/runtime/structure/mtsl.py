"""Multi-task structural learning: one structural phase.

Gurulingan, Arani, Zonooz: Multi-Task Structural Learning using Local Task Similarity induced Neuron Creation and
Removal, ICML 2023, arXiv 2305.00441. Nothing here edits a live network: a phase decides, asks the algebra for the new
sharing, rewrites the spec, compiles it, and carries weights and optimizer state over by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mtsldsl.editing import rewritten
from mtsldsl.ir import Decision, Spec, Structure
from mtsldsl.ir.wiring import Value
from mtsldsl.language.constants import Shape
from mtsldsl.runtime.data import Samples, Splits, batches, steps_per_epoch
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.finite import UNREPEATED, Culprit, culprit, recorded
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.learning.training import NamedParameters, Training, named_parameters, place
from mtsldsl.runtime.network.build import build_model
from mtsldsl.runtime.network.execution import evaluating, features, layer_inputs, run_layers
from mtsldsl.runtime.network.optimizer_state import ParameterState, carry_optimizer_state, set_parameter_state
from mtsldsl.runtime.network.places import located, title
from mtsldsl.runtime.network.transfer import carry_state, merged_parameters, origins
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.similarity import cka_matrix
from mtsldsl.runtime.structure.amalgamation import AmalgamationJob, AmalgamationReport, amalgamate
from mtsldsl.sharing import Copy, unmerged
from mtsldsl.sharing.grouping import GroupingDecision, decide_grouping


@attrs.frozen
class Merge:
    """Tasks that are going to share a layer, and how similar their copies of it are on average."""

    layer: str
    tasks: frozenset[str]
    similarity: float


@attrs.frozen
class Comparison:
    """What was found at one place where tasks may merge: the tasks by name, their similarities, the decision."""

    layer: str
    tasks: tuple[str, ...]
    similarity: tuple[tuple[float, ...], ...]
    grouping: GroupingDecision

    @property
    def merges(self) -> list[Merge]:
        """The accepted groups."""
        found = []
        for group in self.grouping.accepted:
            pairs = [self.similarity[i][j] for i in group for j in group if i < j]
            tasks = frozenset(self.tasks[index] for index in group)
            found.append(Merge(self.layer, tasks, sum(pairs) / len(pairs)))
        return found


def compare(training: Training, samples: Samples, structure: Structure) -> list[Comparison]:
    """Similarity and grouping at every place where tasks may merge next, from one pass over training images."""
    spec = training.spec
    places = [(layer, tuple(sorted(tasks))) for layer, tasks in unmerged(spec.sharing)]
    wanted = [Value(layer, frozenset([task])) for layer, tasks in places for task in tasks]
    count = min(int(str(structure.similarity.arguments["samples"])), len(samples))
    chosen = torch.randperm(len(samples), generator=torch.Generator().manual_seed(spec.train.seed))[:count]

    def images() -> Iterator[Tensor]:
        for batch in batches(samples.take(chosen), spec.data.batch, shuffle=False, device=training.device):
            yield batch[spec.data.input]

    with located(training.model, spec), evaluating(training.model):
        found = features(training.model, spec, images(), wanted, count)
        if not all(feature.isfinite().all() for feature in found.values()):
            raise _culprit(training.model, spec, images(), wanted).error("an activation that is compared")
    comparisons = []
    for layer, tasks in places:
        matrix = cka_matrix(
            [found[Value(layer, frozenset([task]))] for task in tasks],
            kernel="rbf" if structure.similarity.arguments["kernel"] == "rbf" else "linear",
            debiased=bool(structure.similarity.arguments["debiased"]),
        )
        rows = tuple(tuple(row) for row in matrix.tolist())
        comparisons.append(Comparison(layer, tasks, rows, decide_grouping(rows, structure.threshold)))
    return comparisons


def _culprit(model: nn.Module, spec: Spec, images: Iterable[Tensor], wanted: Sequence[Value]) -> Culprit:
    """Where the first activation comes from that is not finite, by a second pass that looks at everything."""
    with recorded(model, spec) as outputs:
        for image in images:
            run_layers(model, spec, image, wanted)
            if found := culprit(model, spec, image, outputs):
                return found
    return UNREPEATED


def structural_phase(training: Training, data: Splits, session: Session) -> None:
    """Compare, group, create, transfer, remove; `training` then holds the new spec, network and optimizer.

    Structure is decided on training images alone. What the merges cost each task is measured on the validation set,
    just before and just after, each with the statistics of batch normalisations estimated anew, and only reported.
    """
    structure = training.spec.structure
    if structure is None or training.epoch not in structure.phases:
        return
    epoch = training.epoch
    comparisons = compare(training, data.train, structure)
    for comparison in comparisons:
        session.log.write(
            "similarity",
            epoch=epoch,
            layer=comparison.layer,
            tasks=comparison.tasks,
            similarity=comparison.similarity,
            threshold=structure.threshold,
            grouping=attrs.asdict(comparison.grouping),
        )
    merges = [merge for comparison in comparisons for merge in comparison.merges]
    if not merges:
        session.log.write("phase", epoch=epoch, merges=[], places=len(comparisons))
        return
    old_spec, old_model = training.spec, training.model
    new_spec = evolved(old_spec, training.earlier + epoch, merges)
    new_model = place(build_model(new_spec), new_spec, session.device)
    carry_state(old_spec, new_spec, old_model, new_model)
    transferred = _amalgamated(training, new_model, merges, structure, data.train, session)
    replace_network(training, new_spec, new_model, transferred.optimizer_state)
    # Only with the statistics of both estimated anew can the two networks be compared.
    for spec, model in ((old_spec, old_model), (new_spec, new_model)):
        reestimate(model, spec, data.train, session.device)
    before = evaluate(old_model, old_spec, data.validation, session.device)
    after = evaluate(new_model, new_spec, data.validation, session.device)
    session.structure_changed(new_spec, epoch, new_spec.history[len(old_spec.history) :])
    cost = new_spec.cost()
    session.log.write(
        "phase",
        epoch=epoch,
        places=len(comparisons),
        merges=[
            {"layer": merge.layer, "tasks": sorted(merge.tasks), "similarity": merge.similarity} for merge in merges
        ],
        amalgamation=transferred.losses,
        before={"losses": before.losses, "metrics": before.metrics},
        after={"losses": after.losses, "metrics": after.metrics},
        parameters=cost.parameters,
        flops=cost.flops,
    )


def evolved(spec: Spec, epoch: int, merges: Sequence[Merge]) -> Spec:
    """The spec after the merges: its text with the `sharing` lines changed and a `history` line for each merge."""
    sharing = spec.sharing
    for merge in merges:
        sharing = sharing.merge(merge.layer, merge.tasks)
    order = {task.name: index for index, task in enumerate(spec.tasks)}
    decisions = [
        Decision(
            "merge", epoch, merge.layer, tuple(sorted(merge.tasks, key=order.__getitem__)), round(merge.similarity, 4)
        )
        for merge in merges
    ]
    return rewritten(spec, sharing, decisions)


def replace_network(
    training: Training, new_spec: Spec, new_model: nn.Module, trained: Mapping[str, ParameterState]
) -> None:
    """Put the evolved network in the place of the old one: survivors keep their optimizer state bit for bit, a merged
    component gets the mean of its members', or its own of `trained`; the schedule goes on where it was."""
    new_model.train(training.model.training)
    old_parameters = named_parameters(training.model, training.balance)
    new_parameters = named_parameters(new_model, training.balance)
    optimizer = training.make_optimizer(new_parameters)
    scheduler = training.make_scheduler(optimizer)
    if scheduler is not None and training.scheduler is not None:
        scheduler.load_state_dict(training.scheduler.state_dict())
    merged = merged_parameters(new_model, origins(training.spec.sharing, new_spec.sharing))
    carry_optimizer_state(training.optimizer, old_parameters, optimizer, new_parameters, merged)
    set_parameter_state(optimizer, new_parameters, trained)
    training.spec, training.model = new_spec, new_model
    training.optimizer, training.scheduler = optimizer, scheduler


def _amalgamated(
    training: Training,
    new_model: nn.Module,
    merges: Sequence[Merge],
    structure: Structure,
    samples: Samples,
    session: Session,
) -> AmalgamationReport:
    """Train the new components to stand for their members, where the spec asks for it; so far they are the average."""
    epochs = _transfer_epochs(structure, training.epoch)
    if epochs == 0:
        return AmalgamationReport({}, 0, {})
    spec, old_model = training.spec, training.model
    made = [Copy(merge.layer, merge.tasks) for merge in merges]
    jobs = []
    for copy in made:
        former = (Copy(copy.layer, frozenset([task])) for task in sorted(copy.component))
        members = tuple(old_model.get_submodule(each.name) for each in former)
        fusion, part = new_model.get_submodule(copy.name), spec.layer(copy.layer)
        channels = _channels(part.body.shape)
        jobs.append(AmalgamationJob(copy.name, fusion, members, channels, title(spec, copy.name), part.span))

    def inputs(epoch: int) -> Iterator[list[tuple[Tensor, ...]]]:
        session.display.begin_stage("amalgamation", steps_per_epoch(samples, spec.data.batch))
        for batch in batches(
            samples,
            spec.data.batch,
            seed=spec.train.seed,
            epoch=spec.train.epochs * training.epoch + epoch,  # other batches than those of task learning
            shuffle=True,
            augment=spec.data.augment,
            device=session.device,
            drop_last=True,
        ):
            with evaluating(old_model):
                found = layer_inputs(old_model, spec, batch[spec.data.input], made)
            yield [found[copy] for copy in made]

    def make_optimizer(parameters: NamedParameters) -> Optimizer:
        optimizer = training.make_optimizer(parameters)
        for group in optimizer.param_groups:
            group["lr"] = structure.transfer.arguments["lr"]
        return optimizer

    with located(old_model, spec), located(new_model, spec):
        return amalgamate(jobs, inputs, epochs, make_optimizer, lambda _, __, ___: session.display.advance())


def _transfer_epochs(structure: Structure, epoch: int) -> int:
    """How long this phase amalgamates; 0 for `average`."""
    epochs = structure.transfer.arguments.get("epochs", ())
    return int(str(epochs[structure.phases.index(epoch)])) if isinstance(epochs, tuple) and epochs else 0


def _channels(shape: Shape) -> int:
    """The size of the channel dimension: first of an image, last of tokens and features."""
    return shape[0] if len(shape) == 3 else shape[-1]
