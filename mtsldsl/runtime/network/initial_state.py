"""Weights with which a new network begins: those of another, as far as both have the same layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.runtime.network.module_state import give_state
from mtsldsl.runtime.network.transfer import average_state
from mtsldsl.sharing import Copy
from mtsldsl.sharing.component import HEADS, module_name, owner


@attrs.frozen
class Beginning:
    """Which copies of layers and heads, by their names in the network, have begun with other weights, and why the rest
    has not."""

    taken: Sequence[str]
    anew: Mapping[str, str]


def begin_with(
    spec: Spec, model: nn.Module, before: Spec, state: Mapping[str, Tensor], only: Collection[str] | None = None
) -> Beginning:
    """Fill the network of a spec, in place, from the `state` of that of another; of its layers, and the heads of its
    tasks, `only` these, where some are named.

    A copy of a layer takes the mean of the copies of the layer of that name that its tasks had there, or of all where
    none of its tasks was there; a head that of the task of that name, and an alternative or a gate that of its own.
    What has other tensors there, or is not there, stays as it is.
    """
    taken, anew = [], {}
    filled: dict[str, Tensor] = {}
    own = model.state_dict()
    for name, formers in _formers(spec, model, before):
        wanted = _below(own, name)
        found = [each for each in (_below(state, former) for former in formers) if each]
        if not wanted:
            continue
        if only is not None and owner(name) not in only:
            anew[name] = "begins anew, as `init` says"
        elif not found:
            anew[name] = "is not there"
        elif any(_shapes(each) != _shapes(wanted) for each in found):
            anew[name] = "has other sizes there"
        else:
            taken.append(name)
            filled |= {f"{name}.{part}": value for part, value in average_state(found).items()}
    give_state(model, filled, whole=False)
    return Beginning(taken, anew)


def _formers(spec: Spec, model: nn.Module, before: Spec) -> Iterator[tuple[str, list[str]]]:
    """Each part of the network by its name, and the names of those that it takes its weights from."""
    for layer in spec.backbone.layers:
        if spec.backbone.alternatives(layer) or layer not in before.backbone or before.backbone.alternatives(layer):
            names = [module_name(layer, name) for name, _ in model.get_submodule(layer).named_children()]
            yield from ((name, [name]) for name in names)
            continue
        there = before.sharing.partition(layer)
        for component in spec.sharing.partition(layer):
            formers = [each for each in there if each & component] or there
            yield Copy(layer, component).name, [Copy(layer, each).name for each in formers]
    for task, _ in model.get_submodule(HEADS).named_children():
        head = module_name(HEADS, task)
        yield head, [head]


def _below(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}
