"""Warnings about layers and heads."""

from __future__ import annotations

from collections.abc import Iterator

from mtsldsl.diagnostics import Diagnostic
from mtsldsl.ir.body import Body, Step
from mtsldsl.ir.data_blocks import with_mixed_statistics
from mtsldsl.ir.pedantic.reading import Check, Reading, warn
from mtsldsl.ir.task_record import Task
from mtsldsl.ir.wiring import needed_layers, wired
from mtsldsl.language.naming import RESIDUAL
from mtsldsl.language.operators.arguments import number
from mtsldsl.language.operators.shapes import channels
from mtsldsl.sharing.partition import in_order

_RESIZING = frozenset(("resize", "resize_as", "upsample", "identity"))
_ACTIVATIONS = frozenset(("relu", "leaky_relu", "gelu", "silu", "sigmoid", "tanh", "softplus"))
_POSITIVE = frozenset(("relu", "sigmoid", "softplus"))
_DENSE = frozenset(("conv1d", "conv2d", "conv_transpose2d", "linear"))
_BIASED = _DENSE | {"depthwise"}


def dead_layers(reading: Reading) -> Iterator[Diagnostic]:
    """MTL911: layers that no head reads, not even by way of other layers."""
    read = needed_layers(wired(reading.spec))
    for each in reading.spec.layers:
        if each.name not in read:
            remedy = "read it in a head or in a later layer, or leave it out"
            yield warn("MTL911", f"no head reads the layer `{each.name}`", remedy, each.span)


def large_heads(reading: Reading) -> Iterator[Diagnostic]:
    """MTL912, MTL913: heads that leave little or nothing to share."""
    cost = reading.spec.cost()
    for task in reading.spec.tasks:
        head = cost.heads[task.name].parameters
        below = cost.tasks[task.name].parameters - head
        place = reading.place("task", "head", task.name)
        if not any(name in reading.spec.backbone for name in task.head.inputs):
            cause = f"the head of `{task.name}` reads no layer, so it can share nothing"
            yield warn("MTL913", cause, "let it start from a layer", place)
        elif head > below:
            cause = f"the head of `{task.name}` has {head:,} parameters, the layers that it reads have {below:,}"
            yield warn("MTL912", cause, "move layers of the head into the backbone, where tasks can share them", place)


def activated_heads(reading: Reading) -> Iterator[Diagnostic]:
    """MTL914: activations at the end of heads whose loss takes any real numbers."""
    for task in reading.spec.tasks:
        last = _last_step(task)
        if last is None:
            continue
        if task.target.kind in ("classes", "binary") and last.operator in _ACTIVATIONS:
            cause = f"the head of `{task.name}` ends in `{last.operator}`, but `{task.loss.name}` takes logits"
        elif task.target.kind == "unit_vectors" and last.operator in _POSITIVE:
            cause = f"the head of `{task.name}` ends in `{last.operator}`, but directions have both signs"
        else:
            continue
        yield warn("MTL914", cause, f"leave `{last.operator}` out", last.span)


def _last_step(task: Task) -> Step | None:
    """The last step of a head that changes more than the size."""
    reference = task.head.output
    while isinstance(reference, int):
        step = task.head.steps[reference]
        if step.operator not in _RESIZING:
            return step
        reference = step.inputs[0]
    return None


def vain_biases(reading: Reading) -> Iterator[Diagnostic]:
    """MTL915: a bias whose only reader is a batch norm."""
    for body in _bodies(reading):
        for step, source in _pairs(body):
            if step.operator == "batch_norm" and source.operator in _BIASED and source.arguments["bias"]:
                cause = f"the bias of `{source.operator}` has no effect before `batch_norm`, which subtracts the mean"
                yield warn("MTL915", cause, "give it `bias=false`", source.span)


def vain_operators(reading: Reading) -> Iterator[Diagnostic]:
    """MTL916: operators that give what they are given."""
    for body in _bodies(reading):
        for step, source in _pairs(body):
            if step.operator == source.operator == "relu":
                yield warn("MTL916", "a `relu` after `relu` changes nothing", "leave one of them out", step.span)
        for step in body.steps:
            said = _vain(step)
            if said:
                yield warn("MTL916", said, "leave it out, or correct its argument", step.span)


