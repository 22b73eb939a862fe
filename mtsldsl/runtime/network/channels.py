"""Which channels of a network may change places without changing what it computes.

The channels that one operator makes, and all that reads them or passes them on, are one set: where its tensors are put
into another order alike, all outputs stay what they are, but for rounding. What is added or multiplied belongs to one
set, what is joined by `concat` to one after the other. A set is fixed where some operator tells its channels apart: the
network's inputs and the outputs of its heads, convolutions in groups, norms over groups of channels, attention,
recurrent layers, a person's own module and all else that is not known here to treat channels alike.

Permutations of units as symmetries of a network: Hecht-Nielsen, 1990; such sets for whole networks: Ainsworth, Hayase,
Srinivasa: Git Re-Basin: Merging Models modulo Permutation Symmetries, ICLR 2023, arXiv 2209.04836.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TypeAlias

import attrs
import torch
from torch import Tensor

from mtsldsl.codegen.bodies import module_names
from mtsldsl.ir import Spec
from mtsldsl.ir.body import Body, Reference, Step
from mtsldsl.ir.wiring import Call, Value, bodies, inputs_of, wired
from mtsldsl.language.constants import Shape
from mtsldsl.sharing import Copy

Reordering: TypeAlias = Mapping[str, Mapping[int, Tensor]]
"""For tensors of a network by name, and their dimensions, the old places in the new order."""


@attrs.frozen
class Use:
    """A dimension of a tensor that has the channels of a set: from `offset` on, each `times` in a row."""

    copy: Copy
    tensor: str
    dim: int
    offset: int = 0
    times: int = 1


@attrs.define(eq=False)
class Channels:
    """A set of channels. `modules` are those that give them, by the copy that they are of and their name in the
    network, with the dimension of their output that the channels are."""

    size: int
    fixed: bool = False
    uses: list[Use] = attrs.field(factory=list)
    modules: list[tuple[Copy, str, int]] = attrs.field(factory=list)
    into: Channels | None = None

    def whole(self) -> Channels:
        """The set that it has become part of."""
        return self if self.into is None else self.into.whole()

    def join(self, other: Channels) -> None:
        """Make one set of both."""
        one, two = self.whole(), other.whole()
        if one is not two:
            two.into = one
            one.fixed |= two.fixed
            one.uses += two.uses
            one.modules += two.modules

    @property
    def copies(self) -> frozenset[Copy]:
        """Those with tensors that have these channels."""
        return frozenset(use.copy for use in self.uses)


@attrs.frozen
class _Part:
    """A run of channels of a value: those of a set, each `times` in a row."""

    channels: Channels
    times: int = 1

    @property
    def size(self) -> int:
        return self.channels.size * self.times


_Layout: TypeAlias = tuple[_Part, ...]

_ALIKE = frozenset(
    (
        *("relu", "leaky_relu", "gelu", "silu", "sigmoid", "tanh", "softplus", "dropout", "identity"),
        *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "max_pool1d", "avg_pool1d"),
        *("resize", "resize_as", "upsample", "to_tokens", "to_image", "mean_tokens", "first_token"),
    )
)
"""What gives the channels of its first value, each by itself."""

_PER_CHANNEL = {
    "batch_norm": ("weight", "bias", "running_mean", "running_var"),
    "layer_norm": ("weight", "bias"),
    "depthwise": ("weight", "bias"),
}
"""What does so with a number, or a filter, for each, in these tensors."""

_DENSE = {"linear": (1, 0), "conv2d": (1, 0), "conv1d": (1, 0), "conv_transpose2d": (0, 1)}
"""What reads all channels and gives others: the dimensions of its `weight` that are those it reads and gives."""


def channels_of(spec: Spec, tensors: Mapping[str, Tensor]) -> list[Channels]:
    """All sets of channels of a spec's network, whose tensors these are by name."""
    search = _Search(frozenset(tensors))
    known: dict[Value, _Layout] = {value: _fixed(value, spec) for value in inputs_of(spec)}
    made = bodies(spec)
    for call in wired(spec):
        known[call.value] = search.called(call, made, [known[value] for value in call.reads])
    for task in spec.tasks:
        for part in known[Value.of_head(task.name)]:
            part.channels.whole().fixed = True
    return list(dict.fromkeys(each.whole() for each in search.found.values()))


def reordering(channels: Channels, order: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, dict[int, Tensor]]:
    """What brings a set of channels into another order: its old places, (size,)."""
    found: dict[str, dict[int, Tensor]] = {}
    for use in channels.uses:
        dims = found.setdefault(use.tensor, {})
        places = dims.get(use.dim, torch.arange(tensors[use.tensor].shape[use.dim]))
        inside = (order[:, None] * use.times + torch.arange(use.times)).flatten() + use.offset
        places = places.clone()
        places[use.offset : use.offset + len(inside)] = inside
        dims[use.dim] = places
    return found


