"""Where the boxes and lines of a drawn sharing go: a row for each layer, a column for each task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import attrs

from mtsldsl.sharing import Component, format_tasks
from mtsldsl.spec import Spec

COLUMN, ROW, LABELS, TOP = 96, 44, 96, 16
"""Pixels: the width of a column, the height of a row, the space for the layers' names, that above the first row."""

_HALF = 12
"""Half the height of a box."""

_GAP = 6
"""Blank space on both sides of a box."""


@attrs.frozen
class Box:
    """One piece of a component, or a head; pixels. `title` is what a browser shows when the pointer rests on it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str
    title: str


@attrs.frozen
class Line:
    """What a component reads, as the path of an SVG. `kind` is `read`, or `skip` where rows lie between."""

    path: str
    kind: str


@attrs.frozen
class Drawing:
    """A sharing as boxes and lines, in pixels. `layers` are the names with their places and what changed there."""

    width: int
    height: int
    layers: tuple[tuple[str, float, str], ...]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def order_of_tasks(spec: Spec) -> tuple[str, ...]:
    """The tasks in an order in which those that share a layer stand together, as far as one order can do that."""
    order = [task.name for task in spec.tasks]
    for layer in spec.backbone.layers:
        place = {task: index for index, task in enumerate(order)}
        first = {task: min(map(place.__getitem__, spec.sharing.component(layer, task))) for task in order}
        order = sorted(order, key=lambda task: (first[task], place[task]))
    return tuple(order)


def draw(spec: Spec, rows: Sequence[str | None], columns: Sequence[str], changes: Mapping[str, str]) -> Drawing:
    """The drawing of a spec's sharing and heads.

    `rows` are its layers from top to bottom, None for a row that is left empty; `columns` are all tasks that have a
    column, those of other specs among them; `changes` says for a layer what happened to it, as a word.
    """
    row = {layer: index for index, layer in enumerate(rows) if layer is not None}
    place = {task: index for index, task in enumerate(columns)}
    boxes = [*_component_boxes(spec, row, place, changes), *_head_boxes(spec, len(rows), place)]
    return Drawing(
        width=LABELS + COLUMN * len(columns) + _GAP,
        height=TOP + ROW * (len(rows) + 1),
        layers=tuple((layer, _y(index), changes.get(layer, "")) for layer, index in row.items()),
        boxes=tuple(boxes),
        lines=tuple(_lines(spec, row, len(rows), place)),
    )


def _x(column: float) -> float:
    return LABELS + COLUMN * column


def _y(row: int) -> float:
    return TOP + ROW * row + ROW / 2


def _component_boxes(
    spec: Spec, row: Mapping[str, int], place: Mapping[str, int], changes: Mapping[str, str]
) -> Iterator[Box]:
    cost = spec.cost()
    for layer, index in row.items():
        one = cost.layers[layer].one
        for component in spec.sharing[layer]:
            tasks = format_tasks(component, spec.sharing.tasks)
            title = f"{layer}: {tasks}; {one.parameters:,} parameters, {one.flops / 1e6:,.2f} MFLOP an image"
            pieces = _pieces(component, place)
            kind = changes.get(layer) or ("shared" if len(component) > 1 else "own")
            for one_piece, next_piece in pairwise(pieces):  # a bar between the pieces of one component
                left, right = _x(one_piece[1] + 1) - _GAP, _x(next_piece[0]) + _GAP
                yield Box(left, _y(index) - 2, right - left, 4, f"{kind} bar", "", title)
            for first, last in pieces:
                width = COLUMN * (last - first + 1) - 2 * _GAP
                text = str(len(component)) if len(component) > 1 and len(pieces) == 1 else ""
                yield Box(_x(first) + _GAP, _y(index) - _HALF, width, 2 * _HALF, kind, text, title)


def _head_boxes(spec: Spec, row: int, place: Mapping[str, int]) -> Iterator[Box]:
    cost = spec.cost()
    for task in spec.tasks:
        one = cost.heads[task.name]
        title = f"head of {task.name}; {one.parameters:,} parameters, {one.flops / 1e6:,.2f} MFLOP an image"
        left = _x(place[task.name]) + _GAP
        yield Box(left, _y(row) - _HALF, COLUMN - 2 * _GAP, 2 * _HALF, "head", task.name, title)


def _pieces(component: Component, place: Mapping[str, int]) -> list[tuple[int, int]]:
    """First and last column of every run of neighbouring columns of a component."""
    pieces: list[tuple[int, int]] = []
    for column in sorted(place[task] for task in component):
        if pieces and pieces[-1][1] == column - 1:
            pieces[-1] = (pieces[-1][0], column)
        else:
            pieces.append((column, column))
    return pieces


def _middle(component: Component, place: Mapping[str, int]) -> float:
    """The middle of the component's first piece."""
    first, last = _pieces(component, place)[0]
    return _x((first + last + 1) / 2)


def _lines(spec: Spec, row: Mapping[str, int], heads: int, place: Mapping[str, int]) -> Iterator[Line]:
    """From everything that is read to what reads it."""
    for layer, index in row.items():
        for source in spec.backbone.inputs(layer):
            for component in spec.sharing[layer]:
                above = spec.sharing.component(source, min(component))
                yield _line(_middle(above, place), row[source], _middle(component, place), index, _rows(row))
    for task in spec.tasks:
        for source in task.head.inputs:
            if source in row:
                above, own = spec.sharing.component(source, task.name), frozenset((task.name,))
                yield _line(_middle(above, place), row[source], _middle(own, place), heads, _rows(row))


def _rows(row: Mapping[str, int]) -> list[int]:
    return sorted(row.values())


def _line(x: float, row: int, to_x: float, to_row: int, used: Sequence[int]) -> Line:
    top, bottom = _y(row) + _HALF, _y(to_row) - _HALF
    if any(row < other < to_row for other in used):  # round the boxes in between
        side = max(x, to_x) + COLUMN / 2
        return Line(
            f"M{x:g} {top:g} C{side:g} {top + ROW / 2:g} {side:g} {bottom - ROW / 2:g} {to_x:g} {bottom:g}", "skip"
        )
    half = (top + bottom) / 2
    return Line(f"M{x:g} {top:g} C{x:g} {half:g} {to_x:g} {half:g} {to_x:g} {bottom:g}", "read")