def _vain(step: Step) -> str | None:
    """Why an operator is of no use by its arguments alone."""
    match step.operator:
        case "dropout" if number(step.arguments, "p") in (0, 1):
            what = "nothing" if number(step.arguments, "p") == 0 else "every value, and leaves only zeros"
            return f"`dropout({step.arguments['p']:g})` drops {what}"
        case "upsample" if number(step.arguments, "scale_factor") == 1:
            return "`upsample(1)` changes nothing"
        case "leaky_relu" if number(step.arguments, "negative_slope") == 1:
            return "`leaky_relu(1)` changes nothing"
        case "max_pool1d" | "avg_pool1d" | "max_pool2d" | "avg_pool2d" if (
            step.arguments["kernel_size"] == step.arguments["stride"] == 1
        ):
            return f"`{step.operator}(1)` changes nothing"
    return None


def linear_pairs(reading: Reading) -> Iterator[Diagnostic]:
    """MTL917: two linear maps with nothing but normalisation in between, where the value is not narrower between."""
    for body in _bodies(reading):
        readers = _readers(body)
        for index, step in enumerate(body.steps):
            if not _dense(step):
                continue
            source = step.inputs[0]
            while isinstance(source, int) and body.steps[source].operator == "batch_norm" and readers[source] == 1:
                source = body.steps[source].inputs[0]
            if not isinstance(source, int) or readers[source] > 1 or not _dense(body.steps[source]):
                continue
            first = body.steps[source]
            before = _shape(body, first.inputs[0])
            narrow = channels(first.shape) < min(channels(before), channels(body.steps[index].shape))
            if not narrow:
                cause = f"`{first.operator}` and `{step.operator}` follow each other without an activation between them"
                yield warn("MTL917", cause, "put `relu` or another activation between them", step.span)


def _dense(step: Step) -> bool:
    """Whether it is a linear map that mixes all channels at once."""
    return step.operator in _DENSE and step.arguments.get("groups", 1) == 1


def single_batches(reading: Reading) -> Iterator[Diagnostic]:
    """MTL918: batch norm, and a batch of one sample."""
    spec = reading.spec
    named = [(f"the layer `{layer.name}`", body) for layer in spec.layers for body in layer.bodies.values()]
    named += [(f"the head of `{task.name}`", task.head) for task in spec.tasks]
    having = [(name, step) for name, body in named for step in body.steps if step.operator == "batch_norm"]
    data = next((each for each in spec.blocks if each.batch == 1), None)
    if data is not None and having:
        name, step = having[0]
        hidden = step.span is not None and step.span.text.startswith(RESIDUAL)
        where = f"{name} has `batch_norm`{f' in the shortcut of its `{RESIDUAL}`' if hidden else ''}"
        cause = f"{where}, and a batch is a single sample"
        remedy = "take a larger batch, or `group_norm` in the place of `batch_norm`"
        if hidden:
            remedy = "take a larger batch, or give `residual` a `shortcut` of your own"
        yield warn("MTL918", cause, remedy, reading.place_of_data(data, "batch"))


def mixed_statistics(reading: Reading) -> Iterator[Diagnostic]:
    """MTL919: batch norm in a layer that tasks of several sources of samples share."""
    spec = reading.spec
    for name, tasks in dict(with_mixed_statistics(spec)).items():
        listed = " + ".join(in_order(tasks, spec.sharing.tasks))
        cause = f"`{name}` has `batch_norm`, and {listed} share it, which read several sources of samples"
        remedy = "take `group_norm` or `layer_norm`, or let tasks of different sources have copies of their own"
        yield warn("MTL919", cause, remedy, spec.layer(name).span)


NETWORK: tuple[Check, ...] = (
    dead_layers,
    large_heads,
    activated_heads,
    vain_biases,
    vain_operators,
    linear_pairs,
    single_batches,
    mixed_statistics,
)
"""All checks of this module."""


def _bodies(reading: Reading) -> Iterator[Body]:
    for layer in reading.spec.layers:
        yield from layer.bodies.values()
    for task in reading.spec.tasks:
        yield task.head


def _pairs(body: Body) -> Iterator[tuple[Step, Step]]:
    """Each step with the step that it reads first, where nothing else reads that."""
    readers = _readers(body)
    for step in body.steps:
        source = step.inputs[0]
        if isinstance(source, int) and readers[source] == 1:
            yield step, body.steps[source]


def _readers(body: Body) -> list[int]:
    """How often each step is read, the body's own result included."""
    count = [0] * len(body.steps)
    for reference in (body.output, *(source for step in body.steps for source in step.inputs)):
        if isinstance(reference, int):
            count[reference] += 1
    return count


def _shape(body: Body, reference: int | str) -> tuple[int, ...]:
    if isinstance(reference, int):
        return body.steps[reference].shape
    return body.input_shapes[body.inputs.index(reference)]
