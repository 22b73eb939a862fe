"""Balancing the tasks: how their losses become one step.

Scalar methods weigh the losses; gradient methods weigh each task's gradient on the parameters that serve several tasks
(torchjd gives the weights). Tasks are kept sorted by name, so that their order in the spec changes nothing. A task that
has no label in a batch has no part in that step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, cast

import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.language.constants import Named
from mtsldsl.sharing import linked

if TYPE_CHECKING:
    from torchjd.aggregation import Weighting
    from torchjd.linalg import PSDMatrix

Losses: TypeAlias = Mapping[str, Tensor]
"""A scalar loss per task, 0 with a gradient of 0 where the batch has no label of it."""

Labelled: TypeAlias = Mapping[str, Tensor]
"""Whether the batch has a label of a task, a boolean on the device; a task that is missing has."""


NO_TASK: Labelled = MappingProxyType({})


class Balance(nn.Module):
    """Equal balance: the sum of the losses, each times its task's weight; the base of the other methods.

    `state_dict` and `load_state_dict` carry what a resumed run needs; its parameters, if any, belong
    in the optimizer.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(sorted(weights.items()))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, sorted by name."""
        return tuple(self.weights)

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The scalar whose plain gradient a scalar method follows, and what a gradient method reports as total."""
        return torch.stack([weight * losses[task] for task, weight in self.weights.items()]).sum()

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
        total = self.combine(losses, labelled)
        (total if extra is None else total + extra).backward()  # type: ignore[no-untyped-call]

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Take note of an epoch's mean loss per task, NaN without a label; only `dwa` uses it."""


class Uncertainty(Balance):
    """Homoscedastic uncertainty (Kendall, Gal, Cipolla 2018): the sum of exp(-s)/2 * loss + s/2, with a learned
    s = log sigma^2 per task, 0 at first. A task's weight multiplies its whole term, as s would cancel it from the loss.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in self.tasks})

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The weighted losses with the penalty on uncertainty, of the tasks that have a label."""
        return torch.stack([self._term(task, losses, labelled) for task in self.tasks]).sum()

    def _term(self, task: str, losses: Losses, labelled: Labelled) -> Tensor:
        s = self.log_variance[task]
        term = self.weights[task] * (torch.exp(-s) * losses[task] + s) / 2
        return torch.where(labelled[task], term, 0.0) if task in labelled else term


class DynamicWeightAverage(Balance):
    """DWA (Liu, Johns, Davison 2019, eq. 7): a task's factor is T softmax(r / temperature) over the T tasks, r the
    ratio of its mean losses in the last two epochs in which it had labels; 1 until it had them in two. T counts the
    tasks that have such a ratio."""

    factors: Tensor
    earlier: Tensor

    def __init__(self, weights: Mapping[str, float], temperature: float) -> None:
        super().__init__(weights)
        self.temperature = temperature
        self.register_buffer("factors", torch.ones(len(weights)))
        self.register_buffer("earlier", torch.full((len(weights),), torch.nan))

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The losses, weighted by this epoch's factors."""
        weighted = torch.stack([weight * losses[task] for task, weight in self.weights.items()])
        return (weighted * self.factors).sum()

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Set the factors for the next epoch from the unweighted mean losses of this one."""
        latest = self.earlier.new_tensor([mean_losses.get(task, math.nan) for task in self.tasks])
        ratio = latest / self.earlier.clamp(min=torch.finfo(latest.dtype).tiny)
        known = ratio.isfinite()
        self.factors[known] = known.sum() * torch.softmax(ratio[known] / self.temperature, dim=0)
        self.earlier.copy_(torch.where(latest.isfinite(), latest, self.earlier))


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
            if weight and (task not in labelled or bool(labelled[task]))
        }
        last = next(reversed(counted), None)
        gradients = {
            task: torch.autograd.grad(
                weight * losses[task], trained, retain_graph=task != last or extra is not None, allow_unused=True
            )
            for task, weight in counted.items()
        }
        if extra is not None:
            extra.backward()  # type: ignore[no-untyped-call]
        rows = [
            {task: gradient for task in counted if (gradient := gradients[task][place]) is not None}
            for place in range(len(trained))
        ]
        factors = self._factors([row for row in rows if len(row) > 1])
        for parameter, row in zip(trained, rows, strict=True):
            if len(row) > 1:
                row = {task: factors[task] * gradient for task, gradient in row.items()}
            for gradient in row.values():
                parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.add_(gradient)

    def _factors(self, shared: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The factor of each task's gradient, from the gradients `{task: gradient}` of the shared parameters."""
        factors: dict[str, Tensor] = {}
        for group in linked([frozenset(row) for row in shared]):
            tasks = sorted(group)
            weights = self._weigh(_gramian(tasks, [row for row in shared if group.issuperset(row)]))
            factors.update(zip(tasks, weights * len(tasks) if self._averages else weights, strict=True))
        return factors


