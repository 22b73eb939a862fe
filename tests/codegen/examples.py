"""Specs whose generated code is kept beside them, and random small ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from tests.sharing.strategies import valid_sharings

GOLDEN = Path(__file__).parent / "golden"
NAMES = tuple(sorted(path.parent.name for path in GOLDEN.glob("*/spec.mtl")))

FRAME = """\
mtl 1
data arrays {{
  path = "x.npz"
  input = image(3, 16, 16)
}}
{tasks}
block basic(channels, stride=1) =
    residual(conv2d(channels, 3, stride=stride) | batch_norm | relu | conv2d(channels, 3) | batch_norm) | relu
block before(channels) = residual(group_norm(1) | relu | conv2d(channels, 3))
backbone {{
{layers}
}}
train {{
  epochs = 1
}}
"""

TASK = """\
task {name} {{
  target = values(1)
  head = {head}
}}
"""


def example(name: str) -> Spec:
    """One of the specs in golden/."""
    return loads((GOLDEN / name / "spec.mtl").read_text(encoding="utf-8"), name=f"specs/{name}.mtl")


def outputs(spec: Spec, model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What all tasks get of inputs by data block, in the order of the tasks: each source of samples by itself."""
    if len(spec.streams) == 1:
        found: dict[str, Tensor] = model(inputs[spec.data.name])
        return found
    given = {name: value for each in spec.streams for name, value in model(inputs[each.data.name], each.tasks).items()}
    return {task.name: given[task.name] for task in spec.tasks}


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """A small network of up to five layers and three tasks with any valid sharing."""
    layers: list[str] = []
    for place in range(draw(st.integers(1, 5))):
        channels, stride = draw(st.sampled_from((2, 4))), draw(st.sampled_from((1, 1, 2)))
        forms = [
            f"conv2d({channels}, 3, stride={stride}) | batch_norm | relu",
            f"conv2d({channels}, 3) | gelu | max_pool2d(3, stride={stride})",
            f"basic({channels}, stride={stride}) | basic({channels})",
            f"conv2d({channels}, 1) | before({channels}) * 2",
            f"concat(conv2d(2, 1) | relu, conv2d(2, 3, dilation=2) | tanh) | residual(conv2d({channels}, 3))",
            f"mixture(conv2d({channels}, 1) | relu, conv2d({channels}, 3))",
            "sigmoid",
        ]
        if place:
            skip = f"layer{draw(st.integers(0, place - 1))}"
            forms += [
                f"resize_as({skip}) | concat({skip}) | conv2d({channels}, 3) | batch_norm | relu",
                f"{skip} | conv2d({channels}, 3) | silu",
                f"resize(4, 4) | conv2d(2, 1) | add({skip} | resize(4, 4) | conv2d(2, 1), image | resize(4, 4) | conv2d(2, 1))",
            ]
        layers.append(f"  layer{place} = {draw(st.sampled_from(forms))}")
    heads = ["conv2d(1, 1) | resize_as(image)", "adaptive_avg_pool2d(1) | flatten | linear(1)"]
    heads.append(f"layer{draw(st.integers(0, len(layers) - 1))} | conv2d(1, 1)")
    names = draw(st.lists(st.sampled_from(("depth", "edge", "albedo", "print")), min_size=1, max_size=3, unique=True))
    tasks = "".join(TASK.format(name=name, head=draw(st.sampled_from(heads))) for name in names)
    spec = loads(FRAME.format(tasks=tasks, layers="\n".join(layers)), name="specs/random.mtl")
    return attrs.evolve(spec, sharing=draw(valid_sharings(spec.backbone, spec.sharing.tasks)))
