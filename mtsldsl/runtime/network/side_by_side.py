"""Modules that are alike and read the same, computed at once: their weights side by side, in one operation each.

Alternatives of a layer are often copies of one block. Narrow ones take longer to call than to compute, and a
convolution with four channels leaves most of a vector register empty.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, TypeAlias

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from mtsldsl.language.constants import Shape

Modules: TypeAlias = Sequence[Any]
"""Alike, of one class of PyTorch's: one of each that is computed at once."""

Rule: TypeAlias = Callable[[Modules, bool, Tensor], Tensor]
"""What modules give of their inputs, side by side along the channels: of `same` inputs for all, or each of its part."""


def _joined(modules: Modules, name: str) -> Tensor | None:
    """A parameter of all, one below the other; None where they have none."""
    found = [getattr(module, name) for module in modules]
    return None if found[0] is None else torch.cat(found)


def _conv2d(modules: Modules, same: bool, x: Tensor) -> Tensor:
    one = modules[0]
    weight, bias = _joined(modules, "weight"), _joined(modules, "bias")
    assert weight is not None
    return F.conv2d(x, weight, bias, one.stride, one.padding, one.dilation, 1 if same else one.groups * len(modules))


def _group_norm(modules: Modules, same: bool, x: Tensor) -> Tensor:
    one, weight, bias = modules[0], _joined(modules, "weight"), _joined(modules, "bias")
    return F.group_norm(x, one.num_groups * len(modules), weight, bias, one.eps)


def _linear(modules: Modules, same: bool, x: Tensor) -> Tensor:
    weight, bias = _joined(modules, "weight"), _joined(modules, "bias")
    assert weight is not None
    if same:
        return F.linear(x, weight, bias)
    count, size = len(modules), weight.shape[1]
    each = x.reshape(len(x), count, size).transpose(0, 1)
    found = torch.bmm(each, weight.reshape(count, -1, size).transpose(1, 2)).transpose(0, 1).flatten(1)
    return found if bias is None else found + bias


RULES: dict[type[nn.Module], Rule] = {nn.Conv2d: _conv2d, nn.GroupNorm: _group_norm, nn.Linear: _linear}

EACH_CHANNEL = frozenset({F.relu, F.leaky_relu, F.gelu, F.silu, torch.sigmoid, torch.tanh, F.avg_pool2d, F.max_pool2d})
"""Functions that compute every channel by itself."""

NARROW, SMALL = 4, 32_000
"""Channels of each module, and values that it gives of a batch: up to either they are computed at once. Above both that
is no faster (docs/results.md)."""


@attrs.frozen(eq=False)
class SideBySide:
    """Modules that can be computed at once."""

    count: int
    steps: Sequence[Callable[[Tensor], Tensor]]
    width: int
    """Channels, where each has most."""
    pixels: int
    """Of what it gives."""

    @classmethod
    def of(cls, modules: Sequence[nn.Module], shape: Shape) -> SideBySide | None:
        """Modules of one class, which give of each sample something of a shape; None where there are not several, or
        they do what no rule is known for."""
        one, parts = modules[0], list(modules[0].children())
        if len(modules) < 2 or len(shape) == 2:  # tokens have their channels last
            return None
        if not parts or any(type(part) not in RULES for part in parts):  # a person's own is not looked at
            return None
        steps = _steps(modules, fx.symbolic_trace(one).graph)
        if steps is None:
            return None
        return cls(len(modules), steps, max(len(each) for each in one.parameters()), prod(shape[1:]))

    def pays(self, samples: int) -> bool:
        """Whether it is faster for so many samples."""
        return self.width <= NARROW or samples * self.width * self.pixels <= SMALL

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """What each of the modules makes of `x`, (n, c, h, w) or (n, c)."""
        for step in self.steps:
            x = step(x)
        return x.chunk(self.count, 1)


def _steps(modules: Sequence[nn.Module], graph: fx.Graph) -> list[Callable[[Tensor], Tensor]] | None:
    """What is to be done, from how the first of the modules computes: a chain of what there are rules for."""
    found: list[Callable[[Tensor], Tensor]] = []
    begin, *nodes, end = graph.nodes
    last, same = begin, True
    for node in nodes:
        if node.all_input_nodes != [last] or node.args[0] is not last:
            return None
        if node.op == "call_module":
            parts = [module.get_submodule(node.target) for module in modules]
            if same and (isinstance(parts[0], nn.GroupNorm) or getattr(parts[0], "groups", 1) > 1):
                return None  # not each of its channels comes of all that is read
            found.append(partial(RULES[type(parts[0])], parts, same))
            same = False
        elif node.op == "call_function" and (node.target in EACH_CHANNEL or _of_pixels(node)):
            found.append(partial(_by_function, node.target, node.args[1:], dict(node.kwargs)))
        else:
            return None
        last = node
    return found if end.args[0] is last and not same else None


def _of_pixels(node: fx.Node) -> bool:
    """Whether it takes some pixels of each channel."""
    if node.target is not operator.getitem:
        return False
    places = node.args[1]
    return isinstance(places, tuple) and places[:2] == (slice(None), slice(None))


def _by_function(function: Callable[..., Tensor], more: Sequence[Any], named: Mapping[str, Any], x: Tensor) -> Tensor:
    return function(x, *more, **named)
