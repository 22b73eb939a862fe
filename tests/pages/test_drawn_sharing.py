"""A sharing as boxes: what each says where the pointer rests on it."""

from __future__ import annotations

import re

from mtsldsl.editing import loads
from mtsldsl.pages.sharing_drawing import Box, draw, order_of_tasks
from mtsldsl.sharing import format_components
from tests.ir.specs import LAYERS, text

SHARED = """
sharing {
  stem = all
  enc1 = segment + normal, depth + edge
  enc2 = depth + edge, segment, normal
}
"""


def boxes(source: str) -> tuple[Box, ...]:
    spec = loads(source)
    return draw(spec, spec.backbone.layers, order_of_tasks(spec), {}).boxes


def test_each_copy_is_told_with_its_tasks_as_in_a_spec() -> None:
    spec = loads(text(SHARED))
    told: dict[str, list[str]] = {layer: [] for layer in LAYERS}
    for title in dict.fromkeys(box.title for box in boxes(text(SHARED)) if box.kind != "head"):
        layer, _, tasks = title.partition(";")[0].partition(": ")
        told[layer].append(tasks)
    assert {layer: ", ".join(tasks) for layer, tasks in told.items()} == {
        layer: format_components(spec.sharing, layer) for layer in LAYERS
    }


def test_a_copy_that_nothing_reads_has_parameters_and_no_operations() -> None:
    source = text(SHARED).replace("head   = conv2d(3, 1)", "head   = stem | conv2d(3, 1)")  # of normal
    titles = {box.title for box in boxes(source) if box.title.startswith("enc2: ")}
    cost = loads(source).cost().layers["enc2"].one
    assert {re.sub(r"; .* parameters, ", "; ", title) for title in titles} == {
        "enc2: segment; 0.1 MFLOP a sample",
        "enc2: depth + edge; 0.1 MFLOP a sample",
        "enc2: normal; 0.0 kFLOP a sample",
    }
    assert all(f"; {cost.parameters:,} parameters" in title for title in titles)
