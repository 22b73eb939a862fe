"""Weights and buffers of an evolved network from those of the network it came from, found by name.

What survives is copied bit for bit. A new copy of a layer gets the mean of its members: of their weights, and of the
statistics of their batch normalisations as if their samples had been seen by one. After a split each new copy has one
member, and is that bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.averaging import mean, widened
from mtsldsl.runtime.network.module_state import give_state
from mtsldsl.sharing import Copy, Sharing

State: TypeAlias = Mapping[str, Tensor]
Transfer: TypeAlias = Callable[[Sequence[State], Sequence[int] | None], State]
"""Makes a new component's state from its members' and the number of tasks that each of them served."""

Members: TypeAlias = Mapping[Copy, Sequence[Copy]]
"""For each new copy of a layer the copies of the former network that it comes from."""


def average_state(members: Sequence[State], counts: Sequence[int] | None = None) -> dict[str, Tensor]:
    """The mean of the members' states, tensor by tensor, weighted by `counts` (equally where None).

    Batch normalisations, known by the names of their buffers: `running_mean` is the mean of the means, `running_var`
    the mean of the variances plus the variance of the means (law of total variance), `num_batches_tracked` the largest.
    Members that are equal give themselves bit for bit; their order does not matter; and, with the number of members
    that each stands for as counts, neither does how they are nested. Raises ValueError where the members have other
    names or shapes, or there is none, or a count is not positive.
    """
    if not members:
        raise ValueError("there are no members to average")
    if counts is not None and (len(counts) != len(members) or min(counts) < 1):
        raise ValueError(f"{list(counts)} are no counts for {len(members)} members")
    if len(members) == 1:
        return dict(members[0])
    for member in members[1:]:
        if {name: value.shape for name, value in member.items()} != {n: v.shape for n, v in members[0].items()}:
            raise ValueError("the members are not copies of the same layer: their tensors differ in name or shape")
    state = {}
    for name in members[0]:
        values = [member[name] for member in members]
        means_name = name.removesuffix("running_var") + "running_mean"
        if name.endswith("running_var") and means_name in members[0]:
            means = [widened(member[means_name]) for member in members]
            middle = mean(means, counts)
            total = [widened(value) + (own - middle).square() for value, own in zip(values, means, strict=True)]
            state[name] = mean(total, counts).to(values[0])
        else:
            state[name] = mean(values, counts)
    return state


def origins(old: Sharing, new: Sharing) -> dict[Copy, tuple[Copy, ...]]:
    """The copies of layers, and heads, that `new` has and `old` has not, each with those of `old` that it comes from.

    Those are the members of a merge; of a split, the one component that was split. An alternative comes from none but
    itself. The head of a task in a group that it helps comes from the task's own.
    """
    heads = {Copy.head(each.name): (Copy.head(each.task),) for each in new.helpers if each not in old.helpers}
    return heads | {
        Copy(layer, component): tuple(Copy(layer, former) for former in old.partition(layer) if former & component)
        for layer in new.backbone.layers
        if not new.backbone.alternatives(layer)
        for component in new.partition(layer)
        if component not in old.partition(layer)
    }


def carry_state(
    old_spec: Spec,
    new_spec: Spec,
    old_model: nn.Module,
    new_model: nn.Module,
    merged: Members | None = None,
    transfer: Transfer = average_state,
) -> None:
    """Fill `new_model` from `old_model`: what has the same name bit for bit, new components by `transfer`.

    `merged` says what each new component comes from; by default that follows from the two specs' sharings. Members
    count by their tasks. Raises MtlError MTL805 where a tensor of the new network comes from nowhere, or has another
    shape.
    """
    members = origins(old_spec.sharing, new_spec.sharing) if merged is None else merged
    old_state, new_state = old_model.state_dict(), new_model.state_dict()
    carried: dict[str, Tensor] = {name: value for name, value in old_state.items() if name in new_state}
    for copy, formers in members.items():
        states = [_below(old_state, former) for former in formers]
        made = transfer(states, [len(former.component) for former in formers])
        carried |= {f"{copy.name}.{name}": value for name, value in made.items()}
    for name, target in new_state.items():
        if name not in carried or carried[name].shape != target.shape:
            problem = "is not in the network before" if name not in carried else "has another shape than before"
            raise MtlError.of(
                "MTL805",
                f"the evolved network's `{name}` {problem}",
                "the two specs must differ in their sharing alone",
            )
    give_state(new_model, {name: carried[name] for name in new_state})


@torch.no_grad()
def give_back_buffers(model: nn.Module, old_model: nn.Module, members: Members) -> None:
    """Undo `carry_state` for what layers keep beside their weights: what `model` has now goes to the network that it
    was filled from, of a new copy to each of its members."""
    old = dict(old_model.named_buffers())
    new = tuple(f"{copy.name}." for copy in members)
    back = {name: [name] for name, _ in model.named_buffers() if not name.startswith(new)}
    for copy, formers in members.items():
        for rest, _ in model.get_submodule(copy.name).named_buffers():
            back[f"{copy.name}.{rest}"] = [f"{former.name}.{rest}" for former in formers]
    for name, value in model.named_buffers():
        for former in back[name]:
            old[former].copy_(value)


def merged_parameters(new_model: nn.Module, merged: Members) -> dict[str, list[str]]:
    """For each parameter of the new components, by name, the names of its members' in the network before."""
    names = {}
    for copy, formers in merged.items():
        for rest, _ in new_model.get_submodule(copy.name).named_parameters():
            names[f"{copy.name}.{rest}"] = [f"{former.name}.{rest}" for former in formers]
    return names


def _below(state: State, copy: Copy) -> dict[str, Tensor]:
    """The tensors of one copy of a layer, named as its module names them."""
    prefix = f"{copy.name}."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
