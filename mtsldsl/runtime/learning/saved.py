"""A part of a training's state as what a checkpoint can hold: tensors by name, and facts that JSON can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from torch import Tensor

_JOINT = "/"
"""Between the keys that lead to a tensor; no name of a parameter has it."""


@attrs.frozen(eq=False)
class Saved:
    """Tensors by name; facts: strings, numbers, truth values, None, lists, and mappings by string of such."""

    tensors: Mapping[str, Tensor] = attrs.field(factory=dict)
    facts: Mapping[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Saved:
        """Nested mappings by string, with tensors and facts as their leaves."""
        tensors: dict[str, Tensor] = {}
        return cls(tensors, _without_tensors(state, "", tensors))

    def state(self) -> dict[str, Any]:
        """The nested mappings again; tuples among the facts are lists now."""
        made = _copied(self.facts)
        for path, tensor in self.tensors.items():
            *keys, last = path.split(_JOINT)
            place = made
            for key in keys:
                place = place.setdefault(key, {})
            place[last] = tensor
        return made


def _without_tensors(state: Mapping[str, Any], path: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, Tensor):
            tensors[f"{path}{key}"] = value
        elif isinstance(value, Mapping):
            facts[key] = _without_tensors(value, f"{path}{key}{_JOINT}", tensors)
        else:
            facts[key] = value
    return facts


def _copied(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in facts.items()}
