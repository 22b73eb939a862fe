"""Small specs and samples for the tests of data."""

from __future__ import annotations

import attrs
import torch

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import Source
from mtsldsl.ir.body import Body
from mtsldsl.ir.model import Layer, Spec
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.runtime.data import FieldKind, Samples
from mtsldsl.sharing import Backbone, Sharing
from tests.records import TRAIN, data_of, gives, task_of


def task(name: str, target: Target, field: str | None = None, dense: bool = True, size: Shape = (64, 64)) -> Task:
    shape = (target.channels, *size) if dense else (target.channels,)
    return task_of(name, target, gives(shape, image=(3, *size)), field=field)


def dense_tasks(classes: int, size: Shape = (64, 64), ignore: int | None = 255) -> tuple[Task, ...]:
    return (
        task("segment", Target("classes", classes, ignore), "label", size=size),
        task("depth", Target("values", 1), "depth", size=size),
        task("normal", Target("unit_vectors", 3), "normal", size=size),
        task("edge", Target("binary", 1), "edge", size=size),
        task("autoencode", Target("reconstruct", 3), "image", size=size),
    )


def spec(
    kind: str,
    tasks: tuple[Task, ...],
    shape: Shape = (3, 64, 64),
    *,
    name: str = "test.mtl",
    input_name: str = "image",
    batch: int = 2,
    **options: Constant,
) -> Spec:
    data = data_of(kind, input_name, shape, batch, **options)
    names = tuple(each.name for each in tasks)
    sources = [[name] for name in names] if data.apart else None
    return Spec(
        data=data,
        tasks=tuple(attrs.evolve(each, head=_head(kind, each, input_name, shape)) for each in tasks),
        layers=(Layer("stem", Body((input_name,), (shape,), (), input_name, shape)),),
        train=TRAIN,
        structure=None,
        sharing=Sharing.each(Backbone(("stem",), {"stem": ()}), names, sources),
        history=(),
        source=Source(name, ""),
    )


def _head(kind: str, task: Task, name: str, shape: Shape) -> Body:
    """What gives an answer for every pixel of the input's own size where the kind has such, else of the task's."""
    dense = data_kind(kind).dense or task.target.kind == "reconstruct"
    return gives((task.target.channels, *shape[1:]) if dense else task.head.shape, **{name: shape})


LAYOUT = {
    "image": FieldKind.IMAGE,
    "label": FieldKind.LABEL,
    "depth": FieldKind.DEPTH,
    "normal": FieldKind.NORMAL,
    "edge": FieldKind.EDGE,
    "other": FieldKind.PLAIN,
    "kind": FieldKind.LABEL,
    "vector": FieldKind.PLAIN,
}


def numbered_pixels(count: int, height: int, width: int) -> dict[str, torch.Tensor]:
    """A batch in which every field tells which pixel of the sample each of its pixels was."""
    index = torch.arange(height * width).reshape(1, height, width).expand(count, -1, -1)
    number = index[:, None].float()
    column = (torch.arange(width).float() / width).expand(count, 1, height, width)
    row = (torch.arange(height).float() / height)[:, None].expand(count, 1, height, width)
    normal = torch.nn.functional.normalize(torch.cat([column - 0.3, row - 0.6, -torch.ones_like(row)], dim=1), dim=1)
    return {
        "image": torch.cat([column, row, torch.zeros_like(row)], dim=1),
        "label": index.clone(),
        "depth": number + 1,
        "normal": normal,
        "edge": (index[:, None] % 3 == 0).float(),
        "other": number * 2,
        "kind": torch.arange(count),
        "vector": torch.arange(count * 2).reshape(count, 2).float(),
    }


def compact_samples(count: int, height: int = 6, width: int = 8) -> Samples:
    """Samples of all kinds; the first pixel of a sample's image is its number."""
    generator = torch.Generator().manual_seed(7)
    image = torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)
    image[:, 0, 0, 0] = torch.arange(count)
    return Samples(
        {
            "image": image,
            "label": torch.randint(0, 5, (count, height, width), generator=generator).to(torch.uint8),
            "depth": torch.rand(count, 1, height, width, generator=generator).half() + 1,
            "normal": torch.randn(count, 3, height, width, generator=generator).half(),
            "edge": torch.rand(count, 1, height, width, generator=generator) < 0.2,
            "kind": torch.arange(count),
        },
        {name: LAYOUT[name] for name in ("image", "label", "depth", "normal", "edge", "kind")},
    )
