"""Which layers of two specs are the same one: those of one name, and those that differ in name and place alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mtsldsl.ir.body import Body, Parallel, Reference
from mtsldsl.ir.cost import body_cost
from mtsldsl.ir.model import Layer, Spec

Signature: TypeAlias = tuple[object, ...]


def signature(body: Body | Parallel, names: Mapping[str, str] | None = None) -> Signature:
    """What a layer or head computes, heights and widths left out: equal for bodies that are the same piece of network.

    `names` translates what the body reads; None leaves the names out, and only counts whether two steps read the same.
    """
    if isinstance(body, Parallel):
        return (body.gate, *((name, signature(each, names)) for name, each in body.alternatives.items()))
    if names is None:
        names = {name: f"#{place}" for place, name in enumerate(body.inputs)}

    def read(source: Reference) -> Reference:
        return names.get(source, source) if isinstance(source, str) else source

    steps = tuple(
        (step.operator, tuple(sorted(step.arguments.items())), tuple(map(read, step.inputs))) for step in body.steps
    )
    return (steps, read(body.output), body_cost(body).parameters)


def renamed_layers(before: Spec, after: Spec) -> dict[str, str]:
    """The layers of `before` whose name is gone, each with the new layer of `after` that is the same but for its name.

    A layer whose inputs are the same too is preferred to one that only looks alike; otherwise the order decides.
    """
    old, new = ({layer.name: layer for layer in spec.layers} for spec in (before, after))
    gone = [layer for name, layer in old.items() if name not in new]
    fresh = {name: layer for name, layer in new.items() if name not in old}
    pairs: dict[str, str] = {}
    names = matched_inputs(before, after)
    equal = {name: signature(other.body, {}) for name, other in fresh.items()}
    for layer in gone:  # in topological order, so that what a layer reads is paired before it
        _pair(layer, signature(layer.body, {**names, **pairs}), equal, pairs)
    alike = {name: signature(other.body) for name, other in fresh.items() if name in equal}
    for layer in gone:
        if layer.name not in pairs:
            _pair(layer, signature(layer.body), alike, pairs)
    return {layer.name: pairs[layer.name] for layer in gone if layer.name in pairs}


def matched_inputs(before: Spec, after: Spec) -> dict[str, str]:
    """Each input of `before` with its name in `after`: the same one, or else that of the one in its place."""
    old, new = before.data.inputs, tuple(after.data.inputs)
    fresh = [name for name in new if name not in old]
    renamed = (name for name in old if name not in new)
    return {name: name for name in old if name in new} | dict(zip(renamed, fresh, strict=False))


def _pair(layer: Layer, wanted: Signature, candidates: dict[str, Signature], pairs: dict[str, str]) -> None:
    """Take the first candidate that is as wanted."""
    found = next((name for name, candidate in candidates.items() if candidate == wanted), None)
    if found is not None:
        pairs[layer.name] = found
        del candidates[found]
