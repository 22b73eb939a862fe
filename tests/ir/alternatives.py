"""Random networks with layers of alternatives: their texts, and what they compute, from the text's own parts alone."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

PIPELINES = ("conv2d(4, 3) | relu", "conv2d(4, 5)", "identity", "conv2d(4, 1) | group_norm(2)", "add(layer0)")

TASKS = ("apple", "banana", "cherry", "damson")


@attrs.frozen
class Drawn:
    """A network: what each layer is made of (one pipeline under "", or alternatives by name), and who uses what: for
    each layer and task the names of its copies."""

    tasks: tuple[str, ...]
    layers: Mapping[str, Mapping[str, str]]
    mixed: frozenset[str]
    """The layers whose alternatives tasks weigh."""
    uses: Mapping[str, Mapping[str, tuple[str, ...]]]
    sharing: tuple[str, ...]
    heads: Mapping[str, str] = attrs.field(factory=dict)
    """The layer that the head of a task reads, where it is not the last."""

    @property
    def text(self) -> str:
        """The spec."""
        return self.text_of(self.tasks, self.sharing)

    def text_of(self, tasks: tuple[str, ...], sharing: tuple[str, ...]) -> str:
        """The spec of some of the tasks, with these lines of `sharing`."""
        blocks = [
            f"task {task} {{\n  target = values(1)\n  head   = {self._read(task)}conv2d(1, 1) | resize_as(image)\n}}"
            for task in tasks
        ]
        layers = "\n".join(f"  {name} = {self._value(name, parts)}" for name, parts in self.layers.items())
        return "\n\n".join(
            [
                "mtl 1",
                'data arrays {\n  path  = "x.npz"\n  input = image(3, 8, 8)\n  batch = 4\n}',
                *blocks,
                f"backbone {{\n{layers}\n}}",
                "train {\n  epochs    = 1\n  optimizer = adam(lr=1e-3)\n}",
                "sharing {\n" + "".join(f"  {line}\n" for line in sharing) + "}",
                "",
            ]
        )

    def _read(self, task: str) -> str:
        return f"{self.heads[task]} | " if task in self.heads else ""

    def _value(self, layer: str, parts: Mapping[str, str]) -> str:
        if "" in parts:
            return parts[""]
        gate = ", gate=mixture" if layer in self.mixed else ""
        return f"parallel({', '.join(f'{name}={value}' for name, value in parts.items())}{gate})"

    def outputs(self, model: nn.Module, image: Tensor) -> dict[str, Tensor]:
        """What the tasks get, each computed alone, layer after layer."""
        return {task: self._output(model, image, task) for task in self.tasks}

    def _output(self, model: nn.Module, image: Tensor, task: str) -> Tensor:
        values: dict[str, Tensor] = {}
        previous = image
        for layer, parts in self.layers.items():
            reads_first = any("add(layer0)" in value for value in parts.values())
            read = (previous, values["layer0"]) if reads_first and layer != "layer1" else (previous,)
            terms = [model.get_submodule(f"{layer}.{name}")(*read) for name in self.uses[layer][task]]
            if layer in self.mixed and len(terms) > 1:
                values[layer] = previous = mixture(model.get_submodule(f"{layer}.gate({task})"), previous, terms)
                continue
            values[layer] = previous = mean(terms) if terms else torch.zeros_like(previous)
        head: Tensor = model.get_submodule(f"heads.{task}")(values[self.heads.get(task, layer)], image)
        return head


def mixture(gate: nn.Module, read: Tensor, terms: list[Tensor]) -> Tensor:
    """The sum of images (n, c, h, w), each weighed by softmax(W x), where x is the mean of what is read over space."""
    (weight,) = gate.parameters()
    scores = read.mean((2, 3)) @ weight.T
    shares = scores.exp() / scores.exp().sum(1, keepdim=True)
    return sum((shares[:, place, None, None, None] * term for place, term in enumerate(terms)), torch.zeros(()))


def mean(terms: list[Tensor]) -> Tensor:
    """Of one term itself, of several their sum in order over their number."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total / len(terms) if len(terms) > 1 else total


@st.composite
def networks(draw: st.DrawFn) -> Drawn:
    """Up to five layers of 4 channels, the first of them a convolution that tasks share or do not; most others are made
    of alternatives."""
    tasks = TASKS[: draw(st.integers(1, 4))]
    layers: dict[str, dict[str, str]] = {"layer0": {"": "conv2d(4, 3) | relu"}}
    mixed = set()
    uses: dict[str, dict[str, tuple[str, ...]]] = {}
    lines = []
    below = False
    groups = draw(partitions(tasks))
    for number in range(draw(st.integers(2, 5))):
        layer = f"layer{number}"
        kind = "one" if number == 0 else draw(st.sampled_from(["one", "several", "several"]))
        if kind == "several":
            below = True
            chosen = draw(st.lists(st.sampled_from(PIPELINES), min_size=1, max_size=3))
            layers[layer] = {f"way{place}": value for place, value in enumerate(chosen)}
            mixed |= {layer} if draw(st.booleans()) else set()
            used = {name: draw(st.lists(st.sampled_from(tasks), unique=True)) for name in layers[layer]}
            uses[layer] = {task: tuple(name for name in used if task in used[name]) for task in tasks}
            said = ", ".join(f"{name}: {' + '.join(users)}" for name, users in used.items() if users)
            lines.append(f"{layer} = {said or 'none'}")
            continue
        if number:
            layers[layer] = {"": draw(st.sampled_from(("conv2d(4, 3) | relu", "group_norm(2)")))}
        if below:
            groups = draw(partitions(tasks))
        uses[layer] = {task: ("+".join(sorted(group)),) for group in groups for task in group}
        lines.append(f"{layer} = {', '.join(' + '.join(group) for group in groups)}")
    heads = draw(st.dictionaries(st.sampled_from(tasks), st.sampled_from(sorted(layers)), max_size=len(tasks)))
    return Drawn(tasks, layers, frozenset(mixed), uses, tuple(lines), heads)


@st.composite
def partitions(draw: st.DrawFn, tasks: tuple[str, ...]) -> list[list[str]]:
    """Any partition of the tasks."""
    groups: dict[int, list[str]] = {}
    for task in tasks:
        groups.setdefault(draw(st.integers(0, 2)), []).append(task)
    return list(groups.values())
