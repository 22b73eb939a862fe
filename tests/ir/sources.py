"""Random networks whose tasks read samples of one to three sources, as specs, and those of one of their tasks alone."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

import mtsldsl
from mtsldsl.ir import Data, Spec
from mtsldsl.ir.fitting import fits
from mtsldsl.ir.wiring import copies_of, gates_of
from mtsldsl.sharing import Cover, Sharing, format_row
from tests.sharing.strategies import sharings_by_source

TASKS = ("apple", "banana", "cherry", "damson", "elder")
BLOCKS = ("first", "second", "third")
PIPELINES = (
    "conv2d(4, 3) | batch_norm | relu",
    "conv2d(4, 5)",
    "identity",
    "conv2d(4, 1) | group_norm(2)",
    "add(layer0)",
)
MASKED = ("concat(mask) | conv2d(4, 3)", "add(mask | conv2d(4, 1))", "residual(concat(mask) | conv2d(4, 1))")
ENDS = ("adaptive_avg_pool2d(1) | flatten | linear(3)", "flatten | linear(3)", "conv2d(4, 3, stride=2) | relu")


@attrs.frozen
class Drawn:
    """The height and width of each block's inputs, the block of each task, each layer's value, and whether there is a
    second input, `mask`."""

    sizes: Mapping[str, int]
    reads: Mapping[str, str]
    layers: Mapping[str, str]
    masked: bool

    def text(self, tasks: tuple[str, ...] = (), sharing: Sharing | None = None) -> str:
        """The spec of some of the tasks, by default of all, with every task alone."""
        tasks = tasks or tuple(self.reads)
        blocks = [block for block in self.sizes if block in {self.reads[task] for task in tasks}]
        parts = ["mtl 1"]
        for block in blocks:
            size = self.sizes[block]
            inputs = f"image(2, {size}, {size})"
            inputs = f"[{inputs}, mask(1, {size}, {size})]" if self.masked else inputs
            parts.append(f'data arrays {block} {{\n  path  = "x.npz"\n  input = {inputs}\n  batch = 4\n}}')
        for task in tasks:
            data = f"  data   = {self.reads[task]}\n" if len(blocks) > 1 else ""
            head = "linear(outputs)"
            if "flatten" not in [*self.layers.values()][-1]:
                head = "adaptive_avg_pool2d(1) | flatten | linear(outputs)"
            parts.append(f"task {task} {{\n{data}  target = values(2)\n  head   = {head}\n}}")
        parts.append("backbone {\n" + "".join(f"  {name} = {value}\n" for name, value in self.layers.items()) + "}")
        parts.append("train {\n  epochs    = 1\n  optimizer = adam(lr=1e-3)\n}")
        if sharing is not None:
            lines = (f"  {name} = {format_row(sharing[name], sharing.tasks)}\n" for name in self.layers)
            parts.append("sharing {\n" + "".join(lines) + "}")
        return "\n\n".join([*parts, ""])


@st.composite
def networks(draw: st.DrawFn) -> Drawn:
    """Up to four layers, some of alternatives, at the end sometimes one whose weights depend on the input's size."""
    blocks = BLOCKS[: draw(st.sampled_from((1, 2, 2, 3)))]
    tasks = TASKS[: draw(st.integers(len(blocks), 5))]
    reads = dict(zip(tasks, blocks, strict=False))
    reads |= {task: draw(st.sampled_from(blocks)) for task in tasks[len(blocks) :]}
    layers, masked = {"layer0": "conv2d(4, 3) | relu"}, draw(st.booleans())
    pipelines = (*PIPELINES, *(MASKED if masked else ()))
    if masked:
        layers["reads"] = draw(st.sampled_from(MASKED))
    for number in range(1, draw(st.integers(2, 4))):
        kind = draw(st.sampled_from(("one", "parallel", "mixture")))
        value = draw(st.sampled_from(pipelines))
        if kind != "one":
            chosen = draw(st.lists(st.sampled_from(pipelines), min_size=2, max_size=3))
            ways = ", ".join(f"way{place}={each}" for place, each in enumerate(chosen))
            value = f"parallel({ways}{', gate=mixture' if kind == 'mixture' else ''})"
        layers[f"layer{number}"] = value
    layers[f"layer{len(layers)}"] = draw(st.sampled_from(ENDS))
    return Drawn({block: draw(st.sampled_from((6, 8))) for block in blocks}, reads, layers, masked)


@st.composite
def specs(draw: st.DrawFn) -> tuple[Drawn, Spec]:
    """A network with any sharing that fits its sources and the sizes of their inputs."""
    drawn = draw(networks())
    plain = mtsldsl.loads(drawn.text())
    s = plain.sharing
    (found,) = draw(sharings_by_source(backbone=s.backbone, tasks=s.tasks, sources=list(map(sorted, s.sources))))
    rows = dict(found.components)
    for layer in plain.layers:
        row = rows[layer.name]
        if not isinstance(row, Cover) and not all(fits(layer.body, each) for each in layer.variants.values()):
            by_size = {}
            for place, component in enumerate(row):
                for task in component:
                    by_size.setdefault((place, drawn.sizes[drawn.reads[task]]), set()).add(task)
            rows[layer.name] = list(by_size.values())
    return drawn, mtsldsl.loads(drawn.text(sharing=s.given(rows)))


def made(spec: Spec) -> nn.Module:
    """The network in evaluation mode, no two of its copies with the same weights or statistics."""
    model = mtsldsl.build_model(spec).eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(
                torch.rand(tensor.shape, generator=generator)
                + 0.1 * ("running_var" in name)
                - 0.4 * ("running_var" not in name)
            )
    return model


def alone(drawn: Drawn, spec: Spec, model: nn.Module, task: str) -> tuple[Spec, nn.Module]:
    """The network of one task, with the weights that it has among the others."""
    rows = {}
    for layer in spec.backbone.layers:
        uses = spec.sharing.uses(layer, task)
        rows[layer] = {name: [task] for name in uses} if spec.backbone.alternatives(layer) else [[task]]
    own = mtsldsl.loads(drawn.text((task,), Sharing(spec.backbone, (task,), rows)))
    network = mtsldsl.build_model(own).eval()
    for layer in spec.backbone.layers:
        copies = [
            copy for copy in (*copies_of(spec.sharing, layer), *gates_of(spec.sharing, layer)) if task in copy.component
        ]
        for copy in copies:
            name = attrs.evolve(copy, component=frozenset((task,))).name
            network.get_submodule(name).load_state_dict(model.get_submodule(copy.name).state_dict())
    network.get_submodule(f"heads.{task}").load_state_dict(model.get_submodule(f"heads.{task}").state_dict())
    return own, network


def given_to(data: Data) -> tuple[Tensor, ...]:
    """Three random samples of each of its inputs."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(3, *shape, generator=generator) for shape in data.inputs.values())
