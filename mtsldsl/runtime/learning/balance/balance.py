"""What every balance does: how the losses of the tasks become one step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from mtsldsl.runtime.learning.probe import Probe
    from mtsldsl.runtime.learning.step import Position

Losses: TypeAlias = Mapping[str, Tensor]
"""A scalar loss per task, 0 with a gradient of 0 where the batch has no label of it."""

Labelled: TypeAlias = Mapping[str, Tensor]
"""Whether the batch has a label of a task, a boolean on the device; a task that is missing has."""

NO_TASK: Labelled = MappingProxyType({})

Row: TypeAlias = Mapping[str, Tensor]
"""The gradients of one parameter, by task; a task that does not use it has none."""

Rows: TypeAlias = Mapping[nn.Parameter, Row]

OwnRows: TypeAlias = Mapping[nn.Parameter, dict[str, Tensor]]
"""Rows that nothing else reads."""


LEAST = 1e-8
"""Added to a loss whose logarithm is taken, so that it is finite."""


class Balance(nn.Module):
    """Equal balance: the sum of the losses, each times its task's weight; the base of the other methods.

    `state_dict` and `load_state_dict` carry what a resumed run needs; its parameters, if any, belong
    in the optimizer.
    """

    joint = False
    """Whether it takes all losses of a step at once, as what one counts depends on the others."""

    constant = False
    """Whether what a task counts is its weight at every step, so that there is nothing to tell."""

    may_overflow = False
    """Whether a gradient may have numbers that are not finite: then the step is not made, whatever they come to."""

    asked = False
    """Whether `weighed` is asked for of the coming step; of others a method need not find it."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(sorted(weights.items()))
        self.weighed: Mapping[str, Tensor] = {}
        """By what the loss of each task, or its gradient on shared parameters, was multiplied in the last step that was
        `asked` for, its weight included: scalars, detached; without the tasks that had no part in it. Where the numbers
        of a gradient have factors of their own it is by what its length was multiplied, or empty."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, sorted by name."""
        return tuple(self.weights)

    def observing(self, position: Position) -> bool:
        """Whether it wants to look ahead in this step."""
        return False

    def observe(self, probe: Probe) -> None:
        """Take the look ahead of a step whose losses are known, before its `backward`."""

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The scalar whose plain gradient a scalar method follows, and what a gradient method reports as total.

        `losses` may be those of some tasks, where these share no parameter with the others: the gradients of one set
        of tasks after the other are those of all at once."""
        terms = [
            losses[task] if weight == 1 else weight * losses[task]
            for task, weight in self.weights.items()
            if task in losses
        ]
        return torch.stack(terms).sum()

    def backward(
        self,
        losses: Losses,
        extra: Tensor | None,
        parameters: Iterable[nn.Parameter],
        labelled: Labelled = NO_TASK,
    ) -> None:
        """Add this step's gradient to the `.grad` of every parameter that the losses depend on.

        `extra` is a loss that belongs to no task, such as the alignment loss; its plain gradient is added.
        `parameters` are the network's; only the gradient methods read them, and wait for `labelled`.
        """
        if self.constant and not self.asked:  # nothing need be added up, as the derivatives are known
            terms = [(loss, self.weights[task]) for task, loss in losses.items()]
            _backward(terms if extra is None else [*terms, (extra, 1.0)])
            return
        total = self.combine(losses, labelled)
        if self.asked:
            self.weighed = _derivatives(total, losses, labelled)
        torch.autograd.backward(total if extra is None else total + extra)

    def backward_of(
        self, losses: Losses, rows: OwnRows, parameters: Iterable[nn.Parameter], labelled: Labelled = NO_TASK
    ) -> None:
        """What `backward` adds, where the tasks' own gradients are known already, and the losses have no graph. The
        rows are used up: they may be changed."""
        values = {task: loss.detach().requires_grad_() for task, loss in losses.items()}
        total = self.combine(values, labelled)
        if self.asked:
            self.weighed = _derivatives(total, values, labelled)
        torch.autograd.backward(total)
        for parameter, row in rows.items():
            for task, gradient in row.items():
                factor = values[task].grad
                if factor is not None:
                    added = factor * gradient
                    if parameter.grad is None:
                        parameter.grad = laid_out(added, parameter)
                    else:
                        parameter.grad.add_(added)
            row.clear()  # it is not read again

    def network_changed(self) -> None:
        """Take note that the network has become another one, by a phase."""

    def catch_up(self) -> None:
        """Learn now what the next step would have it learn of those that are made; only `famo` waits for that."""

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Take note of an epoch's mean loss per task, NaN without a label; only `dwa` uses it."""


def _backward(terms: Sequence[tuple[Tensor, float]]) -> None:
    """Add the gradient of losses, each times its factor, to the `.grad` of what they depend on. RuntimeError where they
    depend on nothing that has one."""
    known = [(loss, factor) for loss, factor in terms if loss.requires_grad] or terms
    constants = [_constant(factor, loss.dtype, loss.device) for loss, factor in known]
    torch.autograd.backward([loss for loss, _ in known], constants)


@cache
def _constant(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.full((), value, dtype=dtype, device=device)


def laid_out(gradient: Tensor, parameter: nn.Parameter) -> Tensor:
    """A gradient in the memory layout of its parameter: a fused optimizer reads both as they lie in memory."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, requires_grad=False).copy_(gradient)


def _derivatives(total: Tensor, losses: Losses, labelled: Labelled) -> dict[str, Tensor]:
    """The derivative of the total by each loss that the batch has a label for: the gradient of a task counts as much.
    Only what lies between the losses and the total is gone through."""
    known = {
        task: loss
        for task, loss in losses.items()
        if loss.requires_grad and (task not in labelled or bool(labelled[task]))
    }
    if not known:
        return {}
    found = torch.autograd.grad(total, list(known.values()), retain_graph=True, allow_unused=True)
    return {task: each for task, each in zip(known, found, strict=True) if each is not None}


class SumOfTerms(Balance):
    """Methods that make a term of the loss of each task, by itself, and add them up."""

    def term(self, task: str, loss: Tensor) -> Tensor:
        """What stands for the loss of a task in the sum."""
        raise NotImplementedError

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The sum, of the tasks that have a label."""
        return torch.stack([self._counted(task, losses, labelled) for task in self.tasks if task in losses]).sum()

    def _counted(self, task: str, losses: Losses, labelled: Labelled) -> Tensor:
        term = self.term(task, losses[task])
        return torch.where(labelled[task], term, 0.0) if task in labelled else term
