"""Drawings of the report as inline SVG: curves over epochs, and a map of the numbers of many pairs."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (
    "#1f77b4",
    "#c75f00",
    "#2a9134",
    "#d62728",
    "#9467bd",
    "#9c6a5c",
    "#c9599f",
    "#7f7f7f",
    "#8a8a12",
    "#12909e",
)
"""One for each curve of a chart: more than these cannot be told apart. Each stands out from white and from black."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
"""The marks of the curves, in that order, for those who see no colours."""

SIGNS = ("\u25cf", "\u25a0", "\u25b2", "\u25c6", "\u25bc", "\u271a", "\u2716", "\u2605", "\u25c0", "\u25b6")
"""The same as characters."""

_RULE = "#767f8c"

_MARKS = 8
"""On a curve, about so many."""

DOTS = 72
"""Of a drawing's own units in an inch, as SVG has them."""

_MARGINS = (64, 42, 10, 18)
"""Left, below, right and above the curves of a chart: room for the longest number that a tick has, and for the power of
ten of all. To find out what the texts need would take as long as to draw them."""

_SMALL = 0.1
"""A map of numbers that are no larger would be all pale."""

_STYLE: dict[Any, Any] = {"font.size": 11, "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False}
"""Text stays text, in the font of the page."""


@attrs.frozen
class Series:
    """One curve: what it is of, and its points as `(epoch, value)`."""

    name: str
    points: tuple[tuple[int, float], ...]


def curves(series: Sequence[Series], changed: Sequence[int], width: int, height: int, alt: str = "") -> str:
    """The curves, each in its colour and with its marks, with a line at every epoch after which the structure changed.
    What is not finite is left out; "" without a point. `alt` says what is drawn; no two drawings of a page have one."""
    drawn = [[(x, y) for x, y in each.points if math.isfinite(y)] for each in series]
    if not any(drawn):
        return ""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with rc_context(_STYLE):
        figure = Figure(figsize=(width / DOTS, height / DOTS))
        left, bottom, right, top = _MARGINS
        axes = figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height))
        for place, points in enumerate(drawn):
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                markevery=max(1, len(points) // _MARKS),
                markersize=4,
            )
        for epoch in changed:
            axes.axvline(epoch, color=_RULE, linewidth=1, linestyle=":", zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_xlabel("epoch")
        return on_page(figure, repr((series, changed)), alt)


def matrix_map(names: Sequence[str], values: Sequence[Sequence[float]], alt: str = "") -> str:
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
        return on_page(figure, repr((names, values)), alt)


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
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawing = stream.getvalue()
    return drawing[drawing.index("<svg") :]


def on_page(figure: Figure, content: str, alt: str) -> str:
    """The figure as a drawing among others on a page: what is white has the page's colour there and what is black that
    of its text, and no name of a part is that of another drawing's. `content` tells what is drawn from all else, `alt`
    says it; no two drawings of a page have one."""
    salt = sha256(alt.encode()).hexdigest()[:8]
    drawing = _svg(figure, content)
    referred = set(re.findall(r'(?:url\(|href=")#([^")]+)', drawing))
    drawing = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in referred else "", drawing)
    drawing = re.sub(r'( id="|url\(#|href="#)', lambda found: f"{found[1]}d{salt}-", drawing)
    drawing = drawing.replace("#000000", "currentColor").replace("fill: #ffffff", "fill: none")
    return drawing.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
