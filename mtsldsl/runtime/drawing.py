"""Drawings of the report, written as SVG: curves over epochs, and a map of the similarity of many tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

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

_LEFT, _TOP, _BELOW = 46, 6, 16
"""Room for the numbers left of a chart and below it, in its own units."""


@attrs.frozen
class Series:
    """One curve: what it is of, and its points as `(epoch, value)`."""

    name: str
    points: tuple[tuple[int, float], ...]


def curves(series: Sequence[Series], merged: Sequence[int], width: int, height: int) -> str:
    """The curves, each in its colour, with a line at every epoch after which layers merged. What is not finite is left
    out."""
    drawn = [[(x, y) for x, y in each.points if math.isfinite(y)] for each in series]
    every = [point for points in drawn for point in points]
    if not every:
        return ""
    low, high = _room(min(y for _, y in every), max(y for _, y in every))
    first, last = min(x for x, _ in every), max(x for x, _ in every)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - first) / (last - first) if last > first else 0.5
        return _LEFT + across * (width - _LEFT - 8), _TOP + (high - y) / (high - low) * (height - _TOP - _BELOW)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img">']
    for value in (low, (low + high) / 2, high):
        _, y = place(first, value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{value:.3g}</text>')
    for epoch in dict.fromkeys((first, last)):
        x, _ = place(epoch, low)
        parts.append(f'<text x="{x:.1f}" y="{height - 4}" text-anchor="middle">{epoch}</text>')
    for epoch in merged:
        x, _ = place(epoch, low)
        parts.append(f'<line class="merge" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height - _BELOW}"/>')
    for points, colour in zip(drawn, _cycled(len(drawn)), strict=True):
        placed = [place(x, y) for x, y in points]
        if len(placed) == 1:
            parts.append(f'<circle cx="{placed[0][0]:.1f}" cy="{placed[0][1]:.1f}" r="2" fill="{colour}"/>')
        elif placed:
            listed = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            parts.append(f'<polyline points="{listed}" stroke="{colour}"/>')
    return "".join([*parts, "</svg>"])


def _room(low: float, high: float) -> tuple[float, float]:
    """The range of an axis, never empty."""
    if high > low:
        return low, high
    margin = abs(low) / 10 or 1.0
    return low - margin, high + margin


def _cycled(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]


def similarity_map(tasks: Sequence[str], similarity: Sequence[Sequence[float]]) -> str:
    """The matrix as squares, white for 0 and less, dark for 1; rows have the tasks' names, and columns their order."""
    side, left, top = 12, 8 * max(map(len, tasks)), 14
    size = side * len(tasks)
    parts = [f'<svg viewBox="0 0 {left + size} {top + size}" style="width: {left + size}px" role="img">']
    for row, task in enumerate(tasks):
        middle = top + side * row + side - 3
        parts.append(f'<text x="{left - 4}" y="{middle}" text-anchor="end">{task}</text>')
        if row % 5 == 0:
            parts.append(f'<text x="{left + side * row + side / 2:g}" y="10" text-anchor="middle">{row + 1}</text>')
        for column, value in enumerate(similarity[row]):
            x, y, shade = left + side * column, top + side * row, _shade(value)
            parts.append(f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{shade}"/>')
    return "".join([*parts, "</svg>"])


def _shade(similarity: float) -> str:
    """From white to dark blue."""
    share = min(max(similarity, 0.0), 1.0) if math.isfinite(similarity) else 0.0
    red, green, blue = (round(255 + share * (dark - 255)) for dark in (8, 48, 107))
    return f"#{red:02x}{green:02x}{blue:02x}"
