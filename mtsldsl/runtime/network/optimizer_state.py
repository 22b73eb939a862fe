"""The state of an optimizer by the names of its parameters: saved, loaded, and carried over a change of structure.

torch keeps it by the position of a parameter, which a merge shifts. By name a survivor keeps its moments bit for bit,
whatever was added or removed around it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.network.averaging import mean

NamedParameters: TypeAlias = Mapping[str, nn.Parameter] | Iterable[tuple[str, nn.Parameter]]
ParameterState: TypeAlias = dict[str, Any]
"""Of one parameter: `step` and moments such as `exp_avg`; tensors, numbers or None."""

_IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable")  # how to compute, not what: of each optimizer
_PARAMETERS = ("params", "param_names")


def parameter_state(optimizer: Optimizer, parameters: NamedParameters) -> dict[str, ParameterState]:
    """The state of each parameter that has one, by name: copies, which later steps do not change."""
    return {
        name: {key: value.detach().clone() if isinstance(value, Tensor) else value for key, value in state.items()}
        for name, parameter in dict(parameters).items()
        if (state := optimizer.state.get(parameter))
    }


def named_optimizer_state(optimizer: Optimizer, parameters: NamedParameters) -> dict[str, dict[str, Any]]:
    """All that a checkpoint needs of an optimizer: nested dictionaries by string of tensors and plain values.

    `state` is `parameter_state`; `groups` has, by number, each group's options (learning rate and so on) and the
    names of its parameters.
    """
    names = {parameter: name for name, parameter in dict(parameters).items()}
    groups = {
        str(index): {**_options(group), "names": [names[parameter] for parameter in group["params"]]}
        for index, group in enumerate(optimizer.param_groups)
    }
    return {"state": parameter_state(optimizer, parameters), "groups": groups}


def load_named_state(optimizer: Optimizer, parameters: NamedParameters, saved: Mapping[str, Mapping[str, Any]]) -> None:
    """Give a fresh optimizer the state and the options of `named_optimizer_state`.

    Raises MtlError MTL805 where the parameters, or their grouping, are others than those that were saved.
    """
    named = dict(parameters)
    now = {group: options["names"] for group, options in named_optimizer_state(optimizer, named)["groups"].items()}
    if now != {group: options["names"] for group, options in saved["groups"].items()}:
        known = {name for options in saved["groups"].values() for name in options["names"]}
        odd = sorted(known.symmetric_difference(named))
        cause = f"the first of {len(odd)} that only one of them has is `{odd[0]}`" if odd else "their groups differ"
        raise MtlError.of(
            "MTL805",
            f"the saved state is of an optimizer of other parameters: {cause}",
            "use the spec that stands beside the checkpoint",
        )
    for index, group in enumerate(optimizer.param_groups):
        options = {key: value for key, value in saved["groups"][str(index)].items() if key != "names"}
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        for key, value in options.items():
            _hold_option(key, value, group.get(key))
        group.update(options)
    for name, state in saved["state"].items():
        for key, value in state.items():
            _hold_state(f"{name}/{key}", value, named[name])
    set_parameter_state(optimizer, named, saved["state"])


def _hold_option(key: str, value: Any, usual: Any) -> None:
    """Raise ValueError where an option of a group is of another kind than what an optimizer has there, or no number
    that it can be."""
    parts, others = (each if isinstance(each, tuple) else (each,) for each in (value, usual))
    numbers = all(isinstance(each, (int, float)) and math.isfinite(each) and each >= 0 for each in parts)
    if usual is not None and len(parts) == len(others) and isinstance(others[0], (int, float)):
        alike = numbers and (isinstance(value, bool) == isinstance(usual, bool))
    else:
        alike = usual is None or type(value) is type(usual)
    if not alike:
        raise ValueError(f"the option `{key}` of the optimizer is {value!r}")


def _hold_state(name: str, value: Any, parameter: nn.Parameter) -> None:
    """Raise ValueError where the state of a parameter is of another kind than what an optimizer keeps."""
    if isinstance(value, Tensor):
        fits = value.ndim == 0 or (
            value.ndim == parameter.ndim
            and all(one in (1, other) for one, other in zip(value.shape, parameter.shape, strict=True))
        )
        if not (fits and value.is_floating_point()):  # squares of large gradients may be no finite numbers
            raise ValueError(f"the state `{name}` of the optimizer is none that it has")
    elif value is not None and not (isinstance(value, (int, float)) and math.isfinite(value)):
        raise ValueError(f"the state `{name}` of the optimizer is {value!r}")


def set_parameter_state(
    optimizer: Optimizer, parameters: NamedParameters, states: Mapping[str, Mapping[str, Any]]
) -> None:
    """Give parameters, by name, the state of `parameter_state`; the others keep theirs."""
    named = dict(parameters)
    groups = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    for name, state in states.items():
        parameter = named[name]
        on_device = any(groups[parameter].get(key) for key in ("capturable", "fused"))
        optimizer.state[parameter] = {
            key: _placed(value, parameter, on_device) if isinstance(value, Tensor) else value
            for key, value in state.items()
        }


def _placed(value: Tensor, parameter: nn.Parameter, on_device: bool) -> Tensor:
    """A copy where the optimizer wants it: moments on the parameter's device, and laid out in memory as the parameter
    is, which fused kernels rely on; a step count there only for kernels that read it there."""
    if value.shape == parameter.shape and value.ndim:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    device = parameter.device if on_device or value.ndim else torch.device("cpu")
    return value.detach().clone().to(device)


def carry_optimizer_state(
    old_optimizer: Optimizer,
    old_parameters: NamedParameters,
    new_optimizer: Optimizer,
    new_parameters: NamedParameters,
    merged_parameters: Mapping[str, Sequence[str]],
) -> None:
    """Go on with a new optimizer of an evolved network where the old one stopped.

    A parameter whose name survives keeps its state bit for bit. One of `merged_parameters` (new name -> the members'
    names) gets the mean of its members' state, moments and `step` alike, where a member that never had a gradient
    counts as zero; a new one without members starts afresh. Options of the groups, `lr` and `initial_lr` among them,
    are those of the group that the parameters come from, of a group without any those of the one in its place, so that
    a new scheduler with the old one's `state_dict` goes on where that stopped: make and load the scheduler first, as
    making one sets the rate. Raises ValueError where a new group's parameters come from several old groups.
    """
    old_named, new_named = dict(old_parameters), dict(new_parameters)
    members = {name: merged_parameters.get(name, [name] if name in old_named else []) for name in new_named}
    group_of = {
        parameter: index for index, group in enumerate(old_optimizer.param_groups) for parameter in group["params"]
    }
    new_names = {parameter: name for name, parameter in new_named.items()}
    for place, group in enumerate(new_optimizer.param_groups):
        names = [new_names[parameter] for parameter in group["params"]]
        indices = {group_of[old_named[member]] for name in names for member in members[name]}
        if len(indices) > 1:
            raise ValueError(f"the parameters of one group come from {len(indices)} groups, the first is {names[0]}")
        if not names and place < len(old_optimizer.param_groups):
            indices = {place}
        for index in indices:
            group.update(_options(old_optimizer.param_groups[index]))
    old_states = parameter_state(old_optimizer, old_named)
    states = {name: _mean_state([old_states.get(member, {}) for member in found]) for name, found in members.items()}
    set_parameter_state(new_optimizer, new_named, {name: state for name, state in states.items() if state})


def _mean_state(members: Sequence[ParameterState]) -> ParameterState:
    """The mean of the members' state, key by key; of one member, that state itself."""
    if len(members) == 1:
        return members[0]
    keys = dict.fromkeys(key for member in members for key in member)
    return {key: _mean_value([member.get(key) for member in members]) for key in keys}


def _mean_value(values: Sequence[Any]) -> Any:
    known = [value for value in values if value is not None]
    if not known:
        return None
    if isinstance(known[0], Tensor):
        return mean([torch.zeros_like(known[0]) if value is None else value for value in values])
    return sum(known) / len(values)


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    """A group's options but for its parameters and for how its steps are computed."""
    left_out = (*_IMPLEMENTATION, *_PARAMETERS)
    return {
        key: value.detach().clone() if isinstance(value, Tensor) else value
        for key, value in group.items()
        if key not in left_out
    }
