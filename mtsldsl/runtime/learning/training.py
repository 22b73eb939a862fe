"""The state of a run while it goes on: what a checkpoint saves and a structural phase changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import attrs
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mtsldsl.ir import Spec
from mtsldsl.runtime.learning.balance import Balance, GradientBalance, make_balance
from mtsldsl.runtime.learning.finite import ALIGNMENT
from mtsldsl.runtime.learning.guard import SELDOM, Guard
from mtsldsl.runtime.network.build import build_model
from mtsldsl.runtime.objectives import BatchLosses, Loss, task_losses
from mtsldsl.runtime.similarity import alignment_loss
from mtsldsl.sharing import Copy, unmerged

NamedParameters: TypeAlias = Iterable[tuple[str, nn.Parameter]]
OptimizerFactory: TypeAlias = Callable[[NamedParameters], Optimizer]


SchedulerFactory: TypeAlias = Callable[[Optimizer], LRScheduler | None]
"""Makes the schedule of an optimizer, None for a constant rate."""


@attrs.define
class Training:
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
    loss_functions: Mapping[str, Loss]
    epoch: int = 0
    earlier: int = 0
    guard: Guard | None = None

    @classmethod
    def start(
        cls, spec: Spec, make_optimizer: OptimizerFactory, make_scheduler: SchedulerFactory, device: torch.device
    ) -> Training:
        """A run's beginning: initial weights depend on the seed and the layer alone, so all tasks start equal."""
        torch.manual_seed(spec.train.seed)
        model = place(build_model(spec), spec, device)
        balance = make_balance(
            spec.train.balance,
            tuple(task.name for task in spec.tasks),
            {task.name: task.weight for task in spec.tasks},
        ).to(device)
        optimizer = make_optimizer(named_parameters(model, balance))
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
            loss_functions=task_losses(spec.tasks),
        )

    def losses(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> BatchLosses:
        """The loss of every task, each a scalar."""
        return BatchLosses.of(self.spec.tasks, self.loss_functions, outputs, batch)

    @contextmanager
    def watched(self, aligning: bool) -> Iterator[list[list[Tensor]]]:
        """While open, the forward pass leaves here, for each set of tasks that may merge next, the output of each
        member's copy of the layer: what the alignment loss pulls together. Nothing where `aligning` is false."""
        watched: list[list[Tensor]] = []
        handles = []
        for layer, tasks in unmerged(self.spec.sharing) if aligning else ():
            activations: list[Tensor] = []
            watched.append(activations)
            for task in sorted(tasks):
                module = self.model.get_submodule(Copy(layer, frozenset([task])).name)
                handles.append(module.register_forward_hook(_appender(activations)))
        try:
            yield watched
        finally:
            for handle in handles:
                handle.remove()

    def alignment(self, watched: list[list[Tensor]], weight: float) -> Tensor | None:
        """`weight * (1 - mean pairwise CKA)` summed over the sets of tasks that may merge next; None without any.

        It compares what the copies make of the same images, and needs no label: a batch without labels of a task
        aligns that task's copy as any other does."""
        # A copy that no head depends on is not run, so a set may have left too little to compare.
        terms = [alignment_loss(activations, weight) for activations in watched if len(activations) > 1]
        return torch.stack(terms).sum() if terms else None

    def step(self, losses: BatchLosses, alignment: Tensor | None) -> None:
        """One update of all parameters. Raises MtlError MTL803 where `guarded` finds losses that are not finite."""
        if self.guard is not None:
            self.guard.check(losses.values if alignment is None else {**losses.values, ALIGNMENT: alignment})
        self.optimizer.zero_grad(set_to_none=True)
        self.balance.backward(losses.values, alignment, self.model.parameters(), losses.labelled())
        self.optimizer.step()

    @contextmanager
    def guarded(self, hint: str = "", every: int | None = None) -> Iterator[None]:
        """While open, a step whose losses are not finite is not made: it raises MtlError MTL803, which says where they
        come from, and ends its remedy with `hint`. `every` is after how many steps the device is asked, by default
        as the guard needs it there."""
        every = every or self._every()
        stop = torch.zeros((), device=self.device)
        self.guard = Guard(self.model, self.spec, self.epoch + 1, every, stop, hint)
        try:
            with self.guard.over(self.optimizer):
                yield
        finally:
            self.guard = None

    def _every(self) -> int:
        """How often a guard asks: seldom on CUDA, where that alone would wait for the device, and where a fused
        optimizer can be told there to stop; else at every step."""
        fused = all(group.get("fused") for group in self.optimizer.param_groups)
        waits = isinstance(self.balance, GradientBalance)
        return SELDOM if self.device.type == "cuda" and fused and not waits else 1

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Count the epoch, advance the schedule and the balance."""
        self.epoch += 1
        self.balance.end_epoch(dict(mean_losses))
        if self.scheduler is not None:
            self.scheduler.step()


def _appender(activations: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def append(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        activations.append(output)

    return append


def named_parameters(model: nn.Module, balance: Balance) -> list[tuple[str, nn.Parameter]]:
    """Everything that is learned, by name: the network's parameters, then the balance's own."""
    return [*model.named_parameters(), *((f"balance.{name}", value) for name, value in balance.named_parameters())]


def place(model: nn.Module, spec: Spec, device: torch.device) -> nn.Module:
    """The network on the device; image networks in channels_last, which convolutions are quicker in."""
    model = model.to(device)
    if len(spec.data.shape) == 3:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack the keyword
    return model
