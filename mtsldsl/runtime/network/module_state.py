"""The state of a module: as a safetensors file takes it, which values no file takes, and given to another module."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors.torch import save
from torch import Tensor, nn

_EXTRA = "_extra_state"
"""The last part of the name of what `get_extra_state` of a module gives: torch's word."""


def stored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by name on the CPU, one after the other in memory, each with numbers of its own: a file has what
    several names stand for once for each, such as tied weights and views of one buffer."""
    found, seen = {}, set()
    for name, value in state.items():
        plain = value.detach().to("cpu").contiguous()
        memory = plain.untyped_storage().data_ptr()
        found[name] = plain.clone() if memory in seen else plain
        seen.add(memory)
    return found


def refused_by_files(name: str, value: object) -> str | None:
    """Why a value of a state cannot be stored under its name; None where it can."""
    if not isinstance(value, Tensor):
        return f"it is a {type(value).__name__}, and no tensor"
    if value.layout is not torch.strided or value.is_nested or value.is_meta:
        return "its numbers do not stand one after the other"
    try:
        save({name: torch.empty(0, dtype=value.dtype)})
    except KeyError:
        return f"its numbers are of the type {str(value.dtype).removeprefix('torch.')}"
    except UnicodeEncodeError:
        return "no text can say its name"
    return None


def is_extra(name: str) -> bool:
    """Whether a name in a state is of what `get_extra_state` of a module gives."""
    return name.rpartition(".")[2] == _EXTRA


def give_state(module: nn.Module, state: Mapping[str, Tensor], *, whole: bool = True) -> None:
    """Let a module have copies of these tensors by name, of all that it has, or of some where it need not be `whole`.

    torch copies parameters and buffers; what `set_extra_state` is given it may keep as it is, and change later.
    """
    own = {name: value.clone() if is_extra(name) else value for name, value in state.items()}
    module.load_state_dict(own, strict=whole)


def give_extra_states(module: nn.Module, source: nn.Module) -> None:
    """Let a module have what `get_extra_state` gives of another of the same class."""
    for own, other in zip(module.modules(), source.modules(), strict=True):
        if type(other).get_extra_state is not nn.Module.get_extra_state:
            own.set_extra_state(other.get_extra_state().clone())
