"""Knowledge amalgamation: training a new component to stand for the members that it replaces.

Each member k (the teacher, frozen) is matched through a channel gate of its own, c_k = sigmoid(W2 relu(W1 gap(G(x)))),
by minimising sum_k MSE(member_k(x), c_k * G(x)) over the component G and the gates, which are then dropped: Gurulingan,
Arani, Zonooz, ICML 2023, arXiv 2305.00441.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from mtsldsl.diagnostics import MtlError, Span
from mtsldsl.runtime.learning.guard import SELDOM
from mtsldsl.runtime.network.execution import evaluating, pooled
from mtsldsl.runtime.network.optimizer_state import ParameterState, parameter_state

OptimizerFactory: TypeAlias = Callable[[Iterable[tuple[str, nn.Parameter]]], Optimizer]
"""Makes an optimizer of parameters with their names."""

Inputs: TypeAlias = tuple[Tensor, ...]
"""What a component reads for one batch."""

_OPEN = 4.0  # sigmoid(4) = 0.98


class Gate(nn.Module):
    """The channel gate of one member: pooled output (n, channels) of the component -> factors (n, channels) in (0, 1).

    Starts open, near 1 for all channels, so that a component that equals its members already fits them; a start at
    1/2 would teach it to double its output, which nothing takes back once the gates are gone.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, last = nn.Linear(channels, channels), nn.Linear(channels, channels)
        nn.init.constant_(last.bias, _OPEN)
        self.layers = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, summary: Tensor) -> Tensor:
        """The factors (n, channels) for a pooled output (n, channels)."""
        return torch.sigmoid(self.layers(summary))


def amalgamation_loss(fusion_out: Tensor, teacher_outs: Sequence[Tensor], gates: Sequence[Tensor]) -> Tensor:
    """sum_k MSE(teacher_k, gate_k * fusion), a scalar.

    `fusion_out` and each of `teacher_outs` are (n, c, h, w), (n, length, c) or (n, c); each of `gates` (n, c).
    """
    terms = [
        functional.mse_loss(_gated(fusion_out, gate), teacher)
        for teacher, gate in zip(teacher_outs, gates, strict=True)
    ]
    return torch.stack(terms).sum()


def _gated(output: Tensor, gate: Tensor) -> Tensor:
    """The output with every channel multiplied by its factor (n, c)."""
    if output.ndim == 4:
        return output * gate[:, :, None, None]
    return output * gate[:, None, :] if output.ndim == 3 else output * gate


@attrs.frozen(eq=False)
class AmalgamationJob:
    """One component to train: `fusion` starts from the average of the `teachers`, which are left as they are.

    `name` is the component's name in the network, `enc1.depth+normal`; `channels` those of its output. `title` and
    `span` are what an error calls it, and where that is in the spec.
    """

    name: str
    fusion: nn.Module
    teachers: tuple[nn.Module, ...]
    channels: int
    title: str = attrs.field(default=attrs.Factory(lambda job: f"`{job.name}`", takes_self=True))
    span: Span | None = None


@attrs.frozen(eq=False)
class AmalgamationReport:
    """What amalgamation did.

    `losses` has by job name the mean loss of each epoch; `steps` counts all; `optimizer_state` has the state of every
    trained parameter by its name in the network, for `set_parameter_state`: with it the run goes on.
    """

    losses: Mapping[str, tuple[float, ...]]
    steps: int
    optimizer_state: Mapping[str, ParameterState]


Batches: TypeAlias = Callable[[int], Iterable[Sequence[Inputs]]]
"""The batches of an epoch (from 0): for each batch what each job's component reads, in the order of the jobs."""

Progress: TypeAlias = Callable[[int, int, Tensor], None]
"""Called after each step with the epoch (from 0), the steps done in it, and the loss, a scalar left on its device."""


