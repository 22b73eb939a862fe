"""The state of a training, to be saved and to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from mtsldsl.runtime.learning.loss_scale import LossScale
from mtsldsl.runtime.learning.renewal import learned_by, renew_optimizer
from mtsldsl.runtime.learning.saved import Saved
from mtsldsl.runtime.learning.teachers import Teachers
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.optimizer_state import load_named_state, named_optimizer_state


def saved(training: Training) -> dict[str, Saved]:
    """All that a training started anew needs to go on from here, by part; the tensors are those in use."""
    random = {"cpu": torch.get_rng_state()}
    if training.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(training.device)
    stopped = {"stopped": sorted(training.stopped)} if training.stopped else {}
    scale = {} if training.scale is None else {"scale": training.scale.facts()}
    average = {}
    if training.averaged is not None and training.network is not training.model:  # a mean of no step is none
        average["average"] = Saved(training.averaged.state_dict())
    teachers = {}
    if training.teachers is not None and training.teachers.of_run:
        teachers["teachers"] = training.teachers.saved()
    beginning = {} if training.beginning is None else {"beginning": Saved(training.beginning)}
    return {
        "weights": Saved(training.model.state_dict()),
        **average,
        **beginning,
        **teachers,
        "optimizer": Saved.of(named_optimizer_state(training.optimizer, _learned(training))),
        "scheduler": Saved(facts=_progress(training.scheduler)),
        "balance": Saved(training.balance.state_dict()),
        "learner": Saved(training.learner.state_dict(), training.learner.facts()),
        "random": Saved(random),
        "position": Saved(
            facts={
                **attrs.asdict(training.position),
                "earlier": training.earlier,
                "rate": training.rate,
                **stopped,
                **scale,
            }
        ),
        **_noted(training),
    }


def _noted(training: Training) -> dict[str, Saved]:
    """What was noted in the steps of an epoch that is not over; nothing where it is."""
    steps, norms = training.weighed.steps, training.norms
    if not steps and not norms.norms:
        return {}
    weighed = {str(step): dict(each) for step, each in steps.items()}
    return {
        "noted": Saved.of({"weighed": weighed, "norms": dict(norms.norms), "together": list(map(list, norms.together))})
    }


def restore(training: Training, parts: Mapping[str, Saved]) -> None:
    """Go on where another training of the same spec was when it was `saved`; its weights are loaded already."""
    training.balance.load_state_dict(dict(parts["balance"].tensors))
    began = _learned(training).keys()
    training.learner.prepare_for(parts["learner"].facts)
    if _learned(training).keys() != began:
        renew_optimizer(training)
    training.learner.load_state_dict(dict(parts["learner"].tensors))
    training.learner.restore(parts["learner"].facts)
    training.beginning = parts["beginning"].tensors if "beginning" in parts else None
    if training.averaged is not None and "average" in parts:
        training.averaged.load_state_dict(dict(parts["average"].tensors))
    if "teachers" in parts:
        training.teachers = Teachers.restored(parts["teachers"], training.spec, training.device)
    load_named_state(training.optimizer, _learned(training), parts["optimizer"].state())
    if training.scheduler is not None:
        training.scheduler.load_state_dict({**training.scheduler.state_dict(), **parts["scheduler"].facts})
    random = parts["random"].tensors
    torch.set_rng_state(random["cpu"])
    if training.device.type == "cuda" and "cuda" in random:
        torch.cuda.set_rng_state(random["cuda"], training.device)
    at = parts["position"].facts
    for name in ("epoch", "batch", "step", "phase", "earlier"):
        if type(at[name]) is not int or at[name] < 0:
            raise ValueError(f"`{name}` of the position is {at[name]!r}")
    training.epoch, training.batches, training.steps, training.phases = (
        at[name] for name in ("epoch", "batch", "step", "phase")
    )
    training.earlier = at["earlier"]
    training.stopped = frozenset(at.get("stopped", ()))
    training.rate = at.get("rate", training.rate)  # which earlier versions did not write
    if "noted" in parts:
        noted = parts["noted"].state()
        training.weighed.steps.update({int(step): each for step, each in noted["weighed"].items()})
        training.norms.norms.update(noted["norms"])
        training.norms.together = tuple(map(tuple, noted["together"]))
    if "scale" in at:
        training.scale = LossScale(**at["scale"])


def _learned(training: Training) -> dict[str, nn.Parameter]:
    return dict(learned_by(training))


def _progress(scheduler: LRScheduler | None) -> dict[str, Any]:
    """Where a schedule is. What it was made with stays out, such as milestones: a new one has it."""
    state = scheduler.state_dict() if scheduler else {}
    plain = (int, float, bool, list, type(None))
    return {key: value for key, value in state.items() if isinstance(value, plain)}
