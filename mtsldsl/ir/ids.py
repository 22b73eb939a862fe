"""Inputs of ids: those that `embedding` looks up. Nothing says so in the data block, it shows in who reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.ir.body import Body, Parallel, bodies_of
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.arguments import integer
from mtsldsl.records import Record

if TYPE_CHECKING:
    from mtsldsl.ir.model import Data
    from mtsldsl.ir.task_record import Task


@attrs.frozen(eq=False, repr=False)
class Reader(Record):
    """A body of the network, where it stands, and the task whose head it is."""

    name: str
    body: Body
    span: Span | None
    alternative: bool = False
    task: Task | None = None


def readers(
    layers: Mapping[str, Body | Parallel], places: Mapping[str, Span], tasks: Sequence[Task]
) -> Iterator[Reader]:
    """All bodies of layers and heads."""
    for name, layer in layers.items():
        for body in bodies_of(layer).values():
            yield Reader(f"`{name}`", body, places.get(name), alternative=isinstance(layer, Parallel))
    for task in tasks:
        yield Reader(f"the head of `{task.name}`", task.head, task.span, task=task)


def with_ids(data: Data, found: Sequence[Reader]) -> Data:
    """The block with its inputs of ids: how many there are is what the smallest `embedding` that reads them has."""
    own = [each for each in found if each.task is None or each.task.data in (None, data.name)]
    ids: dict[str, tuple[int, Span | None]] = {}
    for name, count, span in (found for each in own for found in _looked_up(each.body)):
        if name not in ids or count < ids[name][0]:
            ids[name] = count, span
    known = {name: ids[name] for name in data.inputs if name in ids}
    places = {name: span for name, (_, span) in known.items() if span is not None}
    return attrs.evolve(data, ids={name: count for name, (count, _) in known.items()}, ids_from=places)


def misfits_of_ids(data: Data, found: Sequence[Reader]) -> Iterator[tuple[str, str, Span | None]]:
    """An `embedding` of what is no input, and all else that reads ids, which stand for names: why not, the remedy, and
    the place."""
    ids: set[str] = set()
    for each in found:
        for name, _, span in _looked_up(each.body):
            if name in data.inputs:
                ids.add(name)
            else:
                cause = "`embedding` looks up ids, and what comes in are numbers that a layer has computed"
                remedy = "start the pipeline with an input of ids: `words | embedding(1000, 64)`"
                yield cause, remedy, span or each.span
    for each in found:
        for name in each.body.inputs:
            if name in ids:
                yield from _misfits_of_reader(each, name)
        if each.task is not None and each.task.target.kind == "reconstruct" and each.task.field in ids:
            cause = f"`{each.task.name}` reconstructs `{each.task.field}`, which holds ids: `embedding` reads it"
            yield cause, "learn them as `classes`, from an array of their own", each.task.span


def _misfits_of_reader(reader: Reader, name: str) -> Iterator[tuple[str, str, Span | None]]:
    cause = f"`{name}` holds ids, as `embedding` reads it"
    if reader.alternative:
        remedy = f"look them up in a layer of its own, such as `looked = {name} | embedding(...)`, and read that"
        yield f"{cause}, and {reader.name} is made of alternatives", remedy, reader.span
        return
    others = [step for step in reader.body.steps if name in step.inputs and not OPERATORS[step.operator].looks_up]
    if others or reader.body.output == name:
        what = f"`{others[0].operator}`" if others else reader.name
        remedy = "compute with what `embedding` gives, or give the numbers as an input of their own"
        span = (others[0].span if others else None) or reader.span
        yield f"{cause}, and {what} computes with them as numbers", remedy, span


def _looked_up(body: Body) -> Iterator[tuple[str, int, Span | None]]:
    """What each `embedding` of a body reads, no name where another step gives it; how many ids it knows; its place."""
    for step in body.steps:
        if OPERATORS[step.operator].looks_up:
            (read,) = step.inputs
            yield read if isinstance(read, str) else "", integer(step.arguments, "num_embeddings"), step.span
