"""A structural phase, the same for every learner: decide, rewrite the spec, compile it, carry over, compare, adopt.

Nothing here edits a live network but the order of its channels, with which it computes the same: the text of the
evolved spec is what the new network is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from mtsldsl.diagnostics.bounded import named
from mtsldsl.editing import rewritten
from mtsldsl.editing.rewrite import decision_line
from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.wiring import Value
from mtsldsl.methods.method import NO_METHOD
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.learning.ema import average_of, carry_average, standing
from mtsldsl.runtime.learning.evaluation import Evaluation, evaluate
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.learning.renewal import learned_by, renew_optimizer
from mtsldsl.runtime.learning.teachers import Teachers
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model, place
from mtsldsl.runtime.network.channels import Reordering
from mtsldsl.runtime.network.execution import alike
from mtsldsl.runtime.network.optimizer_state import ParameterState, parameter_state
from mtsldsl.runtime.network.reordering import inverse, reorder, reorder_optimizer_state
from mtsldsl.runtime.network.transfer import Members, carry_state, merged_parameters, origins
from mtsldsl.runtime.network.weights_digest import digest_of_weights
from mtsldsl.runtime.structure.learner import Carry, Learner, Prepared, Proposal
from mtsldsl.runtime.structure.view import View, Watcher


class Run(Protocol):
    """What a phase needs of the run that it is part of."""

    @property
    def watcher(self) -> Watcher:
        """Who is told of the work inside the phase."""

    def say(self, kind: str, **fields: Any) -> None:
        """Write an event."""

    def structure_changed(self, spec: Spec, epoch: int, decisions: Sequence[Decision], *, same: bool = False) -> None:
        """Write down the evolved spec; its network may compute the `same` as the one before."""


def structural_phase(training: Training, learner: Learner, data: Splits[Any], run: Run) -> None:
    """Ask the learner of the training; where it decides something, `training` then holds the new spec and network.

    Structure is decided on training samples alone. What it costs each task is measured on the validation set, just
    before and just after, each with the statistics of batch normalisations estimated anew.
    """
    spec, model, epoch = training.spec, training.model, training.epoch
    view = _view(training, data, run)
    learned = len(list(learner.parameters()))
    proposal = learner.decide(view)
    if len(list(learner.parameters())) != learned:
        renew_optimizer(training)
    if not proposal.told:
        return
    training.phases += 1
    method = spec.structure.method if spec.structure else NO_METHOD
    if not proposal.decisions and proposal.made is None:
        run.say("phase", epoch=epoch, method=method, evidence=proposal.evidence)
        return
    if learner.exact:
        _adopt_exactly(training, learner, proposal, view, data, run)
        return
    _reorder(training, proposal.order)
    new_spec = rewritten(spec, proposal.sharing, proposal.decisions)
    new_model = place(build_model(new_spec), new_spec, training.device)
    made = origins(spec.sharing, new_spec.sharing)
    carry_state(spec, new_spec, model, new_model, made)
    prepared, average = _prepared(
        training, learner, Carry(spec, new_spec, model, new_model, made, proposal.decisions, training.beginning), view
    )
    network, new_network = training.network, standing(new_model, average)
    pairs = [(model, new_model), *([] if network is model else [(network, new_network)])]
    estimated = [(old, _statistics(old)) for old, _ in pairs]
    # Only with the statistics of both estimated anew can the two networks be compared.
    for old, new in pairs:
        reestimate([(spec, old), (new_spec, new)], data.train, training.device)
    before = evaluate(network, spec, data.validation, training.device, thresholds=None)
    same = alike(spec, network, new_spec, new_network)
    moved = [task.name for task in spec.tasks if Value.of_head(task.name) not in same]
    after = before.updated(evaluate(new_network, new_spec, data.validation, training.device, moved, thresholds=None))
    accepted = learner.accept(before, after)
    evidence = {**proposal.evidence, **prepared.evidence}
    found = _record(training, proposal, evidence, before, after, accepted=accepted)
    if not accepted:
        for old, statistics in estimated:
            old.load_state_dict(statistics, strict=False)
        _reorder(training, inverse(proposal.order))
        run.say("phase", **found)
        return
    replace_network(training, new_spec, new_model, prepared.optimizer_state, average=average)
    training.evaluated = (data.validation, after)
    learner.adopted(new_spec)
    run.structure_changed(new_spec, epoch, new_spec.history[len(spec.history) :])
    cost = new_spec.cost()
    run.say("phase", **found, parameters=cost.parameters, flops=cost.flops)
    _let_teach(training, learner, spec, network, run)


def _adopt_exactly(
    training: Training, learner: Learner, proposal: Proposal, view: View, data: Splits[Any], run: Run
) -> None:
    """Take the network of a proposal whose outputs are those of the one before: it leaves out what these do not depend
    on, or gives tasks copies of what they shared."""
    spec, epoch = training.spec, training.epoch
    found = training.evaluate(data.validation)
    new_spec = rewritten(spec, proposal.sharing, proposal.decisions)
    new_model = place(build_model(new_spec), new_spec, training.device)
    made = origins(spec.sharing, new_spec.sharing) if proposal.made is None else proposal.made
    carry_state(spec, new_spec, training.model, new_model, made)
    carry = Carry(spec, new_spec, training.model, new_model, made, proposal.decisions, training.beginning)
    prepared, average = _prepared(training, learner, carry, view)
    new_network = standing(new_model, average)
    after = found
    if prepared.anew:
        after = evaluate(new_network, new_spec, data.validation, training.device, thresholds=None)
    evidence = {**proposal.evidence, **prepared.evidence}
    record = _record(training, proposal, evidence, found, after, accepted=True)
    network = training.network
    replace_network(training, new_spec, new_model, prepared.optimizer_state, made, average)
    if prepared.anew:
        for parameter in new_model.parameters():
            training.optimizer.state.pop(parameter, None)
    training.evaluated = (data.validation, after)
    learner.adopted(new_spec)
    same = learner.earlier_best
    run.structure_changed(new_spec, epoch, new_spec.history[len(spec.history) :], same=same)
    cost = new_spec.cost()
    run.say("phase", **record, parameters=cost.parameters, flops=cost.flops, same=same or None)
    _let_teach(training, learner, spec, network, run)


def _let_teach(training: Training, learner: Learner, spec: Spec, network: nn.Module, run: Run) -> None:
    """Let the network of `spec` that has just been replaced teach to the end, where the learner wants that and nothing
    teaches yet."""
    if not learner.teach or training.teachers is not None:
        return
    teachers = Teachers.of(spec, network, learner.teach, training.spec, of_run=True)
    training.teachers = teachers
    shared = [layer for layer in spec.backbone.layers if any(len(each) > 1 for each in spec.sharing.values(layer))]
    which = f", whose tasks share {named(shared)}" if shared else ", which is one for each task"
    if len(shared) == len(spec.backbone.layers):
        which = ", whose tasks share all layers"
    text = f"the network as it was after epoch {training.epoch}{which}, teaches {named(teachers.tasks)} to the end"
    run.say(
        "taught",
        text=f"{text}, teach {learner.teach:g}",
        epoch=training.epoch,
        sha256=digest_of_weights(network.state_dict()),
        tasks=teachers.tasks,
        teach=learner.teach,
    )


def _reorder(training: Training, order: Reordering) -> None:
    """Bring channels of the network into another order, with all that is kept of its weights."""
    reorder(training.model, order)
    if training.averaged is not None:
        reorder(training.averaged.module, order)
    reorder_optimizer_state(training.optimizer, dict(learned_by(training)), order)


def _prepared(training: Training, learner: Learner, carry: Carry, view: View) -> tuple[Prepared, AveragedModel | None]:
    """What the learner did to the new network, and the mean of that, where the training has one."""
    average = average_of(carry.new_model, carry.new_spec)
    prepared = learner.prepare(carry, view)
    if average is not None and training.averaged is not None and training.network is not training.model:
        carry_average(carry.old_spec, carry.new_spec, training.averaged, average, carry.new_model, carry.made)
    return prepared, average


def _record(
    training: Training,
    proposal: Proposal,
    evidence: Mapping[str, Any],
    before: Evaluation,
    after: Evaluation,
    *,
    accepted: bool,
) -> dict[str, Any]:
    """The fields of the event of a phase."""
    spec = training.spec
    return {
        "epoch": training.epoch,
        "method": spec.structure.method if spec.structure else NO_METHOD,
        "evidence": evidence,
        "decisions": [decision_line(decision, spec.sharing.tasks) for decision in proposal.decisions],
        "before": _found(before),
        "after": _found(after),
        "accepted": accepted,
    }


def _view(training: Training, data: Splits[Any], run: Run) -> View:
    def say(kind: str, **fields: Any) -> None:
        run.say(kind, epoch=training.epoch, **fields)

    def on_validation(spec: Spec, model: nn.Module) -> Evaluation:
        return evaluate(model, spec, data.validation, training.device, thresholds=None)

    return View(
        spec=training.spec,
        model=training.model,
        samples=data.train,
        device=training.device,
        position=training.position,
        decided=training.earlier + training.epoch,
        make_optimizer=training.make_optimizer,
        optimizer_state=lambda: parameter_state(training.optimizer, learned_by(training)),
        rewritten=partial(rewritten, training.spec),
        evaluate=on_validation,
        watcher=run.watcher,
        say=say,
    )


def _found(evaluation: Evaluation) -> dict[str, Any]:
    return {"losses": evaluation.losses, "metrics": evaluation.metrics}


@torch.no_grad()
def _statistics(model: nn.Module) -> dict[str, Tensor]:
    """Copies of what batch normalisations keep, by name."""
    return {
        f"{name}.{key}": value.clone()
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm)
        for key, value in module.named_buffers()
    }


def replace_network(
    training: Training,
    new_spec: Spec,
    new_model: nn.Module,
    trained: Mapping[str, ParameterState],
    made: Members | None = None,
    average: AveragedModel | None = None,
) -> None:
    """Put the evolved network in the place of the old one: survivors keep their optimizer state bit for bit, a merged
    component gets the mean of its members', or its own of `trained`; the schedule goes on where it was. `average` is
    the running mean of the evolved network."""
    new_model.train(training.model.training)
    old_parameters = learned_by(training)
    training.train_what(new_spec)
    members = origins(training.spec.sharing, new_spec.sharing) if made is None else made
    merged = merged_parameters(new_model, members)
    training.spec, training.model, training.averaged, training.beginning = new_spec, new_model, average, None
    renew_optimizer(training, old_parameters, merged, trained)
    training.forget_routes()
    training.balance.network_changed()
