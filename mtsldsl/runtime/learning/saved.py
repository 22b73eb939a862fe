"""A part of a training's state as what a checkpoint can hold: tensors by name, and facts that JSON can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from torch import Tensor

_JOINT = "/"
"""Between the keys that lead to a tensor. Those of mappings may have it too, such as the name of a parameter: the facts
have every mapping by its key, and a tensor's own key is what comes after the last joint."""


@attrs.frozen(eq=False)
class Saved:
    """Tensors by name; facts: strings, numbers, truth values, None, lists, and mappings by string of such."""

    tensors: Mapping[str, Tensor] = attrs.field(factory=dict)
    facts: Mapping[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Saved:
        """Nested mappings by string, with tensors and facts as their leaves.

        Raises ValueError where it could not be told again where a tensor is from: its own key has a `/`, or the keys
        that lead to two mappings are the same once `/` is between them.
        """
        tensors: dict[str, Tensor] = {}
        made = cls(tensors, _without_tensors(state, "", tensors))
        _by_path(made.facts)
        return made

    def state(self) -> dict[str, Any]:
        """The nested mappings again; tuples among the facts are lists now."""
        made = _copied(self.facts)
        places = _by_path(made)
        for path, tensor in self.tensors.items():
            before, joint, key = path.rpartition(_JOINT)
            places[before + joint][key] = tensor
        return made


def _without_tensors(state: Mapping[str, Any], path: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, Tensor):
            if _JOINT in key:
                raise ValueError(f"a tensor of a state cannot be called {key}")
            tensors[f"{path}{key}"] = value
        elif isinstance(value, Mapping):
            facts[key] = _without_tensors(value, f"{path}{key}{_JOINT}", tensors)
        else:
            facts[key] = value
    return facts


def _copied(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in facts.items()}


def _by_path(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """These and every mapping within them, by the keys that lead to it, each with the joint after it."""
    found: dict[str, Any] = {}
    wanted: list[tuple[str, Mapping[str, Any]]] = [("", facts)]
    while wanted:
        path, mapping = wanted.pop()
        if path in found:
            raise ValueError(f"two parts of a state are both called {path}")
        found[path] = mapping
        wanted += [(f"{path}{key}{_JOINT}", value) for key, value in mapping.items() if isinstance(value, Mapping)]
    return found
