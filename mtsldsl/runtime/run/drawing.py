"""Drawings of the report as inline SVG: curves over epochs, and a map of the numbers of many pairs."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#d62728",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#7f7f7f",
    "#bcbd22",
    "#17becf",
)
"""One for each curve of a chart: more than these cannot be told apart."""

DOTS = 72
"""Of a drawing's own units in an inch, as SVG has them."""

_SMALL = 0.1
"""A map of numbers that are no larger would be all pale."""

_STYLE: dict[Any, Any] = {"font.size": 8, "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False}
"""Text stays text, in the font of the page."""


@attrs.frozen
class Series:
    """One curve: what it is of, and its points as `(epoch, value)`."""

    name: str
    points: tuple[tuple[int, float], ...]


def curves(series: Sequence[Series], changed: Sequence[int], width: int, height: int) -> str:
    """The curves, each in its colour, with a line at every epoch after which the structure changed. What is not finite
    is left out; "" without a point."""
    drawn = [[(x, y) for x, y in each.points if math.isfinite(y)] for each in series]
    if not any(drawn):
        return ""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with rc_context(_STYLE):
        figure = Figure(figsize=(width / DOTS, height / DOTS), layout="constrained")
        axes = figure.add_subplot()
        for place, points in enumerate(drawn):
            marker = "o" if len(points) == 1 else None
            colour = COLOURS[place % len(COLOURS)]
            axes.plot([x for x, _ in points], [y for _, y in points], color=colour, marker=marker, markersize=3)
        for epoch in changed:
            axes.axvline(epoch, color="0.8", linewidth=1, zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return _svg(figure, repr((series, changed)))


def matrix_map(names: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    """The matrix as squares, white for 0 and less, dark for 1, or for the largest of two names where all are small;
    rows have the names, and columns their order."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    side = 12 * len(names)
    with rc_context({**_STYLE, "font.size": 7}):
        figure = Figure(figsize=((side + 6 * max(map(len, names))) / DOTS, side / DOTS), layout="constrained")
        axes = figure.add_subplot()
        others = (abs(value) for row, each in enumerate(values) for column, value in enumerate(each) if row != column)
        largest = max(others, default=1.0)
        axes.pcolormesh(values, cmap="Blues", vmin=0, vmax=1 if largest > _SMALL or not largest else largest)
        axes.set_yticks([row + 0.5 for row in range(len(names))], list(names))
        axes.set_xticks(
            [column + 0.5 for column in range(0, len(names), 5)],
            [str(column + 1) for column in range(0, len(names), 5)],
        )
        axes.invert_yaxis()
        axes.xaxis.tick_top()
        return _svg(figure, repr((names, values)))


def heat_map(names: Sequence[str], values: Sequence[Sequence[float | None]], *, rows: str, columns: str) -> str:
    """The matrix as squares with their numbers, blue above 0 and red below, those that are None empty; an SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    numbers = [[math.nan if value is None else value for value in row] for row in values]
    # What a task does to itself is above all others, and would make them pale.
    others = [abs(value) for row, each in enumerate(numbers) for column, value in enumerate(each) if row != column]
    largest = max((value for value in others if math.isfinite(value)), default=0.0) or 1.0
    with rc_context({**_STYLE, "font.size": 7}):
        side = 0.8 * len(names) + 1
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.add_subplot()
        axes.pcolormesh(numbers, cmap="RdBu", vmin=-largest, vmax=largest)
        for row, each in enumerate(numbers):
            for column, value in enumerate(each):
                if math.isfinite(value):
                    axes.text(column + 0.5, row + 0.5, f"{value:.1e}", ha="center", va="center")
        places = [place + 0.5 for place in range(len(names))]
        axes.set_yticks(places, list(names))
        axes.set_xticks(places, list(names), rotation=90)
        axes.set_ylabel(rows)
        axes.set_xlabel(columns)
        axes.invert_yaxis()
        return _svg(figure, repr((names, values)))


def _svg(figure: Figure, content: str) -> str:
    """The figure as an element of a page: the same content draws the same bytes."""
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": content}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    drawing = stream.getvalue()
    return drawing[drawing.index("<svg") :]
