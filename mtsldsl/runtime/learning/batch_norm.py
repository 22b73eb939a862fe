"""Whether the batches of a run suit its batch normalisation."""

from __future__ import annotations

from math import prod

from mtsldsl.diagnostics import Diagnostic, MtlError, Span
from mtsldsl.ir import Body, Spec
from mtsldsl.ir.body import bodies_of
from mtsldsl.ir.data_blocks import with_mixed_statistics
from mtsldsl.ir.wiring import needed_layers, wired
from mtsldsl.language.operators.shapes import channels


def require_values_to_normalise(spec: Spec, processes: int = 1) -> None:
    """Hold that each `batch_norm` in what the heads read has more than one value of a channel to normalise,
    where so many processes share a batch.

    Raises MtlError MTL804 with each layer and head where it has not: torch refuses to train it.
    """
    problems: dict[str, Diagnostic] = {}
    for data in spec.blocks:
        if data.batch > processes:
            continue
        tasks = [task for task in spec.tasks if spec.data_of(task.name) is data]
        read = needed_layers(wired(spec), [task.name for task in tasks])
        found = [
            _problem(f"layer {each.name}", each.span, processes)
            for each in spec.layers
            if each.name in read and any(map(_single, bodies_of(each.body_for(data.name)).values()))
        ]
        found += [
            _problem(f"the head of task {each.name}", each.span, processes) for each in tasks if _single(each.head)
        ]
        problems |= {each.cause: each for each in found}
    if problems:
        raise MtlError(problems.values())


def remarks_on_statistics(spec: Spec) -> list[str]:
    """What a person should know of layers whose running statistics are those of several sources of samples."""
    layers = list(dict(with_mixed_statistics(spec)))
    if not layers:
        return []
    listed = ", ".join(f"`{layer}`" for layer in layers)
    what = (
        f"the `batch_norm` in {listed} is evaluated by the mean and variance of the samples of several sources, mixed"
    )
    return [f"{what}: where these differ it fits none of them; take `group_norm` or `layer_norm` (MTL919)"]


def _single(body: Body) -> bool:
    return any(step.operator == "batch_norm" and prod(step.shape) == channels(step.shape) for step in body.steps)


def _problem(where: str, span: Span | None, processes: int) -> Diagnostic:
    what = "a batch" if processes == 1 else "the part of a batch that a process has"
    cause = f"`batch_norm` in {where} has one value of each channel to normalise, as {what} is one sample of one pixel"
    return Diagnostic("MTL804", cause, "take a larger `batch`, or leave this `batch_norm` out", span)
