"""Running a network whose copies of layers choose what they read, each one copy of every layer that it reads.

The wiring says which copies there are and in which order they are computed; a choice takes the place of what it says
that a copy reads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import needed, wired
from mtsldsl.runtime.network.inputs import Inputs, as_values
from mtsldsl.sharing.component import HEADS

Choices: TypeAlias = Mapping[tuple[str, str], Tensor]
"""For a layer, or `heads`, and each layer that it reads: a row for each of its copies, in it a 1 for the copy that is
read and 0 for all others, with a gradient. Copies are those that a head reads in the network of the sharing, in its
order, heads in the order of the tasks."""


def run_choosing(
    model: nn.Module, spec: Spec, inputs: Inputs, tasks: Collection[str], choices: Choices
) -> dict[str, Tensor]:
    """The outputs of tasks. Every copy is computed that a head may come to read, as those that are not chosen have a
    part in the gradients of choices: that of a number is <∇x, y>, with x what is read, y what the copy gives."""
    known = as_values(spec, inputs)
    values: dict[str, list[Tensor]] = {}
    outputs = {}
    for call in needed(wired(spec)):
        layer = call.layer
        if layer == HEADS and not call.value.tasks.issubset(tasks):
            continue
        place = len(values.setdefault(layer, [])) if layer != HEADS else _place(call.value.tasks, spec)
        reads = [
            known[read] if read in known else choose(choices[layer, read.layer][place], values[read.layer])
            for read in call.reads
        ]
        (copy,) = call.copies
        made = model.get_submodule(copy.name)(*reads)
        if layer == HEADS:
            (task,) = call.value.tasks
            outputs[task] = made
        else:
            values[layer].append(made)
    return outputs


def _place(tasks: Collection[str], spec: Spec) -> int:
    (task,) = tasks
    return spec.sharing.tasks.index(task)


def choose(row: Tensor, values: Sequence[Tensor]) -> Tensor:
    """The one of the values for which the row (values,) has a 1: their sum, each times its number, made of that one
    alone."""
    chosen: Tensor = _Choose.apply(row, int(row.detach().argmax()), *values)  # type: ignore[no-untyped-call]  # torch gives it no types
    return chosen


class _Choose(torch.autograd.Function):
    """The gradient of a number is the inner product of the gradient with its value; that of a value is its number times
    the gradient, so that only the chosen one has any."""

    @staticmethod
    def forward(ctx: Any, row: Tensor, place: int, *values: Tensor) -> Tensor:
        ctx.place = place
        ctx.save_for_backward(row, *values)
        return values[place].view_as(values[place])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        row, *values = ctx.saved_tensors
        of_row = None
        if ctx.needs_input_grad[0]:
            of_row = torch.stack([(gradient.float() * value.float()).sum() for value in values]).to(row)
        return of_row, None, *(gradient if place == ctx.place else None for place in range(len(values)))
