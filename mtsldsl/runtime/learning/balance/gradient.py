"""Methods that settle conflicts between the gradients of the tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from mtsldsl.runtime.learning.balance.balance import NO_TASK, Balance, Labelled, Losses, OwnRows, Rows, laid_out
from mtsldsl.runtime.learning.loss_scale import finite
from mtsldsl.sharing import linked_in_order

Term: TypeAlias = tuple[nn.Parameter, Tensor]
"""A parameter, and what is added to its gradient, a tensor that nothing else holds."""


class NotFiniteError(Exception):
    """Gradients that are not finite numbers, of which nothing can be made."""


class GradientBalance(Balance):
    """Methods that settle conflicts between the tasks' gradients on the parameters that several tasks use.

    A parameter that one task uses gets that task's plain gradient. Tasks that are linked by shared parameters, directly
    or through other tasks, are balanced together, and apart from the rest: a task that shares nothing with them would
    be a zero row, which some methods take for a task that must not move. The memory is one gradient a task: the graph
    of the losses is gone before they are balanced.
    """

    def try_out(self) -> None:
        """Balance something once, for nothing, so that what is not installed is noticed before a run begins."""

    def backward(
        self,
        losses: Losses,
        extra: Tensor | None,
        parameters: Iterable[nn.Parameter],
        labelled: Labelled = NO_TASK,
    ) -> None:
        """Add the balanced gradient of the losses, and the plain one of `extra`, to `.grad`."""
        every = list(parameters)
        trained = [parameter for parameter in every if parameter.requires_grad]
        # A constant, such as the alignment of a batch too small to compare, has no gradient to add.
        extra = extra if extra is not None and extra.requires_grad else None
        counted = self._counted(losses, labelled)
        last = next(reversed(counted), None)
        gradients = {
            task: torch.autograd.grad(loss, trained, retain_graph=task != last or extra is not None, allow_unused=True)
            for task, loss in counted.items()
        }
        if extra is not None:
            torch.autograd.backward(extra)
        rows = {
            parameter: {task: gradient for task in counted if (gradient := gradients[task][place]) is not None}
            for place, parameter in enumerate(trained)
        }
        self.settle({task: loss.detach() for task, loss in counted.items()}, rows, every)

    def backward_of(
        self, losses: Losses, rows: OwnRows, parameters: Iterable[nn.Parameter], labelled: Labelled = NO_TASK
    ) -> None:
        """Add the balanced gradient of the tasks' own ones."""
        counted = self._counted(losses, labelled)
        for row in rows.values():
            for task in list(row):
                if task not in counted:
                    del row[task]
                elif self.weights[task] != 1:
                    row[task] = self.weights[task] * row[task]
        self.settle(counted, rows, list(parameters))

    def _counted(self, losses: Losses, labelled: Labelled) -> dict[str, Tensor]:
        """The weighted losses that have a part in the step: a zero gradient stops some methods."""
        return {
            task: _times(weight, losses[task])
            for task, weight in self.weights.items()
            if task in losses and weight and (task not in labelled or bool(labelled[task]))
        }

    def settle(self, losses: Losses, rows: Rows, parameters: Sequence[nn.Parameter]) -> None:
        """Add to `.grad` what the gradients come to, of the weighted losses; the `parameters` are all, in order. Where
        some are not finite it is their plain sum, which tells, and nothing is learned of them."""
        if self.may_overflow and not finite(gradient for row in rows.values() for gradient in row.values()):
            _add(_plain(rows))
            return
        shared = {parameter: row for parameter, row in rows.items() if len(row) > 1}
        _add([(parameter, each.clone()) for parameter, row in rows.items() if len(row) == 1 for each in row.values()])
        self.weighed = {}
        for tasks in linked_in_order(map(frozenset, shared.values()), self.tasks):
            of_group = {parameter: row for parameter, row in shared.items() if row.keys() <= set(tasks)}
            try:
                for terms in self.balanced(tasks, of_group, losses):
                    _add(terms)
            except NotFiniteError:
                _add(_plain(of_group))
        if self.asked:
            linked_tasks = {task for row in shared.values() for task in row}
            factors = {task: torch.ones(()) for task in losses if task not in linked_tasks}  # their plain gradients
            self.weighed = {task: self.weights[task] * factor for task, factor in {**factors, **self.weighed}.items()}

    def balanced(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Iterator[Sequence[Term]]:
        """The terms that the gradients of the shared parameters of linked tasks, sorted by name, are the sums of: some
        of them, each of another parameter, then some more. The losses are those of the tasks times their weights.
        Raises NotFiniteError before the first of them."""
        factors = dict(zip(tasks, self.factors(tasks, rows, losses), strict=True))
        self.weighed = {**self.weighed, **factors}
        for task, factor in factors.items():
            found = [(parameter, row[task]) for parameter, row in rows.items() if task in row]
            products = torch._foreach_mul([gradient for _, gradient in found], factor)
            yield [(parameter, each) for (parameter, _), each in zip(found, products, strict=True)]

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """What the gradient of each of these tasks counts, `(tasks,)`."""
        raise NotImplementedError


def _plain(rows: Rows) -> list[Term]:
    """The plain sums of gradients."""
    return [(parameter, torch.stack(list(row.values())).sum(0)) for parameter, row in rows.items()]


def _times(weight: float, tensor: Tensor) -> Tensor:
    return tensor if weight == 1 else weight * tensor


def _add(terms: Sequence[Term]) -> None:
    """Add to the `.grad` of each parameter, which takes the tensor itself where it has none."""
    known = [(parameter.grad, each) for parameter, each in terms if parameter.grad is not None]
    for parameter, each in terms:
        if parameter.grad is None:
            parameter.grad = laid_out(each, parameter)
    if known:
        torch._foreach_add_([grad for grad, _ in known], [each for _, each in known])
