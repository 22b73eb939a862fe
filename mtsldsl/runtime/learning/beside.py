"""Networks that a learner trains beside the run's own, on the same batches: those that are kept too, and a twin."""

from __future__ import annotations

import torch
from torch import nn

from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Mixed, Samples
from mtsldsl.runtime.learning.balance import Balance
from mtsldsl.runtime.learning.balance.balance import SumOfTerms
from mtsldsl.runtime.learning.ema import average_of, counts, standing, update
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.known_gradients import Learned, gradients_of
from mtsldsl.runtime.learning.learned import balance_of
from mtsldsl.runtime.learning.random_state import drawing_from
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.learning.step import Step
from mtsldsl.runtime.network.inputs import each_of, inputs_in
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.seeds import torch_seed_of


class Companion(nn.Module):
    """A network of its `spec` that learns from the batches of the run's own.

    The parameters of the network stand under `network.`, as those of a layer, or of a head, are known by.
    """

    def __init__(self, spec: Spec, model: nn.Module) -> None:
        super().__init__()
        self.spec = spec
        self.network = model

    def learned(self, step: Step, balance: Balance) -> Learned:
        """The loss of a step, and the gradients of all that is learned here; what they were computed from is given
        up."""
        losses = self.losses(step)
        loss = balance.combine(losses.values, losses.labelled())
        return loss.detach(), gradients_of(loss, self)

    def losses(self, step: Step) -> BatchLosses:
        """What the network makes of the batch of a step."""
        inputs = inputs_in(step.batch, self.spec.data)
        with autocast(self.spec.train.precision, each_of(inputs)[0].device):
            whole = len(step.tasks) == len(self.spec.tasks)
            outputs = self.network(*each_of(inputs)) if whole else self.network(*each_of(inputs), step.tasks)
        return step.measured(outputs)


class Beside(Companion):
    """One that is kept too, under its `names`, with the mean of its weights where that has one."""

    def __init__(self, names: tuple[str, ...], spec: Spec, model: nn.Module) -> None:
        super().__init__(spec, model)
        self.names = names
        self.averaged = average_of(model, spec)
        if self.averaged is not None:
            self.averaged.requires_grad_(False)

    @property
    def kept(self) -> nn.Module:
        """What is evaluated and kept: the network, or the mean of it."""
        return standing(self.network, self.averaged)

    def average(self, step: int, steps: int) -> None:
        """Add the network after a step, counted from 1, of so many in all to the mean, where that step is part of
        it."""
        if self.averaged is not None and counts(self.spec, step, steps):
            update(self.averaged, self.network)

    def reestimate(self, samples: Samples | Mixed, device: torch.device) -> None:
        """Give the mean, once it has a step, statistics of batch normalisation of its own."""
        if self.kept is not self.network:
            reestimate([(self.spec, self.kept)], samples, device)


class Twin(Companion):
    """One that nobody keeps, which tells how alike two networks of the same tasks become that differ in the seed.

    A balance of its own weighs the losses, where that makes a term of each by itself; where what a task counts depends
    on other tasks, which share nothing here, it is the task's weight. What it draws at random is drawn by the step
    alone, and changes nothing that the run's own network draws.
    """

    def __init__(self, spec: Spec, model: nn.Module) -> None:
        super().__init__(spec, model)
        balance = balance_of(spec)
        self.balance = balance if isinstance(balance, SumOfTerms) else Balance(balance.weights)

    def taught(self, step: Step) -> Learned:
        """The loss of a step, and the gradients of all that it learns."""
        device = next(iter(step.batch.values())).device
        with drawing_from(torch_seed_of(step.position.seed, step.position.step, "twin", *step.tasks), device):
            return self.learned(step, self.balance)
