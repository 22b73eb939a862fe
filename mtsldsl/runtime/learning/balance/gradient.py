"""Methods that settle conflicts between the gradients of the tasks; torchjd gives the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mtsldsl.runtime.learning.balance.balance import NO_TASK, Balance, Labelled, Losses
from mtsldsl.sharing import linked

if TYPE_CHECKING:
    from torchjd.aggregation import Weighting
    from torchjd.linalg import PSDMatrix


class GradientBalance(Balance):
    """Methods that settle conflicts between the tasks' gradients on the parameters that several tasks use.

    A parameter that one task uses gets that task's plain gradient. Tasks that are linked by shared parameters, directly
    or through other tasks, are balanced together, and apart from the rest: a task that shares nothing with them would
    be a zero row, which some methods take for a task that must not move. The step is scaled so that gradients in
    agreement add up as under `equal`, whatever the number of tasks: sharing more does not change the learning rate.
    """

    def __init__(self, weights: Mapping[str, float], weighting: Weighting[PSDMatrix], *, averages: bool) -> None:
        super().__init__(weights)
        self._weigh: Callable[[Tensor], Tensor] = weighting
        self._averages = averages

    def try_out(self) -> None:
        """Weigh two gradients once, for nothing; torch's random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            self._weigh(torch.eye(2))

    def backward(
        self,
        losses: Losses,
        extra: Tensor | None,
        parameters: Iterable[nn.Parameter],
        labelled: Labelled = NO_TASK,
    ) -> None:
        """Add the balanced gradient of the losses, and the plain one of `extra`, to `.grad`."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        # A constant, such as the alignment of a batch too small to compare, has no gradient to add.
        extra = extra if extra is not None and extra.requires_grad else None
        counted = {  # a zero gradient stops some methods
            task: weight
            for task, weight in self.weights.items()
            if task in losses and weight and (task not in labelled or bool(labelled[task]))
        }
        last = next(reversed(counted), None)
        gradients = {
            task: torch.autograd.grad(
                losses[task] if weight == 1 else weight * losses[task],
                trained,
                retain_graph=task != last or extra is not None,
                allow_unused=True,
            )
            for task, weight in counted.items()
        }
        if extra is not None:
            extra.backward()  # type: ignore[no-untyped-call]
        shared = [sum(found[place] is not None for found in gradients.values()) > 1 for place in range(len(trained))]
        factors = self._factors(
            [
                {task: gradient for task, found in gradients.items() if (gradient := found[place]) is not None}
                for place, several in enumerate(shared)
                if several
            ]
        )
        if self.asked:
            alone = torch.ones(())  # what shares nothing has its plain gradient
            self.weighed = {task: weight * factors.get(task, alone) for task, weight in counted.items()}
        for task in counted:
            found = list(zip(trained, gradients.pop(task), shared, strict=True))  # what is added is kept no longer
            _add([(parameter, each.clone()) for parameter, each, several in found if each is not None and not several])
            joint = [(parameter, each) for parameter, each, several in found if each is not None and several]
            if joint:
                products = torch._foreach_mul([each for _, each in joint], factors[task])
                _add([(parameter, each) for (parameter, _), each in zip(joint, products, strict=True)])

    def _factors(self, shared: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The factor of each task's gradient, from the gradients `{task: gradient}` of the shared parameters."""
        factors: dict[str, Tensor] = {}
        for group in linked([frozenset(row) for row in shared]):
            tasks = sorted(group)
            weights = self._weigh(_gramian_in_range(tasks, [row for row in shared if group.issuperset(row)]))
            factors.update(zip(tasks, weights * len(tasks) if self._averages else weights, strict=True))
        return factors


def _add(gradients: list[tuple[nn.Parameter, Tensor]]) -> None:
    """Add to the `.grad` of each parameter, which takes the tensor itself where it has none."""
    known = [(parameter.grad, each) for parameter, each in gradients if parameter.grad is not None]
    for parameter, each in gradients:
        if parameter.grad is None:
            parameter.grad = each
    if known:
        torch._foreach_add_([grad for grad, _ in known], [each for _, each in known])


_SQUARES = (1e-20, 1e30)
"""Between these the squared lengths of gradients leave room for their products in float32."""


def _gramian_in_range(tasks: list[str], rows: list[dict[str, Tensor]]) -> Tensor:
    """`_gramian`, of gradients that are all scaled alike where their squares are no numbers of float32: the weights
    depend on the gradients' ratios."""
    found = _gramian(tasks, rows)
    longest = found.diagonal().max()
    if _SQUARES[0] < float(longest) < _SQUARES[1]:
        return found
    largest = max(float(gradient.abs().max()) for row in rows for gradient in row.values())
    if not 0 < largest < math.inf:
        return found
    return _gramian(tasks, [{task: gradient / largest for task, gradient in row.items()} for row in rows])


def _gramian(tasks: list[str], rows: list[dict[str, Tensor]]) -> Tensor:
    """Inner products `(tasks, tasks)` of the tasks' gradients over all rows; a gradient that is missing is zero."""
    if not rows:
        raise ValueError("a group of tasks shares at least one parameter")
    device = next(iter(rows[0].values())).device
    total = torch.zeros(len(tasks), len(tasks), device=device)
    with torch.autocast(device.type, enabled=False):  # bf16 products would turn conflicts into agreement
        for row in rows:
            if len(row) < len(tasks):
                zero = torch.zeros_like(next(iter(row.values())))
                row = dict.fromkeys(tasks, zero) | row
            matrix = torch.stack([row[task] for task in tasks]).reshape(len(tasks), -1).float()
            total += matrix @ matrix.T
    return total