def amalgamate(
    jobs: Sequence[AmalgamationJob],
    input_batches: Batches,
    epochs: int,
    make_optimizer: OptimizerFactory,
    progress: Progress | None = None,
) -> AmalgamationReport:
    """Train the components of all jobs, with one pass over the data per epoch.

    The losses are summed and one optimizer holds all parameters, which, as jobs share none, equals an optimizer for
    each. Components train in training mode and have their former mode afterwards; teachers run in evaluation mode
    without gradients, as should what made the inputs. A component without parameters has nothing to learn and is
    left out; without any other, or for 0 epochs, the data is not looked at. Raises MtlError MTL803 where a loss is
    no longer finite, MTL804 where an epoch has no batch.
    """
    places = [index for index, job in enumerate(jobs) if next(job.fusion.parameters(), None) is not None]
    learning = [jobs[index] for index in places]
    if not learning or epochs < 1:
        return AmalgamationReport({job.name: () for job in jobs}, 0, {})
    gates = [_gates(job) for job in learning]
    components = _named(learning, [job.fusion for job in learning])
    optimizer = make_optimizer([*components.items(), *_named(learning, gates, "gates.").items()])
    losses: list[list[float]] = []
    steps = 0
    asked = 1 if next(iter(components.values())).device.type == "cpu" else SELDOM
    with _training(job.fusion for job in learning):
        for epoch in range(epochs):
            sums = torch.zeros(len(learning), device=next(iter(components.values())).device)
            done = 0
            for done, batch in enumerate(input_batches(epoch), 1):
                terms = [
                    _loss(job, batch[index], gate) for index, job, gate in zip(places, learning, gates, strict=True)
                ]
                loss = torch.stack(terms)
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss.sum())
                optimizer.step()
                sums += loss.detach()
                if done % asked == 0:
                    _require_finite(learning, sums)
                if progress is not None:
                    progress(epoch, done, loss.detach().sum())
            steps += done
            losses.append(_means(learning, sums, done))
    optimizer.zero_grad(set_to_none=True)
    by_name: dict[str, tuple[float, ...]] = {job.name: () for job in jobs}
    by_name |= {job.name: tuple(epoch[index] for epoch in losses) for index, job in enumerate(learning)}
    return AmalgamationReport(by_name, steps, parameter_state(optimizer, components))


def _gates(job: AmalgamationJob) -> nn.ModuleList:
    device = next(job.fusion.parameters()).device
    return nn.ModuleList(Gate(job.channels) for _ in job.teachers).to(device)


def _named(jobs: Sequence[AmalgamationJob], modules: Sequence[nn.Module], below: str = "") -> dict[str, nn.Parameter]:
    return {
        f"{job.name}.{below}{name}": parameter
        for job, module in zip(jobs, modules, strict=True)
        for name, parameter in module.named_parameters()
    }


@contextmanager
def _training(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Training mode; afterwards every part of the modules has the mode that it had."""
    modes = {part: part.training for module in modules for part in module.modules()}
    try:
        for part in modes:
            part.training = True
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _loss(job: AmalgamationJob, inputs: Inputs, gates: nn.ModuleList) -> Tensor:
    inputs = tuple(value.detach() for value in inputs)
    with evaluating(*job.teachers):
        targets = [teacher(*inputs) for teacher in job.teachers]
    output = job.fusion(*inputs)
    summary = pooled(output)
    return amalgamation_loss(output, targets, [gate(summary) for gate in gates])


def _means(jobs: Sequence[AmalgamationJob], sums: Tensor, count: int) -> list[float]:
    """The mean losses of an epoch; the one place that waits for the device."""
    if not count:
        raise MtlError.of("MTL804", "there is no data to amalgamate with", "give a training set that is not empty")
    _require_finite(jobs, sums)
    return [value / count for value in sums.tolist()]


def _require_finite(jobs: Sequence[AmalgamationJob], sums: Tensor) -> None:
    for job, value in zip(jobs, sums.tolist(), strict=True):
        if not math.isfinite(value):
            raise MtlError.of(
                "MTL803",
                f"the amalgamation of {job.title} diverged: its loss is not a finite number",
                "lower the learning rate, or use `transfer = average`",
                job.span,
            )
