"""Where the boxes and lines of a drawn sharing go: a row for each layer, a column for each task."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import attrs

from mtsldsl.ir import Spec
from mtsldsl.ir.cost import operations
from mtsldsl.ir.wiring import wired
from mtsldsl.records import Record
from mtsldsl.sharing import Component, Cover
from mtsldsl.sharing.row import groups_of
from mtsldsl.sharing.text import all_members

ROW, TOP = 44, 16
"""Pixels: the height of a row, the space above the first one."""

_NARROWEST, CHARACTER = 60, 7.5
"""Pixels: the width of a column or of the layers' names where they are short; what a character needs at 12 pixels."""

_LONGEST = 28
"""Characters of a name that are drawn; a longer one is cut, and told in full where the pointer rests on it."""

_HALF = 12
"""Half the height of a box."""

_GAP = 6
"""Blank space on both sides of a box."""


@attrs.frozen(eq=False, repr=False)
class Box(Record):
    """One piece of a component, or a head; pixels. `title` is what a browser shows when the pointer rests on it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str
    title: str


@attrs.frozen(eq=False, repr=False)
class Label(Record):
    """The name of a layer, beside its row. `title` is the whole name."""

    y: float
    text: str
    title: str


@attrs.frozen(eq=False, repr=False)
class Line(Record):
    """What a component reads, as the path of an SVG. `kind` is `read`, or `skip` where rows lie between."""

    path: str
    kind: str


@attrs.frozen(eq=False, repr=False)
class Drawing(Record):
    """A sharing as boxes and lines, in pixels."""

    width: float
    height: float
    labels: tuple[Label, ...]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@attrs.frozen(eq=False, repr=False)
class _Grid(Record):
    """Where the columns are: `labels` is the space for the layers' names, `column` the width of a column."""

    labels: float
    column: float
    place: Mapping[str, int]
    """The column of each task."""

    @classmethod
    def of(cls, layers: Iterable[str], columns: Sequence[str]) -> _Grid:
        place = {task: index for index, task in enumerate(columns)}
        return cls(_width_for(layers, 2 * _GAP), _width_for(columns, 4 * _GAP), place)

    def x(self, column: float) -> float:
        return self.labels + self.column * column

    def pieces(self, component: Component) -> list[tuple[int, int]]:
        """First and last column of every run of neighbouring columns of a component."""
        pieces: list[tuple[int, int]] = []
        for column in sorted(self.place[task] for task in component):
            if pieces and pieces[-1][1] == column - 1:
                pieces[-1] = (pieces[-1][0], column)
            else:
                pieces.append((column, column))
        return pieces

    def middle(self, component: Component) -> float:
        """The middle of the component's first piece."""
        first, last = self.pieces(component)[0]
        return self.x((first + last + 1) / 2)


def _width_for(names: Iterable[str], space: float) -> float:
    return max(_NARROWEST, space + CHARACTER * max((len(_cut(name)) for name in names), default=0))


def _cut(name: str) -> str:
    """The name, without its middle where it is too long to draw: names that are alike differ at either end."""
    half = (_LONGEST - 1) // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"


def order_of_tasks(spec: Spec) -> tuple[str, ...]:
    """The tasks in an order in which those that share a layer stand together, as far as one order can do that."""
    order = [task.name for task in spec.tasks]
    for layer in spec.backbone.layers:
        if spec.backbone.alternatives(layer):
            continue
        place = {task: index for index, task in enumerate(order)}
        components = spec.sharing.partition(layer)
        first = {task: min(map(place.__getitem__, component)) for component in components for task in component}
        order = sorted(order, key=lambda task: (first[task], place[task]))
    return tuple(order)


def draw(spec: Spec, rows: Sequence[str | None], columns: Sequence[str], changes: Mapping[str, str]) -> Drawing:
    """The drawing of a spec's sharing and heads.

    `rows` are its layers from top to bottom, None for a row that is left empty; `columns` are all tasks that have a
    column, those of other specs among them; `changes` says for a layer what happened to it, as a word.
    """
    row = {layer: index for index, layer in enumerate(rows) if layer is not None}
    grid = _Grid.of(row, columns)
    return Drawing(
        width=grid.x(len(columns)) + _GAP,
        height=TOP + ROW * (len(rows) + 1),
        labels=tuple(Label(_y(index), _cut(layer), layer) for layer, index in row.items()),
        boxes=(*_component_boxes(spec, row, grid, changes), *_head_boxes(spec, len(rows), grid)),
        lines=tuple(_lines(spec, row, len(rows), grid)),
    )


