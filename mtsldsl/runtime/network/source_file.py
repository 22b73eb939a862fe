"""Where a place of a run's spec is in the file that a person wrote.

A run's spec is a copy: phases write its `sharing` and `history`, `--set` its values, and what it imports is part of it.
So its lines are not those of the person's file, which that person may have edited meanwhile as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError, Span
from mtsldsl.editing import load
from mtsldsl.ir import Layer, Spec, Task

Key: TypeAlias = tuple[str, ...]


def original_span(spec: Spec, span: Span) -> Span:
    """The place in the person's own file, as that is now, of what `span` covers in `spec`.

    The same place under the name of the run's copy, where the person's file does not say the same there any more.
    """
    if spec.source.path is None or span.source.text != spec.source.text:
        return span
    key = next((key for key, each in _places(spec) if each == span), None)
    for own, each in _places_of_file(spec.source.name):
        if own == key and _line(each) == _line(span):
            return each
    return attrs.evolve(span, source=attrs.evolve(span.source, name=spec.source.path))


@contextmanager
def original_spans(spec: Spec) -> Iterator[None]:
    """An MtlError about places of `spec` is raised about those that `original_span` gives."""
    try:
        yield
    except MtlError as error:
        raise MtlError(
            attrs.evolve(found, span=found.span and original_span(spec, found.span)) for found in error.diagnostics
        ) from error


def _line(span: Span) -> str:
    return span.source.line(span.line).strip()


def _places_of_file(name: str) -> Iterator[tuple[Key, Span]]:
    try:
        yield from _places(load(name))
    except MtlError:  # it is no longer there, or no longer sound
        return


def _places(spec: Spec) -> Iterator[tuple[Key, Span]]:
    """What an error of a run may name, and where it is."""
    for kind, block in (("train", spec.train), ("structure", spec.structure)):
        if block is not None and block.span is not None:
            yield (kind,), block.span
    if spec.train.scheduler is not None and spec.train.scheduler.span is not None:
        yield ("scheduler",), spec.train.scheduler.span
    for data in spec.blocks:
        if data.span is not None:
            yield ("data", data.name), data.span
    both: list[Task | Layer] = [*spec.tasks, *spec.layers]
    for part in both:
        kind = "task" if isinstance(part, Task) else "layer"
        if part.span is not None:
            yield (kind, part.name), part.span
        if isinstance(part, Task) and part.loss.span is not None:
            yield ("loss", part.name), part.loss.span
        bodies = {None: part.head} if isinstance(part, Task) else part.bodies
        for name, body in bodies.items():
            for number, step in enumerate(body.steps):
                if step.span is not None:
                    yield (kind, part.name, *([name] if name else []), str(number)), step.span
