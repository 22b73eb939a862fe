"""Losses and metrics of a network over a whole set of samples."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import torch
from torch import nn

from mtsldsl.runtime.data import Samples, batches
from mtsldsl.runtime.objectives import make_loss, make_metrics
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
    """Run `model` over `samples` once, in evaluation mode and without gradients; the mode is put back afterwards."""
    functions = {task.name: make_loss(task.target, task.loss) for task in spec.tasks}
    metrics = {task.name: make_metrics(task) for task in spec.tasks}
    sums = {task.name: torch.zeros((), device=device) for task in spec.tasks}
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for batch in batches(samples, spec.data.batch, shuffle=False, device=device):
            count = len(batch[spec.data.input])
            with autocast(spec, device):
                outputs = model(batch[spec.data.input])
            for task in spec.tasks:
                target = batch[str(task.field)]
                sums[task.name] += count * functions[task.name](outputs[task.name], target)
                metrics[task.name].update(outputs[task.name], target)
    model.train(was_training)
    return Evaluation(
        {name: float(total) / len(samples) if len(samples) else math.nan for name, total in sums.items()},
        {name: metric.compute() for name, metric in metrics.items()},
    )


def autocast(spec: Spec, device: torch.device) -> torch.autocast:
    """The context of the spec's precision: bf16 where it says so, else nothing changed."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=spec.train.precision == "bf16")
