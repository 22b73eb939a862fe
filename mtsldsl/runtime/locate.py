"""Which line of the spec a failure in the network belongs to: people write specs, not generated code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import torch
from torch import Tensor, nn

from mtsldsl.runtime.structure.execution import evaluating, run_layers
from mtsldsl.sharing import format_tasks
from mtsldsl.spec import Layer, Spec, Task


@contextmanager
def located(model: nn.Module, spec: Spec) -> Iterator[None]:
    """An error inside a layer or head of `model` gets a note such as `specs/nyuv2.mtl:31, layer enc3`."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        note = _note(error.__traceback__, model, spec)
        if note:
            error.add_note(note)
        raise


def _note(traceback: TracebackType | None, model: nn.Module, spec: Spec) -> str | None:
    """The layer or head whose module is the innermost one of the network in the traceback."""
    names = {module: name for name, module in model.named_modules() if name}
    found = None
    while traceback is not None:
        module = traceback.tb_frame.f_locals.get("self")
        if isinstance(module, nn.Module) and module in names:
            found = names[module]
        traceback = traceback.tb_next
    if found is None:
        return None
    layer, _, rest = found.partition(".")
    component = rest.partition(".")[0]
    part = spec.task(component) if layer == "heads" else spec.layer(layer)
    return describe(spec, part, f" of {component}" if layer != "heads" else "")


def describe(spec: Spec, part: Layer | Task, detail: str = "") -> str:
    """`specs/nyuv2.mtl:31, layer enc3`, or `…, head of task depth`."""
    name = f"layer {part.name}" if isinstance(part, Layer) else f"head of task {part.name}"
    place = f"{part.span.source.name}:{part.span.line}" if part.span else spec.source.name
    return f"{place}, {name}{detail}"


def first_not_finite(model: nn.Module, spec: Spec, image: Tensor) -> str | None:
    """The first copy of a layer, or else head, whose output for `image` `(n, c, h, w)` is not finite, as `describe`."""
    places = [(layer, component) for layer in spec.backbone.layers for component in spec.sharing[layer]]
    outputs = run_layers(model, spec, image, places) if places else {}
    for (layer, component), output in outputs.items():
        if not torch.isfinite(output).all():
            tasks = format_tasks(component, spec.sharing.tasks)
            return describe(spec, spec.layer(layer), f" of {tasks}")
    with evaluating(model):
        heads = model(image)
    for task in spec.tasks:
        if not torch.isfinite(heads[task.name]).all():
            return describe(spec, task)
    return None
