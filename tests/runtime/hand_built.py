"""A small network of three layers, written by hand with the names that compiled networks have, and its spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.sharing import Backbone, Sharing, component_name

BACKBONE = Backbone(("a", "b", "c"), {"a": (), "b": ("a",), "c": ("b", "a")})
IMAGE = (3, 8, 8)
INPUTS = {"a": ("image",), "b": ("a",), "c": ("b", "a")}


class Join(nn.Module):
    """Layer c: reads b, and a at half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(10, 5, 1)
        self.calls = 0

    def forward(self, b: Tensor, a: Tensor) -> Tensor:
        self.calls += 1
        return torch.relu(self.conv1(torch.cat([b, nn.functional.avg_pool2d(a, 2)], 1)))


def make_layer(layer: str) -> nn.Module:
    if layer == "a":
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    if layer == "b":
        return nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.Dropout(0.5), nn.ReLU())
    return Join()


class HandBuilt(nn.Module):
    def __init__(self, sharing: Sharing) -> None:
        super().__init__()
        self.sharing = sharing
        for layer in BACKBONE.layers:
            parts = {component_name(component): make_layer(layer) for component in sharing[layer]}
            self.add_module(layer, nn.ModuleDict(parts))
        self.heads = nn.ModuleDict({task: nn.Conv2d(5, 1, 1) for task in sharing.tasks})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        outputs: dict[tuple[str, frozenset[str]], Tensor] = {}
        for layer in BACKBONE.layers:
            for component in self.sharing[layer]:
                task = next(iter(component))
                read = [
                    image if name == "image" else outputs[name, self.sharing.component(name, task)]
                    for name in INPUTS[layer]
                ]
                outputs[layer, component] = self.get_submodule(layer)[component_name(component)](*read)
        return {task: self.heads[task](outputs["c", self.sharing.component("c", task)]) for task in self.sharing.tasks}


TEXT = """\
mtl 1

data arrays {{
  path  = "nowhere"
  input = image(3, 8, 8)
  batch = 8
}}

task [{tasks}] {{
  target = values(1)
  head   = conv2d(1, 1)
}}

backbone {{
  a = conv2d(4, 3) | batch_norm | relu
  b = conv2d(6, 3, stride=2) | batch_norm | dropout(0.5) | relu
  c = conv2d(6, 1) | concat(a | avg_pool2d(2)) | conv2d(5, 1) | relu
}}

train {{
  epochs = 1
}}
"""


def make_spec(tasks: Iterable[str], components: Mapping[str, Iterable[Iterable[str]]] | None = None) -> Spec:
    names = tuple(tasks)
    spec = loads(TEXT.format(tasks=", ".join(names)))
    return attrs.evolve(
        spec, sharing=Sharing.each(BACKBONE, names) if components is None else Sharing(BACKBONE, names, components)
    )


def make_model(spec: Spec, seed: int = 0) -> HandBuilt:
    torch.manual_seed(seed)
    model = HandBuilt(spec.sharing)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_mean"):
                value.normal_()
            elif name.endswith("running_var"):
                value.uniform_(0.5, 2)
    return model


def images(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, *IMAGE, generator=torch.Generator().manual_seed(seed))
