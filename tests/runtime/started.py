"""A training as a generated train.py starts and drives it."""

from __future__ import annotations

import torch

from mtsldsl.ir import Spec
from mtsldsl.runtime.learning.learned import OptimizerFactory
from mtsldsl.runtime.learning.trained import SchedulerFactory
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.runtime.structure.learner import Learner

CPU = torch.device("cpu")


def started(
    spec: Spec,
    make_optimizer: OptimizerFactory,
    make_scheduler: SchedulerFactory = lambda _: None,
    device: torch.device = CPU,
) -> Training:
    """A new training that learns no sharing."""
    return Training.start(spec, model_class(spec), Learner(), make_optimizer, make_scheduler, device)


def step(training: Training, losses: BatchLosses) -> None:
    """One update of all parameters."""
    training.require_finite(losses, None)
    training.optimizer.zero_grad()
    training.backward(losses, None)
    training.optimizer.step()
    training.batches += 1
    training.steps += 1
