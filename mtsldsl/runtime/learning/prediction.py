"""What a network says of inputs that have no labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec, Task
from mtsldsl.runtime.data.new_inputs import NewInputs
from mtsldsl.runtime.data.samples import Scale
from mtsldsl.runtime.learning.evaluation import autocast, forward_of
from mtsldsl.runtime.network.execution import evaluating
from mtsldsl.runtime.network.inputs import inputs_in
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.objectives.by_target import answers_of
from mtsldsl.runtime.objectives.token_answers import as_given, channels_first, in_units

Array: TypeAlias = NDArray[Any]


@attrs.frozen
class Predicted:
    """The answers for some samples, by task, and by `<task>/scores`, as `answers_of` makes them; those for each token
    with the channels last."""

    samples: range
    answers: Mapping[str, Array]


def predictions(
    model: nn.Module,
    spec: Spec,
    inputs: NewInputs,
    device: torch.device,
    tasks: Collection[str],
    *,
    scores: bool = False,
    scales: Mapping[str, Scale] = {},
) -> Iterator[Predicted]:
    """The answers of the tasks, which read the inputs' data block, batch by batch, as `evaluate` computes them: in
    evaluation mode, in the precision of the training, in the units of the data, by the `scales` of those tasks that
    have one.

    Raises MtlError MTL803 where the network gives a number that is not finite.
    """
    chosen = [
        (stream, [spec.task(name) for name in stream.tasks if name in tasks])
        for stream in spec.streams
        if stream.data.name == inputs.data.name
    ]
    forwards = [
        (served, forward_of(model, spec, stream, [task.name for task in served])) for stream, served in chosen if served
    ]
    with located(model, spec), evaluating(model):
        for samples, batch in inputs.batches(device):
            answers: dict[str, Array] = {}
            for served, forward in forwards:
                with autocast(spec.train.precision, device):
                    outputs = forward(inputs_in(batch, inputs.data))
                for task in served:
                    output = outputs[task.name]
                    _require_finite(task, output, inputs, samples)
                    output = in_units(task, scales[task.name])(output) if task.name in scales else output
                    found = answers_of(task, channels_first(task, output), scores=scores)
                    answers |= {
                        name: as_given(task, answer).cpu().contiguous().numpy() for name, answer in found.items()
                    }
            yield Predicted(samples, answers)


def _require_finite(task: Task, output: Tensor, inputs: NewInputs, samples: range) -> None:
    finite = output.isfinite().flatten(1).all(dim=1)
    if not bool(finite.all()):
        sample = inputs.name(samples[int((~finite).nonzero()[0])])
        cause = f"the output of `{task.name}` for the sample {sample} is not a finite number"
        raise MtlError.of("MTL803", cause, "look at the numbers of that sample, or train with a lower rate", task.span)