def _fixed(value: Value, spec: Spec) -> _Layout:
    one = spec.data_of(min(value.tasks))
    return (_Part(Channels(_count(one.inputs[value.layer]), fixed=True)),)


def _count(shape: Shape) -> int:
    """Channels stand first in an image, last in tokens and features."""
    return shape[0] if len(shape) == 3 else shape[-1]


@attrs.define
class _Search:
    """Goes through the calls of a network in their order."""

    tensors: frozenset[str]
    found: dict[tuple[Copy, int], Channels] = attrs.field(factory=dict)
    """By the copy and the step that makes them."""
    reads: dict[tuple[str, int, int], Channels] = attrs.field(factory=dict)
    """By the tensor, its dimension and where they begin."""

    def called(self, call: Call, made: Mapping[Copy, Body], reads: Sequence[_Layout]) -> _Layout:
        """What a call gives. Of several copies, and of a gate, nothing is known."""
        if len(call.copies) != 1 or call.gate is not None:
            self._fix(reads)
            return (_Part(Channels(_count(call.shape), fixed=True)),)
        (copy,) = call.copies
        body = made[copy]
        names = module_names(body)
        known: dict[Reference, _Layout] = dict(zip(body.inputs, reads, strict=True))
        for place, (step, shapes) in enumerate(body.steps_with_shapes()):
            module = f"{copy.name}.{names[place]}" if place in names else ""
            known[place] = self._step(copy, place, step, shapes, module, [known[each] for each in step.inputs])
        return known[body.output]

    def _step(
        self, copy: Copy, place: int, step: Step, shapes: Sequence[Shape], module: str, reads: Sequence[_Layout]
    ) -> _Layout:
        operator = step.operator
        if operator in _DENSE and step.arguments.get("groups", 1) == 1:
            return self._dense(copy, place, step, module, reads[0])
        if operator in _PER_CHANNEL:
            self._per_channel(copy, step, module, reads[0])
            return reads[0]
        if operator in _ALIKE:
            return reads[0]
        if operator == "concat":
            return tuple(part for layout in reads for part in layout)
        if operator in ("add", "mul") and self._joined(reads):
            return reads[0]
        if operator == "flatten" and len(shapes[0]) != 2:
            return tuple(_Part(part.channels, part.times * prod(shapes[0][1:])) for part in reads[0])
        self._fix(reads)
        return (_Part(self._made(copy, place, _count(step.shape), fixed=True)),)

    def _made(self, copy: Copy, place: int, size: int, *, fixed: bool = False) -> Channels:
        """Those of a step of a copy, the same ones wherever it is called."""
        return self.found.setdefault((copy, place), Channels(size, fixed))

    def _dense(self, copy: Copy, place: int, step: Step, module: str, layout: _Layout) -> _Layout:
        reading, giving = _DENSE[step.operator]
        self._reads(copy, f"{module}.weight", reading, layout)
        known = (copy, place) in self.found
        made = self._made(copy, place, _count(step.shape))
        if not known:
            made.uses.append(Use(copy, f"{module}.weight", giving))
            if f"{module}.bias" in self.tensors:
                made.uses.append(Use(copy, f"{module}.bias", 0))
            made.modules.append((copy, module, _dim_of_output(step)))
        return (_Part(made),)

    def _per_channel(self, copy: Copy, step: Step, module: str, layout: _Layout) -> None:
        for name in _PER_CHANNEL[step.operator]:
            if f"{module}.{name}" in self.tensors:
                self._reads(copy, f"{module}.{name}", 0, layout)
        whole = layout[0].channels.whole()
        output = (copy, module, _dim_of_output(step))
        if len(layout) == 1 and layout[0].times == 1 and output not in whole.modules:
            whole.modules.append(output)

    def _reads(self, copy: Copy, tensor: str, dim: int, layout: _Layout) -> None:
        """A dimension of a tensor has the channels of a value; where it is read again, of the same ones."""
        offset = 0
        for part in layout:
            if (tensor, dim, offset) in self.reads:
                self.reads[tensor, dim, offset].join(part.channels)
            else:
                self.reads[tensor, dim, offset] = part.channels
                part.channels.whole().uses.append(Use(copy, tensor, dim, offset, part.times))
            offset += part.size

    def _joined(self, reads: Sequence[_Layout]) -> bool:
        """Make one of the sets of values that are joined channel by channel, where they have the same sizes."""
        sizes = {tuple((part.channels.size, part.times) for part in layout) for layout in reads}
        if len(sizes) > 1:
            return False
        for first, *others in zip(*reads, strict=True):
            for other in others:
                first.channels.join(other.channels)
        return True

    def _fix(self, reads: Sequence[_Layout]) -> None:
        for layout in reads:
            for part in layout:
                part.channels.whole().fixed = True


def _dim_of_output(step: Step) -> int:
    """Where a module has the channels of its output: of tokens last, but for those that torch wants channels first."""
    return -1 if len(step.shape) == 2 and step.operator in ("linear", "layer_norm") else 1
