"""A network that a learner trains beside the run's own, to be kept too."""

from __future__ import annotations

import torch
from torch import nn

from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Mixed, Samples
from mtsldsl.runtime.learning.ema import average_of, counts, standing, update
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.learning.step import Step
from mtsldsl.runtime.network.inputs import each_of, inputs_in
from mtsldsl.runtime.objectives import BatchLosses


class Beside(nn.Module):
    """A network of its `spec`, with the mean of its weights where that has one. It is kept under its `names`.

    The parameters of the network stand under `network.`, as those of a layer, or of a head, are known by.
    """

    def __init__(self, names: tuple[str, ...], spec: Spec, model: nn.Module) -> None:
        super().__init__()
        self.names, self.spec = names, spec
        self.network = model
        self.averaged = average_of(model, spec)
        if self.averaged is not None:
            self.averaged.requires_grad_(False)

    @property
    def kept(self) -> nn.Module:
        """What is evaluated and kept: the network, or the mean of it."""
        return standing(self.network, self.averaged)

    def losses(self, step: Step) -> BatchLosses:
        """What the network makes of the batch of a step."""
        inputs = inputs_in(step.batch, self.spec.data)
        with autocast(self.spec.train.precision, each_of(inputs)[0].device):
            whole = len(step.tasks) == len(self.spec.tasks)
            outputs = self.network(*each_of(inputs)) if whole else self.network(*each_of(inputs), step.tasks)
        return step.measured(outputs)

    def average(self, step: int, steps: int) -> None:
        """Add the network after a step, counted from 1, of so many in all to the mean, where that step is part of
        it."""
        if self.averaged is not None and counts(self.spec, step, steps):
            update(self.averaged, self.network)

    def reestimate(self, samples: Samples | Mixed, device: torch.device) -> None:
        """Give the mean, once it has a step, statistics of batch normalisation of its own."""
        if self.kept is not self.network:
            reestimate([(self.spec, self.kept)], samples, device)
