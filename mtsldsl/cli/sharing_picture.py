"""The sharing of one spec as a picture by itself: an SVG that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtsldsl.cli.output import shown
from mtsldsl.pages.page import page
from mtsldsl.pages.sharing_drawing import CHARACTER, draw, order_of_tasks

if TYPE_CHECKING:
    from mtsldsl.ir import Spec

_MARGIN = 12
"""Pixels around the drawing."""


def picture(spec: Spec) -> str:
    """The SVG. A row is a layer, a column is a task, a box is one copy of the layer with the number of tasks that share
    it; equal specs of one name give equal pictures."""
    drawing = draw(spec, spec.backbone.layers, order_of_tasks(spec), {})
    cost = spec.cost()
    title = f"{shown(spec.source.name)}: {cost.total.told(' a sample')}"
    return page(
        "mtsldsl.cli",
        "sharing.svg",
        {},
        drawing=drawing,
        title=title,
        margin=_MARGIN,
        width=round(max(drawing.width, CHARACTER * len(title)) + 2 * _MARGIN),
        height=drawing.height + 3 * _MARGIN,
    )
