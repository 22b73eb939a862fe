"""Losses and metrics of a network over a whole set of samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias, TypeVar

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Spec, Task
from mtsldsl.ir.model import Stream
from mtsldsl.ir.wiring import Value, upstream, wired
from mtsldsl.runtime.data import Mixed, Samples, batches
from mtsldsl.runtime.data.mixed import streamed
from mtsldsl.runtime.learning.finite import UNREPEATED, Anomaly, anomaly_of_loss, find_anomaly, recorded
from mtsldsl.runtime.network.execution import evaluating, run_calls
from mtsldsl.runtime.network.inputs import Inputs, as_values, each_of, inputs_in
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.objectives import BatchLosses, LossTotals, MetricSet, Thresholds, task_losses
from mtsldsl.runtime.objectives.token_answers import channels_first

T = TypeVar("T")

NARROW = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The precisions with half of the bits."""

Watch: TypeAlias = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], None]
"""Takes a batch and what the heads of the tasks that it serves give for it, both in the units of the data."""


@attrs.frozen
class Evaluation:
    """Per task, over the whole set and not as a mean over batches: the loss, the metrics, and the metrics by column of
    the target where it has several, NaN where the set has no label; and the thresholds of metrics that have some."""

    losses: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, float]]
    columns: Mapping[str, Mapping[str, Sequence[float]]] = attrs.field(factory=dict)
    thresholds: Mapping[str, Thresholds] = attrs.field(factory=dict)

    def updated(self, other: Evaluation) -> Evaluation:
        """With what the other found of its tasks."""
        return Evaluation(
            {**self.losses, **other.losses},
            {**self.metrics, **other.metrics},
            {**self.columns, **other.columns},
            {**self.thresholds, **other.thresholds},
        )


def by_column(task: Task, metrics: Mapping[str, Sequence[T]]) -> dict[str, dict[str, T]]:
    """The metrics of a task by column, under the names of the columns of a table that it learns; nothing of a task that
    learns one field."""
    return {
        name: {metric: values[place] for metric, values in metrics.items()} for place, name in enumerate(task.columns)
    }


def evaluate(
    model: nn.Module,
    spec: Spec,
    samples: Samples | Mixed,
    device: torch.device,
    tasks: Collection[str] | None = None,
    *,
    whole: bool = True,
    watch: Watch | None = None,
    thresholds: Mapping[str, Thresholds] | None = {},
) -> Evaluation:
    """Run `model` over `samples` once, in evaluation mode and without gradients; the mode is put back afterwards.

    `tasks` names those that are evaluated, by default all; nothing else is run. Where `model` is not the `whole`
    network of `spec` and no more, what it has of it is run. `watch` is shown every batch with its answers. Metrics at
    the best threshold are taken at the `thresholds` that are given, 0.5 where none is; with None they are chosen on
    these samples, as on validation. Raises MtlError MTL803 where a loss is not a finite number, with the place in the
    spec that it comes from, and MTL804 where there is no sample.
    """
    chosen = [task for task in spec.tasks if tasks is None or task.name in tasks]
    metrics = {
        task.name: MetricSet(task, None if thresholds is None else thresholds.get(task.name, {})) for task in chosen
    }
    totals = LossTotals()
    with located(model, spec), evaluating(model):
        for batch, outputs, losses in _passes(model, spec, chosen, samples, device, whole):
            totals.add(losses)
            if watch is not None:
                watch(batch, outputs)
            for task in chosen:
                if task.name in outputs:
                    metrics[task.name].update(outputs[task.name], batch[task.field_name])
        found = totals.values()
        means = {task.name: found[task.name] for task in chosen if task.name in found}
        wrong = [name for name, mean in means.items() if not math.isfinite(mean) and totals.labelled(name)]
        if wrong:
            anomaly = _anomaly(model, spec, chosen, samples, device, whole)
            raise anomaly.error(f"the loss of {', '.join(wrong)} in evaluation")
    return Evaluation(
        means,
        {name: each.compute() for name, each in metrics.items()},
        {task.name: metrics[task.name].columns() for task in chosen if metrics[task.name].has_columns},
        {name: taken for name, each in metrics.items() if (taken := each.thresholds())},
    )


def _passes(
    model: nn.Module, spec: Spec, tasks: Sequence[Task], samples: Samples | Mixed, device: torch.device, whole: bool
) -> Iterator[tuple[Mapping[str, Tensor], Mapping[str, Tensor], BatchLosses]]:
    """Every batch with the answers and the losses of the tasks that it serves, none of them waited for: labels and
    answers in the units of the data, channels first, the losses of what is learned."""
    functions = task_losses(tasks)
    for stream, own in streamed(spec, samples):
        served = [task for task in tasks if task.name in stream.tasks]
        if not served:
            continue
        forward = forward_of(model, spec, stream, [task.name for task in served], whole=whole)
        read = own.only(*dict.fromkeys((*spec.data.inputs, *(task.field_name for task in served))))
        for batch in batches(read.in_units(), stream.data.batch, shuffle=False, device=device):
            with autocast(spec.train.precision, device):
                outputs = forward(inputs_in(batch, spec.data))
            losses = BatchLosses.of(served, functions, outputs, read.scaled(batch), together=True)
            answers = {task.name: channels_first(task, outputs[task.name]) for task in served}
            yield batch, {task.name: read.answered(task.field_name, answers[task.name]) for task in served}, losses


def forward_of(
    model: nn.Module, spec: Spec, stream: Stream, tasks: Sequence[str], *, whole: bool = True
) -> Callable[[Inputs], Mapping[str, Tensor]]:
    """What gives the outputs of these tasks of a source for its inputs, and computes nothing else. `whole` as for
    `evaluate`."""
    if whole and len(tasks) == len(spec.tasks):
        return lambda inputs: model(*each_of(inputs))
    if whole and len(tasks) == len(stream.tasks):
        return lambda inputs: model(*each_of(inputs), stream.tasks)
    heads = {name: Value.of_head(name) for name in tasks}
    needful = upstream(wired(spec), heads.values())

    def needful_alone(inputs: Inputs) -> Mapping[str, Tensor]:
        found = run_calls(model, needful, as_values(spec, inputs), heads.values())
        return {name: found[head] for name, head in heads.items()}

    return needful_alone


def _anomaly(
    model: nn.Module, spec: Spec, tasks: Sequence[Task], samples: Samples | Mixed, device: torch.device, whole: bool
) -> Anomaly:
    """Where the first loss that is not finite comes from, by a second pass that looks at everything."""
    with recorded(model, spec) as computed:
        for batch, _, losses in _passes(model, spec, tasks, samples, device, whole):
            wrong = [name for name, loss in losses.values.items() if not loss.isfinite()]
            if wrong:
                found = find_anomaly(model, spec, inputs_in(batch, spec.data), computed)
                return found or anomaly_of_loss(spec, wrong[0])
    return UNREPEATED


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context of a precision: half of the bits where it is one of those, else nothing changed."""
    narrow = NARROW.get(precision)
    return nullcontext() if narrow is None else torch.autocast(device.type, dtype=narrow)
