"""What is trained: spec, network, optimizer and schedule, and what of them is evaluated and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Self, TypeAlias

import attrs
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from mtsldsl.ir import Spec, Task
from mtsldsl.runtime.data import Mixed, Samples
from mtsldsl.runtime.learning.balance import Balance
from mtsldsl.runtime.learning.ema import average_of, counts, standing, update
from mtsldsl.runtime.learning.evaluation import Evaluation, evaluate
from mtsldsl.runtime.learning.learned import OptimizerFactory, balance_of, optimizer_of
from mtsldsl.runtime.learning.loss_scale import LossScale
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.learning.step import Penalty, Position
from mtsldsl.runtime.learning.teachers import Teachers
from mtsldsl.runtime.network.built import build_model, initialised, place
from mtsldsl.runtime.network.transfer import carry_state, give_back_buffers
from mtsldsl.runtime.objectives import Loss, task_losses

SchedulerFactory: TypeAlias = Callable[[Optimizer], LRScheduler | None]
"""Makes the schedule of an optimizer, None for a constant rate."""

ALONE = Ranks()


@attrs.define
class Trained:
    """Spec, network, optimizer and schedule that belong together, and how many epochs are done.

    `earlier` is the epoch of the last decision that the spec had when the run began: `history` goes on counting there.
    """

    spec: Spec
    model: nn.Module
    balance: Balance
    optimizer: Optimizer
    scheduler: LRScheduler | None
    make_optimizer: OptimizerFactory
    make_scheduler: SchedulerFactory
    device: torch.device
    trained: tuple[Task, ...]
    """All that has a loss: the tasks, and those that help in groups."""
    loss_functions: Mapping[str, Loss]
    learner: Penalty
    ranks: Ranks = attrs.field(factory=Ranks)
    epoch: int = 0
    batches: int = 0
    steps: int = 0
    phases: int = 0
    earlier: int = 0
    evaluated: tuple[Samples | Mixed, Evaluation] | None = None
    """Samples, and what the network as it is was found to reach on them."""
    epoch_steps: int = 0
    """How many steps the epoch in hand has."""
    rate: float = 0.0
    """The learning rate of the schedule in the step, or the epoch, that was the last."""
    beginning: Mapping[str, Tensor] | None = None
    """The weights that the network began with, by name, where they were given and it may begin with them anew."""
    averaged: AveragedModel | None = None
    """The mean of the network over steps, which is evaluated and kept once it has one; None where a spec has none."""
    stopped: frozenset[str] = frozenset()
    """The tasks that learn no more."""
    scale: LossScale | None = None
    """By what gradients are multiplied in fp16; None in other precisions."""
    teachers: Teachers | None = None
    """Whose answers are learned beside the labels."""

    @classmethod
    def start(
        cls,
        spec: Spec,
        model_class: type[nn.Module],
        learner: Penalty,
        make_optimizer: OptimizerFactory,
        make_scheduler: SchedulerFactory,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> Self:
        """A run's beginning: initial weights depend on the seed and the layer alone, so all tasks start equal."""
        torch.manual_seed(spec.train.seed)
        model = place(initialised(model_class, spec), spec, device)
        learner.begin(spec)
        learner.to(device)
        balance = balance_of(spec).to(device)
        optimizer = optimizer_of(make_optimizer, model, balance, learner)
        return cls(
            spec=spec,
            model=model,
            balance=balance,
            optimizer=optimizer,
            scheduler=make_scheduler(optimizer),
            make_optimizer=make_optimizer,
            make_scheduler=make_scheduler,
            device=device,
            earlier=max((decision.epoch for decision in spec.history), default=0),
            trained=spec.trained,
            loss_functions=task_losses(spec.trained),
            learner=learner,
            ranks=ranks,
            averaged=average_of(model, spec),
            scale=LossScale.of(spec.train.precision),
        )

    @property
    def learning(self) -> bool:
        """Whether a task still learns, of those that have a weight."""
        return not self.stopped or any(task.weight and task.name not in self.done for task in self.spec.tasks)

    @property
    def done(self) -> frozenset[str]:
        """What has no loss: tasks that have stopped, what helps them alone, and what depends on nothing that learns."""
        return self.spec.settled.union(self.spec.trained_with(self.stopped) if self.stopped else ())

    @property
    def position(self) -> Position:
        """Where the training is."""
        return Position(self.epoch, self.batches, self.steps, self.phases, self.spec.train.seed)

    @property
    def position_after(self) -> Position:
        """Where it is at the end of the epoch in hand."""
        return attrs.evolve(self.position, epoch=self.epoch + 1, batch=0)

    @property
    def seen(self) -> int:
        """How many batches of the epoch in hand have been learned from: some, where a run goes on within one."""
        return self.batches * self.spec.train.accumulate

    @property
    def progress(self) -> float:
        """The part of the run that is done."""
        return (self.epoch + self.batches / max(self.epoch_steps, 1)) / self.spec.train.epochs

    @property
    def present(self) -> Spec:
        """The spec as it would be written down if the run ended here; its text is that of the last phase."""
        sharing = self.learner.present(self.spec.sharing)
        return self.spec if sharing is self.spec.sharing else attrs.evolve(self.spec, sharing=sharing)

    @property
    def network(self) -> nn.Module:
        """What is evaluated and kept: the network that is trained, or the mean of it."""
        return standing(self.model, self.averaged)

    def average(self) -> None:
        """Add the network after a step to the mean, where that step is part of it."""
        if self.learner.instead:
            return
        steps = self.spec.train.epochs * self.epoch_steps
        if self.averaged is not None and counts(self.spec, self.steps, steps):
            update(self.averaged, self.model)
        for each in self.learner.beside():
            each.average(self.steps, steps)

    @property
    def averaged_steps(self) -> int | None:
        """Over how many steps what is kept is a plain mean; None where it is none."""
        if self.averaged is None or self.spec.train.average is None or self.network is self.model:
            return None
        return int(self.averaged.n_averaged)

    def reestimate(self, samples: Samples | Mixed) -> None:
        """Give the mean, once it has a step, statistics of batch normalisation of its own, of samples for training."""
        for each in self.learner.beside():
            each.reestimate(samples, self.device)
        if self.network is self.model:
            return
        present, model = self.presented()
        reestimate([(present, model)], samples, self.device)
        if model is not self.network:
            give_back_buffers(model, self.network, self.learner.stand_ins(present.sharing))

    def presented(self) -> tuple[Spec, nn.Module]:
        """That spec, and a network that has all of it under its names: mostly the `network` itself."""
        present = self.present
        if self.learner.instead:
            return present, self.learner.leading(present)
        members = self.learner.stand_ins(present.sharing)
        if not members:
            return present, self.network
        model = place(build_model(present), present, self.device)
        carry_state(self.spec, present, self.network, model, members)
        return present, model

    def evaluate(self, samples: Samples | Mixed) -> Evaluation:
        """What the network as it is reaches on these samples for validation, with the thresholds that are best on them;
        once where a structural phase has just found it."""
        if self.evaluated is not None and self.evaluated[0] is samples:
            return self.evaluated[1]
        present, model = self.presented()
        whole = present is self.spec or model is not self.network
        return evaluate(model, present, samples, self.device, whole=whole, thresholds=None)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of the network and of the learner, looked for as they are asked for: most steps need none."""
        return chain(self.model.parameters(), self.learner.parameters())

    def clip(self, most: float) -> None:
        """Make the gradient of a step so long at most, in the Euclidean norm: that of all that is trained together; of
        networks that the learner trains beside this one, each by itself."""
        structure = self.spec.structure
        if structure is None or not structure.known.networks(structure.settings):
            nn.utils.clip_grad_norm_(self.parameters(), most)
            return
        for module in (self.model, *self.learner.apart()):
            nn.utils.clip_grad_norm_(tuple(module.parameters()), most)  # which may be none

    def train_what(self, spec: Spec) -> None:
        """Have the losses of all that a spec trains, and a balance that begins anew, where it trains something else."""
        if [task.name for task in spec.trained] != [task.name for task in self.trained]:
            self.trained, self.loss_functions = spec.trained, task_losses(spec.trained)
            self.balance = balance_of(spec).to(self.device)

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Count the epoch, advance the schedule and the balance."""
        if self.learner.of_part:
            self.ranks.even(self.learner)
        for each in self.learner.twins():
            self.ranks.even(each)
        self.ranks.even(self.model, self.balance, self.learner)
        if self.averaged is not None:
            self.ranks.even(self.averaged)
        self.epoch += 1
        self.batches = 0
        self.balance.end_epoch(dict(mean_losses))
        if not self.spec.train.rate_by_steps:
            self.advance_schedule()

    def advance_schedule(self) -> None:
        """Let the optimizer have the learning rate that comes next, after a step or at the end of an epoch."""
        self.rate = self.optimizer.param_groups[0]["lr"]
        if self.scheduler is not None:
            self.scheduler.step()
