"""Numbers that are not finite: where in the spec they come from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import attrs
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError, Span
from mtsldsl.ir import Spec, Task
from mtsldsl.runtime.learning.step import Gates
from mtsldsl.runtime.network.inputs import Inputs, each_of
from mtsldsl.runtime.network.places import describe, described, part_of, parts

TWIN = "the twin"
"""What the loss of a network is called that is compared with the run's own; no task can have that name."""


@attrs.frozen
class Anomaly:
    """Where numbers that are not finite come from: a clause that says so, what may be done about it, the place."""

    cause: str
    remedy: str
    span: Span | None = None

    def error(self, what: str, more: str = "") -> MtlError:
        """The error MTL803 that `what`, such as a loss, is not a finite number; `more` is added to the remedy."""
        remedy = f"{self.remedy}; {more}" if more else self.remedy
        return MtlError.of("MTL803", f"{what} is not a finite number; {self.cause}", remedy, self.span)


UNREPEATED = Anomaly(
    "computed once more from the same data, all numbers were finite",
    "look for a module that does not compute the same each time",
)


@contextmanager
def recorded(model: nn.Module, spec: Spec) -> Iterator[dict[str, Tensor]]:
    """While open, the output of each copy of a layer and of each head is left here by its name in the network, in the
    order in which they are computed. What is not taken out stays until it is computed anew."""
    outputs: dict[str, Tensor] = {}
    handles = [module.register_forward_hook(_recorder(outputs, name)) for name, module in parts(model, spec)]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _recorder(outputs: dict[str, Tensor], name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def record(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        outputs[name] = output

    return record


def anomaly_of_gates(spec: Spec, gates: Gates) -> Anomaly | None:
    """Whether what tasks take of alternatives is no number, of whatever these give."""
    for layer, by_task in gates.items():
        for task, numbers in by_task.items():
            if not numbers.isfinite().all():
                cause = f"how much {task} takes of the alternatives of `{layer}` is no finite number"
                remedy = "lower the `lr`, or raise the `temperature`, in `structure`"
                return Anomaly(cause, remedy, None if spec.structure is None else spec.structure.span)
    return None


def find_anomaly(model: nn.Module, spec: Spec, inputs: Inputs, outputs: Mapping[str, Tensor]) -> Anomaly | None:
    """Where the first numbers come from that are not finite, after `model` made `outputs` of `inputs`; None where all
    outputs are. The first output that is not was made of finite ones."""
    for read, given in zip(spec.data.inputs, each_of(inputs), strict=True):
        if not given.isfinite().all():
            cause = f"neither is the `{read}` that it is computed from"
            data = next((each for each in spec.blocks if each.inputs[read] == given.shape[1:]), spec.data)
            return Anomaly(cause, "look at the data", data.span)
    name = next((name for name, output in outputs.items() if not output.isfinite().all()), None)
    if name is None:
        return None
    remedy = "lower the learning rate, or look at what that part of the network computes"
    if spec.train.precision == "fp16":
        remedy = f"use `precision = bf16`, as no number of fp16 is greater than 65504; or {remedy}"
    return _of_weights(model, spec, outputs) or Anomaly(
        f"the first to compute such numbers is {describe(spec, name)}",
        remedy,
        part_of(spec, name).span,
    )


def _of_weights(model: nn.Module, spec: Spec, computed: Collection[str]) -> Anomaly | None:
    """Weights of what was `computed` that are not finite make everything so that is computed with them, whichever of
    them began it.

    Gradients go from the losses to the image, so it is the last part of the network that has such weights.
    """
    found = [
        (name, bad)
        for name, part in parts(model, spec)
        if name in computed
        and (bad := [each for each in part.parameters() if each.requires_grad and not each.isfinite().all()])
    ]
    if not found:
        return None
    if all(each.grad is not None and each.grad.isfinite().all() for _, bad in found for each in bad):
        name = found[0][0]
        cause = f"neither are the weights of {describe(spec, name)}, since a step that was too large"
        return Anomaly(cause, "lower the learning rate", part_of(spec, name).span)
    name = found[-1][0]
    part = part_of(spec, name)
    cause = f"neither are the weights of {describe(spec, name)}, since a step whose gradient was not"
    remedy = "lower the learning rate, or look at the gradient of that part of the network"
    return Anomaly(cause, f"{remedy} and of its loss" if isinstance(part, Task) else remedy, part.span)


def anomaly_of_loss(spec: Spec, loss: str, repeated: bool = False) -> Anomaly:
    """A loss that is not finite though the outputs are, those of the same computation or of a repeated one."""
    if loss == TWIN:
        cause = "that network is trained beside the run's own, of whose outputs none says why"
        if spec.structure is None:
            return Anomaly(cause, "lower the learning rate", None)
        other = spec.structure.known.beside_lower_rate
        return Anomaly(cause, f"lower the learning rate{f', or {other}' if other else ''}", spec.structure.span)
    task = next((task for task in spec.trained if task.name == loss), None)
    if task is None:
        span, title = spec.structure.span if spec.structure else None, f"the loss `{loss}` of the structure"
    else:
        span, title = task.loss.span or task.span, f"loss of task {loss}"
    cause = f"the outputs of all layers and heads are, so it is {described(spec, span, title)}"
    taught = "" if spec.train.taught_by is None else " and at what its teachers answer"
    remedy = f"lower the learning rate, or look at that task's targets{taught}"
    if repeated:
        cause = f"run once more, {cause}, or a module that does not compute the same each time"
    return Anomaly(cause, remedy, span)
