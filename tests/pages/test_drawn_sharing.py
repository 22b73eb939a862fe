"""A sharing as boxes: what each says where the pointer rests on it."""

from __future__ import annotations

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
