"""A picture of a study: what each row gains over the tasks alone, by the size of its network."""

from __future__ import annotations

import io
from statistics import fmean
from typing import TYPE_CHECKING, Any

from mtsldsl.runtime.run.drawing import COLOURS, MARKERS, on_page
from mtsldsl.runtime.studies.baselines.comparison import Comparison, Line
from mtsldsl.runtime.studies.baselines.wanted_rows import GIVEN, RANDOM, SCRATCH, WIDENED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _DOTS = 7.0, 4.5, 150
"""Inches, and dots in one."""

_STYLE: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}

_LADDER, _WIDER, _LEARNED = "static shapes", "all shared, widened", "learned"
_TAUGHT, _BY_ITSELF = ", with teachers", ", taught by itself"
_LABELS = {
    GIVEN: "as the spec shares",
    SCRATCH: "its structure from scratch",
    RANDOM: "its shape, tasks at random",
}


def size_chart(comparison: Comparison) -> bytes:
    """Delta-m over parameters as a PNG: means over seeds with their standard errors, the static shapes as one curve.
    The same comparison gives the same bytes."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context(_STYLE):
        _figure(comparison).savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def size_drawing(comparison: Comparison) -> str:
    """The same as an SVG that is part of a page, with what it shows in words."""
    from matplotlib import rc_context

    points = (f"{', '.join(names)} {size:,.0f}, {mean:+.2f}" for (size, mean), names in _names(comparison).items())
    alt = f"The rows by their parameters, and Δm in percent: {'; '.join(points) or 'none has any'}"
    with rc_context(_STYLE):
        return on_page(_figure(comparison), alt, alt)


def _figure(comparison: Comparison) -> Figure:
    from matplotlib.figure import Figure

    groups: dict[str, list[Line]] = {}
    for line in comparison.lines:
        if line.gain is not None:
            groups.setdefault(_group(line), []).append(line)
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DOTS, layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="#767f8c", linewidth=1, linestyle=":", zorder=0)
    for place, (label, lines) in enumerate(groups.items()):
        points = sorted((_size(line), line.gain.mean, line.gain.error or 0.0) for line in lines if line.gain)
        sizes, means, errors = zip(*points, strict=True)
        axes.errorbar(
            sizes,
            means,
            yerr=errors,
            label=label,
            color=COLOURS[place],
            marker=MARKERS[place],
            markersize=5,
            capsize=3,
            linestyle="-" if label.removesuffix(_TAUGHT) == _LADDER else "none",
        )
    for point, names in _names(comparison).items():
        axes.annotate(", ".join(names), point, xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set_xlabel("parameters")
    axes.set_ylabel("Δm % over single-task networks")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    if groups:
        axes.legend(frameon=False)
    return figure


def _names(comparison: Comparison) -> dict[tuple[float, float], list[str]]:
    """The names of the rows at each point."""
    found: dict[tuple[float, float], list[str]] = {}
    for line in comparison.lines:
        if line.gain is not None:
            found.setdefault((_size(line), round(line.gain.mean, 6)), []).append(line.name)
    return found


def _size(line: Line) -> float:
    """The mean of its networks' parameters."""
    return fmean(each.outcome.parameters for each in line.ended)


def _group(line: Line) -> str:
    taught = _TAUGHT if line.row.taught else _BY_ITSELF if line.row.teaches_itself else ""
    return f"{_untaught_group(line)}{taught}"


def _untaught_group(line: Line) -> str:
    if line.row.kind == "static":
        return _WIDER if line.name.startswith(WIDENED) else _LADDER
    return _LABELS.get(line.row.kind, _LEARNED)
