"""A network of a spec filled with the weights of another library: part by part, in the order in which both compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.codegen.bodies import module_names
from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.ir import Spec
from mtsldsl.ir.body import Body, Parallel
from mtsldsl.ir.wiring import bodies
from mtsldsl.runtime.network.pretrained.source_parts import COUNT, Network, Part, Taken
from mtsldsl.sharing.component import HEADS


@attrs.frozen
class Filled:
    """The layers that have begun with the weights of a file, those that have not, and the names in the file, of whole
    parts, that no layer took: those of a classifier, and others."""

    network: str
    layers: Sequence[str]
    anew: Sequence[str]
    head: Sequence[str]
    left: Sequence[str]


@attrs.frozen
class _Place:
    """A module of a layer with weights: `tensors` are those of all copies of the layer."""

    layer: str
    operator: str
    module: str
    copies: Sequence[Mapping[str, Tensor]]

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return self.copies[0]

    def __str__(self) -> str:
        return f"`{self.layer}.{self.module}` ({self.operator})"


def networks_of(library: str) -> tuple[Network, ...]:
    """The kinds of networks whose names are known, of a library of `MAPS`."""
    found: tuple[Network, ...] = import_module(f"{__package__}.{library}_names").NETWORKS
    return found


def fill(
    spec: Spec,
    model: nn.Module,
    state: Mapping[str, Tensor],
    library: str,
    prefix: str = "",
    since: str | None = None,
    until: str | None = None,
) -> Filled:
    """Fill the layers of a network, in place, with the weights of a file that has the names of a library.

    `prefix` is what the names in the file begin with; all others are left. Layers are filled in their order, up to
    `until`, or as long as the file has something for them; all copies of a layer alike. Those before `since` begin
    anew, and the parts of the file that would fill them are left: the same operators, of whatever sizes.

    Raises:
        MtlError: MTL805 where the file is of no kind that is known, has what such a network has not, or does not go
            together with a layer: in the operator, its tensors, or their shapes. Then the network is as it was.
    """
    inside = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    network, found = _recognised(inside, library)
    parts = network.parts_of(found)
    known = {name for part in parts for name in part.names()}
    head = sorted(name for name in found if name not in known and network.is_head(name))
    unknown = sorted(found.keys() - known - set(head))
    if unknown:
        cause = f"the file has {named(unknown)}, which a {network.name} of {library} has not"
        raise MtlError.of("MTL805", cause, "take the file of a network that the library builds without changes")
    filler = _Filler(parts, found)
    layers = [layer.name for layer in spec.layers]
    first = 0 if since is None else layers.index(since)
    for number, layer in enumerate(_up_to(until, layers)):
        if not filler.rest:
            break
        filler.layer(layer, list(_places(spec, model, layer)), fills=number >= first)
    for end in (since, until):
        if end is not None and end not in filler.reached:
            raise _misfit(f"the file ends before `{end}`, with what is in {named(filler.met)}")
    if not filler.layers:
        raise _misfit(f"no layer of {_range(layers, since, until)} has weights")
    filler.write()
    anew = [name for name in dict.fromkeys(_with_weights(spec, model)) if name not in filler.layers]
    left = [f"{prefix}{part.name}" for part in (*filler.passed, *filler.rest)]
    left += [name for name in state if not name.startswith(prefix)]
    return Filled(network.name, filler.layers, anew, [f"{prefix}{each}" for each in head], left)


def _recognised(state: Mapping[str, Tensor], library: str) -> tuple[Network, dict[str, Tensor]]:
    """The kind of network that a file has, and its tensors without what their names may begin with."""
    kinds = networks_of(library)
    for network in kinds:
        for before in network.prefixes:
            if all(f"{before}{name}" in state for name in network.sign):
                return network, {name.removeprefix(before): value for name, value in state.items()}
    known = ", ".join(dict.fromkeys(network.name for network in kinds))
    cause = f"the names in the file, such as {named(sorted(state)[:3]) if state else 'none'}, are of no network of "
    remedy = f"of {library} there are {known}: see that `map` and `prefix` are those of the file"
    raise MtlError.of("MTL805", f"{cause}{library} that is known", remedy)


def _up_to(until: str | None, layers: Sequence[str]) -> Sequence[str]:
    return layers if until is None else layers[: layers.index(until) + 1]


def _range(layers: Sequence[str], since: str | None, until: str | None) -> str:
    return f"`{since or layers[0]}..{until or layers[-1]}`"


def _with_weights(spec: Spec, model: nn.Module) -> Iterator[str]:
    """The layers, for each of their copies that has weights."""
    return (copy.layer for copy in bodies(spec) if copy.layer != HEADS and model.get_submodule(copy.name).state_dict())


def _places(spec: Spec, model: nn.Module, layer: str) -> Iterator[_Place]:
    """The modules of a layer with weights, in the order in which they compute."""
    made: dict[str, Body] = {copy.name: body for copy, body in bodies(spec).items() if copy.layer == layer}
    if isinstance(spec.layer(layer).body, Parallel):
        cause = f"`{layer}` is a layer of alternatives, and the file has one for all"
        raise MtlError.of("MTL805", cause, "name a layer before it with `until`")
    body = next(iter(made.values()))
    for index, module in module_names(body).items():
        copies = [model.get_submodule(f"{name}.{module}").state_dict(keep_vars=True) for name in made]
        if copies[0]:
            yield _Place(layer, body.steps[index].operator, module, copies)


class _Filler:
    """Goes over the parts of a file, of which `rest` are still to be taken, and writes nothing before all fit."""

    def __init__(self, parts: Sequence[Part], state: Mapping[str, Tensor]) -> None:
        self.rest = list(parts)
        self.passed: list[Part] = []
        self.layers: list[str] = []
        self.reached: list[str] = []
        self.met: list[str] = []
        """The layers with weights that were reached, of which `layers` are filled."""
        self._state = state
        self._found: list[tuple[_Place, dict[str, Tensor]]] = []

    def layer(self, name: str, places: Sequence[_Place], *, fills: bool) -> None:
        """Take what a layer needs; pass over it where it is not to be filled."""
        for place in places:
            if not self.rest:
                cause = f"the file has nothing for {place}, and has weights for what is before it in the layer"
                raise _misfit(cause)
            part = self.rest.pop(0)
            if part.operator != place.operator:
                raise _misfit(f"{place} comes where the file has `{part.name}` ({part.operator})")
            if fills:
                self._found.append((place, self._tensors(place, part)))
            else:
                self.passed.append(part)
        self.reached.append(name)
        self.met += [name] if places else []
        self.layers += [name] if places and fills else []

    def _tensors(self, place: _Place, part: Part) -> dict[str, Tensor]:
        made: dict[str, Tensor] = {}
        for name, taken in part.tensors.items():
            missing = [each for each in taken.names if each not in self._state]
            if missing and name not in part.spare:
                them = "it" if len(missing) == 1 else "them"
                remedy = f"the file lacks {them}: take one that is whole, or name a layer before with `until`"
                raise MtlError.of("MTL805", f"the file has no {named(missing)}, and {place} needs {them}", remedy)
            if not missing:
                made[name] = _made(place, taken, [self._state[each] for each in taken.names])
        if part.operator == "conv2d" and "bias" in made and "bias" not in place.tensors:
            self._take_over(place, part, made.pop("bias"))
        for name, tensor in place.tensors.items():
            if name == COUNT and name not in made:
                continue
            if name not in made:
                raise _misfit(f"{place} has a {name}, and `{part.name}` in the file has none")
            if made[name].shape != tensor.shape:
                there, here = tuple(made[name].shape), tuple(tensor.shape)
                raise _misfit(f"`{part.name}` in the file has a {name} of {there}, and {place} one of {here}")
            if made[name].is_floating_point() != tensor.is_floating_point():
                raise _misfit(f"`{part.name}` in the file has numbers of the type {made[name].dtype}")
        extra = sorted(made.keys() - place.tensors.keys())
        if extra:
            raise _misfit(f"`{part.name}` in the file has {named(extra)}, and {place} has not")
        return made

    def _take_over(self, place: _Place, part: Part, bias: Tensor) -> None:
        """A bias before batch normalisation, which subtracts it with the mean: without it the mean is less by it."""
        after = self.rest[0] if self.rest else None
        mean = after.tensors["running_mean"].names[0] if after is not None and after.operator == "batch_norm" else None
        if mean is None or self._state.get(mean) is None or self._state[mean].shape != bias.shape:
            raise _misfit(f"`{part.name}` in the file has a bias, and {place} has none")
        self._state = {**self._state, mean: self._state[mean] - bias}

    @torch.no_grad()
    def write(self) -> None:
        """Put all that was taken into the network."""
        for place, made in self._found:
            for copy in place.copies:
                for name, tensor in made.items():
                    copy[name].copy_(tensor)


def _made(place: _Place, taken: Taken, tensors: Sequence[Tensor]) -> Tensor:
    try:
        return taken.made(*tensors)
    except (RuntimeError, IndexError) as problem:
        shapes = ", ".join(str(tuple(each.shape)) for each in tensors)
        raise _misfit(
            f"{named(taken.names)} in the file, of the shapes {shapes}, are not what {place} needs"
        ) from problem


def _misfit(cause: str) -> MtlError:
    remedy = (
        "build the layers of the blocks of the library, or name the first and the last layer that the file fills with "
        "`since` and `until`"
    )
    return MtlError.of("MTL805", cause, remedy)