def _y(row: int) -> float:
    return TOP + ROW * row + ROW / 2


def _component_boxes(spec: Spec, row: Mapping[str, int], grid: _Grid, changes: Mapping[str, str]) -> Iterator[Box]:
    cost = spec.cost()
    for layer, index in row.items():
        if spec.backbone.alternatives(layer):
            yield from _uses(spec, layer, index, grid, changes.get(layer))
            continue
        parts = spec.sharing[layer]
        assert not isinstance(parts, Cover)
        for group, members in zip(groups_of(parts), all_members(parts, spec.sharing.tasks), strict=True):
            component = group.tasks
            one = cost.layers[layer].by_tasks[component]
            title = f"{layer}: {' + '.join(members)}; {one.parameters:,} parameters, {operations(one.flops)} a sample"
            pieces = grid.pieces(component)
            kind = changes.get(layer) or ("shared" if len(component) > 1 else "own")
            for one_piece, next_piece in pairwise(pieces):  # a bar between the pieces of one component
                left, right = grid.x(one_piece[1] + 1) - _GAP, grid.x(next_piece[0]) + _GAP
                yield Box(left, _y(index) - 2, right - left, 4, f"{kind} bar", "", title)
            for first, last in pieces:
                width = grid.column * (last - first + 1) - 2 * _GAP
                text = str(len(component)) if len(component) > 1 and len(pieces) == 1 else ""
                yield Box(grid.x(first) + _GAP, _y(index) - _HALF, width, 2 * _HALF, kind, text, title)


def _uses(spec: Spec, layer: str, index: int, grid: _Grid, change: str | None) -> Iterator[Box]:
    """For each task the number of alternatives of a layer that it uses."""
    for task in spec.sharing.tasks:
        used = spec.sharing.uses(layer, task)
        title = f"{layer}: {task} uses {', '.join(used) or 'none, and gets zeros'}"
        left = grid.x(grid.place[task]) + _GAP
        width = grid.column - 2 * _GAP
        yield Box(left, _y(index) - _HALF, width, 2 * _HALF, change or "uses", str(len(used)), title)


def _head_boxes(spec: Spec, row: int, grid: _Grid) -> Iterator[Box]:
    cost = spec.cost()
    for task in spec.tasks:
        one = cost.heads[task.name]
        title = f"head of {task.name}; {one.parameters:,} parameters, {operations(one.flops)} a sample"
        left = grid.x(grid.place[task.name]) + _GAP
        yield Box(left, _y(row) - _HALF, grid.column - 2 * _GAP, 2 * _HALF, "head", _cut(task.name), title)


def _lines(spec: Spec, row: Mapping[str, int], heads: int, grid: _Grid) -> Iterator[Line]:
    """From everything that is read to what reads it."""
    used = sorted(row.values())
    calls = wired(spec.served())
    x = {tasks: grid.middle(tasks) for tasks in {call.value.tasks for call in calls}}
    for call in calls:
        for value in call.reads:
            if value.layer in row:  # not the input
                to_row = row.get(call.layer, heads)
                yield _line(grid, x[value.tasks], row[value.layer], x[call.value.tasks], to_row, used)


def _line(grid: _Grid, x: float, row: int, to_x: float, to_row: int, used: Sequence[int]) -> Line:
    top, bottom = _y(row) + _HALF, _y(to_row) - _HALF
    if bisect_right(used, row) < bisect_left(used, to_row):  # round the boxes in between
        side = max(x, to_x) + grid.column * 2 / 3  # the curve comes three quarters near, into the gap of two columns
        return Line(
            f"M{x:g} {top:g} C{side:g} {top + ROW / 2:g} {side:g} {bottom - ROW / 2:g} {to_x:g} {bottom:g}", "skip"
        )
    half = (top + bottom) / 2
    return Line(f"M{x:g} {top:g} C{x:g} {half:g} {to_x:g} {half:g} {to_x:g} {bottom:g}", "read")
