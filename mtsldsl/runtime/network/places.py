"""Which line of the spec a failure in the network belongs to: people write specs, not generated code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from torch import nn

from mtsldsl.diagnostics import Span
from mtsldsl.ir import Layer, Spec, Task
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.network.source_file import original_span, original_spans
from mtsldsl.sharing import HEADS, Copy, format_tasks
from mtsldsl.sharing.component import owner

FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError)
"""What torch and a person's own modules raise."""


@contextmanager
def located(model: nn.Module, spec: Spec) -> Iterator[None]:
    """An error inside a layer or head of `model` gets a note such as `specs/nyuv2.mtl:31, layer enc3`.

    One that is a user's already, an MtlError, gets the places of its diagnostics in the person's own file.
    """
    try:
        with original_spans(spec):
            yield
    except FAILURES as error:
        name = _innermost(error.__traceback__, model)
        if name is not None:
            error.add_note(describe(spec, name))
        raise


def _innermost(traceback: TracebackType | None, model: nn.Module) -> str | None:
    """The name of the innermost module of the network in the traceback."""
    names = {module: name for name, module in model.named_modules() if name}
    found = None
    while traceback is not None:
        module = traceback.tb_frame.f_locals.get("self")
        if isinstance(module, nn.Module) and module in names:
            found = names[module]
        traceback = traceback.tb_next
    return found


def parts(model: nn.Module, spec: Spec) -> Iterator[tuple[str, nn.Module]]:
    """Every copy of a layer and every head of the network, by its name in it."""
    for copy in copies(spec):
        yield copy.name, model.get_submodule(copy.name)


def part_of(spec: Spec, name: str) -> Layer | Task:
    """The layer, or the task whose head it is, that a name in the network belongs to: `enc1.depth+edge.conv1`."""
    copy = _copy_holding(spec, name)
    return spec.task(copy.key) if copy.layer == HEADS else spec.layer(copy.layer)


def _copy_holding(spec: Spec, name: str) -> Copy:
    """The copy by its name in the network, also one that the spec does not have yet."""
    layer = owner(name)
    if layer in spec.backbone and spec.backbone.alternatives(layer):
        return next(copy for copy in copies(spec) if copy.holds(name))
    return Copy.holding(name)


def describe(spec: Spec, name: str) -> str:
    """`specs/nyuv2.mtl:31, layer enc3 of depth + edge`, or `…, head of task depth`, of a name in the network."""
    return described(spec, part_of(spec, name).span, title(spec, name))


def title(spec: Spec, name: str) -> str:
    """`layer enc3 of depth + edge` or `head of task depth`, of a name in the network."""
    part = part_of(spec, name)
    if isinstance(part, Task):
        return f"head of task {part.name}"
    copy = _copy_holding(spec, name)
    alternative = f", alternative {copy.alternative}" if copy.alternative else ", gate" if copy.gate else ""
    return f"layer {part.name}{alternative} of {format_tasks(copy.component, spec.sharing.tasks)}"


def described(spec: Spec, span: Span | None, what: str) -> str:
    """`specs/nyuv2.mtl:31, …`: the line in the person's own file, then what is there."""
    own = original_span(spec, span) if span else None
    return f"{own.source.name}:{own.line}, {what}" if own else f"{spec.source.name}, {what}"
