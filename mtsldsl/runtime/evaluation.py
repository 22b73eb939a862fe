"""Losses and metrics of a network over a whole set of samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.runtime.data import Samples, batches
from mtsldsl.runtime.finite import UNREPEATED, Culprit, culprit, culprit_of_loss, recorded
from mtsldsl.runtime.locate import located
from mtsldsl.runtime.objectives import make_loss, make_metrics
from mtsldsl.runtime.structure.execution import evaluating
from mtsldsl.spec import Spec


@attrs.frozen
class Evaluation:
    """Per task: the mean loss, and the metrics over the set (not the mean over batches)."""

    losses: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, float]]

    def weighted_loss(self, spec: Spec) -> float:
        """The sum of the losses with the tasks' weights: what validation chooses the epoch by."""
        return sum(task.weight * self.losses[task.name] for task in spec.tasks)


def evaluate(model: nn.Module, spec: Spec, samples: Samples, device: torch.device) -> Evaluation:
    """Run `model` over `samples` once, in evaluation mode and without gradients; the mode is put back afterwards.

    Raises MtlError MTL803 where a loss is not a finite number, with the place in the spec that it comes from.
    """
    metrics = {task.name: make_metrics(task) for task in spec.tasks}
    sums = {task.name: torch.zeros((), device=device) for task in spec.tasks}
    with located(model, spec), evaluating(model):
        for batch, outputs, losses in _passes(model, spec, samples, device):
            for task in spec.tasks:
                sums[task.name] += len(batch[spec.data.input]) * losses[task.name]
                metrics[task.name].update(outputs[task.name], batch[str(task.field)])
        means = {name: float(total) / len(samples) if len(samples) else math.nan for name, total in sums.items()}
        wrong = [name for name, mean in means.items() if len(samples) and not math.isfinite(mean)]
        if wrong:
            raise _culprit(model, spec, samples, device).error(f"the loss of {', '.join(wrong)} in evaluation")
    return Evaluation(means, {name: metric.compute() for name, metric in metrics.items()})


def _passes(
    model: nn.Module, spec: Spec, samples: Samples, device: torch.device
) -> Iterator[tuple[Mapping[str, Tensor], Mapping[str, Tensor], Mapping[str, Tensor]]]:
    """Every batch with the outputs and the losses of the tasks, none of them waited for."""
    functions = {task.name: make_loss(task.target, task.loss) for task in spec.tasks}
    for batch in batches(samples, spec.data.batch, shuffle=False, device=device):
        with autocast(spec, device):
            outputs = model(batch[spec.data.input])
        losses = {task.name: functions[task.name](outputs[task.name], batch[str(task.field)]) for task in spec.tasks}
        yield batch, outputs, losses


def _culprit(model: nn.Module, spec: Spec, samples: Samples, device: torch.device) -> Culprit:
    """Where the first loss that is not finite comes from, by a second pass that looks at everything."""
    with recorded(model, spec) as computed:
        for batch, _, losses in _passes(model, spec, samples, device):
            wrong = [name for name, loss in losses.items() if not loss.isfinite()]
            if wrong:
                return culprit(model, spec, batch[spec.data.input], computed) or culprit_of_loss(spec, wrong[0])
    return UNREPEATED


def autocast(spec: Spec, device: torch.device) -> torch.autocast:
    """The context of the spec's precision: bf16 where it says so, else nothing changed."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=spec.train.precision == "bf16")