def _gramian(tasks: list[str], rows: list[dict[str, Tensor]]) -> Tensor:
    """Inner products `(tasks, tasks)` of the tasks' gradients over all rows; a gradient that is missing is zero."""
    total: Tensor | None = None
    for row in rows:
        zero = torch.zeros_like(next(iter(row.values())))
        with torch.autocast(zero.device.type, enabled=False):  # bf16 products would turn conflicts into agreement
            matrix = torch.stack([row.get(task, zero).flatten() for task in tasks]).float()
            total = matrix @ matrix.T if total is None else total + matrix @ matrix.T
    if total is None:
        raise ValueError("a group of tasks shares at least one parameter")
    return total


def _pcgrad(weights: Mapping[str, float], _: Named) -> Balance:
    from torchjd.aggregation import PCGradWeighting

    return GradientBalance(weights, PCGradWeighting(), averages=False)


def _mgda(weights: Mapping[str, float], _: Named) -> Balance:
    from torchjd.aggregation import MGDAWeighting

    return GradientBalance(weights, MGDAWeighting(), averages=True)


def _cagrad(weights: Mapping[str, float], balance: Named) -> Balance:
    from torchjd.aggregation import CAGradWeighting

    return GradientBalance(weights, CAGradWeighting(c=_number(balance, "c", 0.5)), averages=True)


def _upgrad(weights: Mapping[str, float], _: Named) -> Balance:
    from torchjd.aggregation import UPGradWeighting

    return GradientBalance(weights, UPGradWeighting(), averages=True)


def _dwa(weights: Mapping[str, float], balance: Named) -> Balance:
    return DynamicWeightAverage(weights, _number(balance, "temperature", 2.0))


def _number(balance: Named, argument: str, default: float) -> float:
    return float(cast(float, balance.arguments.get(argument, default)))


BALANCES: Mapping[str, Callable[[Mapping[str, float], Named], Balance]] = {
    "equal": lambda weights, _: Balance(weights),
    "uncertainty": lambda weights, _: Uncertainty(weights),
    "dwa": _dwa,
    "pcgrad": _pcgrad,
    "mgda": _mgda,
    "cagrad": _cagrad,
    "upgrad": _upgrad,
}
"""The methods by name, each made from the tasks' weights and the balance with its arguments."""

SOLVED = ("cagrad", "upgrad")
"""The methods that need a package beyond torchjd itself: torchjd's extras `cagrad` and `quadprog-projector`."""


def make_balance(balance: Named, tasks: tuple[str, ...], weights: Mapping[str, float]) -> Balance:
    """The balance of that name over the tasks, with their weights from the spec.

    Raises MtlError: MTL107 for an unknown name, MTL206 for a method whose solver is not installed (`cagrad`,
    `upgrad`).
    """
    if balance.name not in BALANCES:
        raise MtlError.of(
            "MTL107",
            f"no balance is called `{balance.name}`",
            suggestion(balance.name, BALANCES, "balances"),
            balance.span,
        )
    try:
        return BALANCES[balance.name]({task: weights[task] for task in tasks}, balance)
    except ImportError as missing:
        raise MtlError.of(
            "MTL206",
            f"the balance `{balance.name}` needs a solver that is not installed: {missing}",
            f"install it as said, or use one of {', '.join(name for name in BALANCES if name not in SOLVED)}",
            balance.span,
        ) from missing
