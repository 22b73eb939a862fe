"""Gradients of unlike lengths are made alike, others follow their running means (Borsani et al., 2025)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import Balance, Losses, Rows
from mtsldsl.runtime.learning.balance.gradient import GradientBalance, Term
from mtsldsl.runtime.objectives.losses import sum_dtype

MOMENTUM = 0.9
"""Decay of the running means of the gradients, as in the paper's code."""

LEAST = 1e-8
"""Added to the running mean of the conflict."""


class MagnitudeSurgery(GradientBalance):
    """SAM-GS (Borsani et al., 2025, arXiv 2506.06130, algorithm 1). The similarity of two gradients is
    2 |g_i| |g_j| / (|g_i|^2 + |g_j|^2), Ψ its mean over pairs. Below `gamma` every gradient is scaled to the mean of
    their lengths; otherwise g_k is multiplied, number by number, by |m_k| / sqrt(h), with the running means m_k of g_k,
    and h of (1 - Ψ)^2 with decay `beta`, each divided by 1 - decay^steps. As in the paper's code the sum is multiplied
    by the number of tasks, and its length is at most `max_norm`: without conflict h is nearly 0, and the sum huge.

    It remembers one gradient more a task, of what they share; where the network has become another one it begins anew.
    """

    conflict: Tensor
    steps: Tensor

    def __init__(self, weights: Mapping[str, float], gamma: float, beta: float, max_norm: float) -> None:
        super().__init__(weights)
        self._gamma, self._beta, self._most = gamma, beta, max_norm
        self.register_buffer("conflict", torch.zeros(len(weights), dtype=torch.float64))
        self.register_buffer("steps", torch.zeros(len(weights), dtype=torch.int64))
        self.means = RunningMeans()
        self._places: dict[nn.Parameter, int] = {}

    def settle(self, losses: Losses, rows: Rows, parameters: Sequence[nn.Parameter]) -> None:
        """Add the gradient to `.grad`."""
        self._places = {parameter: place for place, parameter in enumerate(parameters)}
        super().settle(losses, rows, parameters)

    def network_changed(self) -> None:
        """What was remembered belonged to other parameters."""
        self.means.forget()
        self.conflict.zero_()
        self.steps.zero_()

    def balanced(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Iterator[Sequence[Term]]:
        """The one sum for each parameter."""
        lengths = _lengths(tasks, rows)
        similarity = _similarity(lengths)
        spread = self._spread(tasks, similarity)
        alike = bool(similarity >= self._gamma)
        scaled = torch.where(lengths > 0, lengths.mean() / lengths, 0.0).float()
        sums, squares = {}, torch.zeros_like(lengths)
        for parameter, row in rows.items():
            terms = []
            for place, task in enumerate(tasks):
                if task in row:
                    mean = self.means.updated(f"{self._places[parameter]}.{task}", row[task])
                    term = row[task] * (mean.abs() / spread[place] if alike else scaled[place])
                    squares[place] += _square(term)
                    terms.append(term)
            sums[parameter] = len(tasks) * torch.stack(terms).sum(0)
        length = torch.stack([_square(each) for each in sums.values()]).sum().sqrt()
        shrunk = (self._most / (length + 1e-6)).clamp(max=1.0) if self._most else torch.ones_like(length)
        counted = len(tasks) * shrunk * torch.where(lengths > 0, squares.sqrt() / lengths, 0.0)
        self.weighed = {**self.weighed, **dict(zip(tasks, counted, strict=True))}
        for parameter, total in sums.items():
            yield [(parameter, total.mul_(shrunk))]

    def _spread(self, tasks: Sequence[str], similarity: Tensor) -> Tensor:
        """The root of the running mean of the conflict `(tasks,)`, once this step is in it."""
        places = [self.tasks.index(task) for task in tasks]
        now = (1 - similarity).square().to(self.conflict)
        self.conflict[places] = self._beta * self.conflict[places] + (1 - self._beta) * now
        self.steps[places] += 1
        whole = self.conflict[places] / (1 - self._beta ** self.steps[places].double())
        return (whole + LEAST).sqrt().float()


class RunningMeans(nn.Module):
    """Running means of tensors by name, as many as there were, in the `state_dict`."""

    def __init__(self) -> None:
        super().__init__()
        self._means: dict[str, tuple[Tensor, int]] = {}
        """With the number of tensors that each is of."""

    @torch.no_grad()
    def updated(self, name: str, value: Tensor) -> Tensor:
        """The mean with one more tensor in it, divided by 1 - decay^steps."""
        mean, steps = self._means.get(name, (torch.zeros_like(value), 0))
        mean = mean.to(value.device).lerp_(value, 1 - MOMENTUM)
        self._means[name] = mean, steps + 1
        return mean / (1 - MOMENTUM ** (steps + 1))

    def forget(self) -> None:
        """Begin anew."""
        self._means.clear()

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, (mean, steps) in self._means.items():
            destination[f"{prefix}{name}.mean"] = mean
            destination[f"{prefix}{name}.steps"] = torch.tensor(steps)

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *more: Any) -> None:
        self.forget()
        for key, mean in state_dict.items():
            if key.startswith(prefix) and key.endswith(".mean"):
                name = key.removesuffix(".mean")
                self._means[name.removeprefix(prefix)] = mean.clone(), int(state_dict[f"{name}.steps"])


def _square(tensor: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(tensor, dtype=sum_dtype(tensor.device))
    return length.square()


def _lengths(tasks: Sequence[str], rows: Rows) -> Tensor:
    """The length of each task's gradient, `(tasks,)`."""
    return torch.stack(
        [torch.stack([_square(row[task]) for row in rows.values() if task in row]).sum().sqrt() for task in tasks]
    )


def _similarity(lengths: Tensor) -> Tensor:
    """The mean similarity of two lengths over all pairs; of two that are 0 it is 1."""
    one, other = torch.triu_indices(len(lengths), len(lengths), 1, device=lengths.device)
    longer = torch.maximum(lengths[one], lengths[other])
    ratio = torch.where(longer > 0, torch.minimum(lengths[one], lengths[other]) / longer, 1.0)
    return (2 * ratio / (1 + ratio.square())).mean()


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    gamma, beta, most = (number(balance.arguments, name) for name in ("gamma", "beta", "max_norm"))
    return MagnitudeSurgery(weights, gamma, beta, most)
