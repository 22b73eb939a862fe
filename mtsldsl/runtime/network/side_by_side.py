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
"""What modules give of images side by side along the channels: of the `same` for all, or each of its part. Rows are in
(modules, features, n), each module's own: as columns, since so the gradient of all matrices lies in memory as each of
them does, and its parts need no copy."""

Rules: TypeAlias = Mapping[type[nn.Module], Rule]


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


def _stacked(modules: Modules, name: str) -> Tensor | None:
    """A parameter of all, in a new first dimension; None where they have none."""
    found = [module._parameters[name] for module in modules]  # many times as quick as to ask the module
    return None if found[0] is None else torch.stack(found)


def _linear(modules: Modules, _: bool, x: Tensor) -> Tensor:
    weight, bias = _stacked(modules, "weight"), _stacked(modules, "bias")
    assert weight is not None
    return torch.bmm(weight, x) if bias is None else torch.baddbmm(bias.unsqueeze(2), weight, x)


def _norm_of_rows(modules: Modules, _: bool, x: Tensor) -> Tensor:
    one, rows = modules[0], x.transpose(1, 2)
    groups = 1 if isinstance(one, nn.LayerNorm) else one.num_groups
    normed = F.group_norm(rows.flatten(0, 1), groups, eps=one.eps).view(rows.shape).transpose(1, 2)
    weight, bias = _stacked(modules, "weight"), _stacked(modules, "bias")
    if weight is None or bias is None:
        return normed
    return torch.addcmul(bias.unsqueeze(2), normed, weight.unsqueeze(2))


OF_IMAGES: Rules = {nn.Conv2d: _conv2d, nn.GroupNorm: _group_norm}

OF_ROWS: Rules = {nn.Linear: _linear, nn.GroupNorm: _norm_of_rows, nn.LayerNorm: _norm_of_rows}

EACH_CHANNEL = frozenset({F.relu, F.leaky_relu, F.gelu, F.silu, torch.sigmoid, torch.tanh, F.avg_pool2d, F.max_pool2d})
"""Functions that compute every channel by itself."""

NARROW, SMALL = 4, 32_000
"""Channels of each module, and values that it gives of a batch: up to either they are computed at once. Above both that
is no faster (docs/results/speed.md)."""


OF_A_MATRIX, OF_A_BATCH, LEAST = 16_384, 30_000, 16
"""Of rows: up to so many numbers in each matrix, and so many that each module reads or gives of a batch, and from so
many samples on they are computed at once (docs/results/speed.md)."""


@attrs.frozen(eq=False)
class SideBySide:
    """Modules that can be computed at once."""

    count: int
    steps: Sequence[Callable[[Tensor], Tensor]]
    """What is done with what they read, one after the other."""

    @staticmethod
    def of(modules: Sequence[nn.Module], shape: Shape) -> SideBySide | None:
        """Modules of one class, which give of each sample something of a shape; None where there are not several, or
        they do what no rule is known for."""
        if len(modules) < 2 or len(shape) == 2:  # tokens have their channels last
            return None
        return RowsSideBySide.of_rows(modules) if len(shape) == 1 else _Images.of_images(modules, shape)

    def pays(self, samples: int) -> bool:
        """Whether it is faster for so many samples."""
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """What each of the modules makes of `x`, (n, c, h, w) or (n, c)."""
        raise NotImplementedError


@attrs.frozen(eq=False)
class _Images(SideBySide):
    width: int
    """Channels, where each has most."""
    pixels: int
    """Of what it gives."""

    @classmethod
    def of_images(cls, modules: Sequence[nn.Module], shape: Shape) -> _Images | None:
        steps = _steps(modules, OF_IMAGES)
        if steps is None:
            return None
        return cls(len(modules), steps, max(len(each) for each in modules[0].parameters()), prod(shape[1:]))

    def pays(self, samples: int) -> bool:
        return self.width <= NARROW or samples * self.width * self.pixels <= SMALL

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        for step in self.steps:
            x = step(x)
        return x.chunk(self.count, 1)


@attrs.frozen(eq=False)
class RowsSideBySide(SideBySide):
    """Modules of rows, (n, features), that can be computed at once."""

    matrix: int
    """Numbers in the largest matrix."""
    features: int
    """Where there are most."""

    @classmethod
    def of_rows(cls, modules: Sequence[nn.Module]) -> RowsSideBySide | None:
        """Modules of one class; None where they do what no rule is known for."""
        steps = _steps(modules, OF_ROWS)
        if steps is None:
            return None
        shapes = [each.shape for each in modules[0].parameters()]
        return cls(len(modules), steps, max(map(prod, shapes)), max(size for shape in shapes for size in shape))

    def pays(self, samples: int) -> bool:
        """Whether it is faster for so many samples."""
        return self.matrix <= OF_A_MATRIX and samples * self.features <= OF_A_BATCH and samples >= LEAST

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """What each of the modules makes of `x`, (n, features)."""
        x = x.t().expand(self.count, -1, -1)
        for step in self.steps:
            x = step(x)
        return rows_of(x).unbind()


def rows_of(x: Tensor) -> Tensor:
    """(modules, features, n) as rows, (modules, n, features), which lie in memory one below the other."""
    return x.transpose(1, 2).contiguous()


def _steps(modules: Sequence[nn.Module], rules: Rules) -> list[Callable[[Tensor], Tensor]] | None:
    """What is to be done, from how the first of the modules computes: a chain of what there are rules for. A person's
    own part is not looked at."""
    parts = list(modules[0].children())
    if not parts or any(type(part) not in rules for part in parts):
        return None
    found: list[Callable[[Tensor], Tensor]] = []
    begin, *nodes, end = fx.symbolic_trace(modules[0]).graph.nodes
    last, same = begin, True
    for node in nodes:
        if node.all_input_nodes != [last] or node.args[0] is not last:
            return None
        if node.op == "call_module":
            parts = [module.get_submodule(node.target) for module in modules]
            if same and (isinstance(parts[0], nn.GroupNorm) or getattr(parts[0], "groups", 1) > 1):
                return None  # not each of its channels comes of all that is read
            found.append(partial(rules[type(parts[0])], parts, same))
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
