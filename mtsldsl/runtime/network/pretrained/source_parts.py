"""What the tables of other libraries' names are made of: parts of a network in the order in which they compute.

A part stands for one operator of the language that has weights, and says by what names a file holds its tensors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs
import torch
from torch import Tensor

Made: TypeAlias = Callable[..., Tensor]
"""Makes a tensor of the language's operator from those of a file."""


COUNT = "num_batches_tracked"
"""What a batch normalisation counts and does not need."""


def same(tensor: Tensor) -> Tensor:
    """The tensor as it is."""
    return tensor


def stacked(*tensors: Tensor) -> Tensor:
    """Several beside each other, as `torch.nn.MultiheadAttention` has the maps to queries, keys and values."""
    return torch.cat(tensors)


def without_first(position: Tensor) -> Tensor:
    """The embeddings of places (1, 1 + n, c) of the patches alone (1, n, c): the first is the class token's."""
    return position[:, 1:]


def at_first(token: Tensor, position: Tensor) -> Tensor:
    """A class token (1, 1, c) with the embedding of its place, which is added to it always."""
    return token + position[:, :1]


@attrs.frozen
class Taken:
    """From which tensors of a file one is made, and how."""

    names: tuple[str, ...]
    made: Made = same


@attrs.frozen
class Part:
    """An operator with weights. `tensors` are by their names in its module here. `dimensions` are those of the first of
    them in the file, by which parts are told apart that have the same names; the tensors that are `spare` may be
    absent."""

    operator: str
    tensors: Mapping[str, Taken]
    dimensions: int | None = None
    spare: Collection[str] = ()

    def below(self, prefix: str) -> Part:
        """The part where all names begin with a prefix."""
        tensors = {
            name: attrs.evolve(taken, names=tuple(f"{prefix}{each}" for each in taken.names))
            for name, taken in self.tensors.items()
        }
        return attrs.evolve(self, tensors=tensors)

    @property
    def first(self) -> str:
        """The name in the file of the tensor that it cannot be without."""
        return next(iter(self.tensors.values())).names[0]

    @property
    def name(self) -> str:
        """What the file calls it."""
        return self.first.removesuffix(".weight")

    def names(self) -> Iterator[str]:
        """All its names in a file."""
        for taken in self.tensors.values():
            yield from taken.names

    def is_in(self, state: Mapping[str, Tensor]) -> bool:
        """Whether a file has it."""
        found = state.get(self.first)
        return found is not None and self.dimensions in (None, found.dim())


def _plain(operator: str, name: str, tensors: Sequence[str], dimensions: int, spare: Collection[str]) -> Part:
    lead = f"{name}." if name else ""
    return Part(operator, {each: Taken((f"{lead}{each}",)) for each in tensors}, dimensions, spare)


def conv2d(name: str = "") -> Part:
    """A convolution of that name."""
    return _plain("conv2d", name, ("weight", "bias"), 4, ("bias",))


def linear(name: str) -> Part:
    """A linear map of that name."""
    return _plain("linear", name, ("weight", "bias"), 2, ("bias",))


def layer_norm(name: str) -> Part:
    """A layer normalisation of that name."""
    return _plain("layer_norm", name, ("weight", "bias"), 1, ())


def batch_norm(name: str = "") -> Part:
    """A batch normalisation of that name, with its statistics."""
    return _plain("batch_norm", name, ("weight", "bias", "running_mean", "running_var", COUNT), 1, (COUNT,))


def attention(inward: Sequence[str], outward: str) -> Part:
    """Self-attention: `inward` are the maps to queries, keys and values, together or in this order."""
    made = same if len(inward) == 1 else stacked
    tensors = {f"in_proj_{each}": Taken(tuple(_joined(name, each) for name in inward), made) for each in _PAIR}
    return Part("attention", tensors | {f"out_proj.{each}": Taken((_joined(outward, each),)) for each in _PAIR})


_PAIR = ("weight", "bias")


def _joined(name: str, tensor: str) -> str:
    """`qkv.weight`; what ends in an underscore is torch's own, `in_proj_weight`."""
    return f"{name}{tensor}" if name.endswith("_") else f"{name}.{tensor}"


def patch_embed(name: str, position: str, *, class_token: bool = True) -> Part:
    """The tokens of an image; with a class token, the embedding of whose place is the first of `position`."""
    places = Taken((position,), without_first if class_token else same)
    return Part(
        "patch_embed", {f"projection.{each}": Taken((f"{name}.{each}",)) for each in _PAIR} | {"position": places}
    )


def class_token(name: str, position: str) -> Part:
    """The class token."""
    return Part("class_token", {"token": Taken((name, position), at_first)})


@attrs.frozen
class Network:
    """A kind of network of a library: what comes first, blocks of parts, and what comes last.

    A file is of the kind where it has all names of `sign`. `blocks` are the names of the blocks before those of their
    parts, with `#` for a number; a block has those of its `parts` that are in the file. `head` are the beginnings of
    names that belong to what comes after: a classifier. The names in a file may have one of the `prefixes`.
    """

    name: str
    sign: tuple[str, ...]
    first: tuple[Part, ...]
    blocks: str
    parts: tuple[Part, ...]
    last: tuple[Part, ...] = ()
    head: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ("",)

    def parts_of(self, state: Mapping[str, Tensor]) -> list[Part]:
        """All parts that a file has, in the order in which they compute."""
        pattern = re.compile(re.escape(self.blocks).replace(r"\#", "#").replace("#", "([0-9]{1,6})"))
        found = {match.group(): match.groups() for match in map(pattern.match, state) if match}
        blocks = sorted(found, key=lambda block: tuple(map(int, found[block])))
        inner = [part.below(block) for block in blocks for part in self.parts]
        return [part for part in (*self.first, *inner, *self.last) if part.is_in(state)]

    def is_head(self, name: str) -> bool:
        """Whether a name in a file belongs to what comes after the network."""
        return any(name == each or name.startswith(f"{each}.") for each in self.head)
