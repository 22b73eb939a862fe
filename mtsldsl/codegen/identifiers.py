"""Names of a spec as Python identifiers that hide nothing and never meet."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from keyword import iskeyword

from mtsldsl.sharing.component import component_name

TAKEN = frozenset(("self", "torch", "nn", "l"))
"""Local names that mean something else in the generated code, and the one that linters take for a digit."""

ALL = "ALL"
"""The constant that holds the key of what serves all tasks, where they are many."""

MANY = 8
"""More copies of a layer than these, or tasks, are not listed one by one."""

CLASSES_TAKEN = frozenset((ALL, "ALONE", "Calls", "F", "Model", "TASKS", "Tensor", "averaged", "mean_of"))


def whole(tasks: Sequence[str]) -> str | None:
    """The key of a copy that serves all tasks, where they are many."""
    return component_name(tasks) if len(tasks) > MANY else None


def tuple_of(names: Sequence[str]) -> str:
    """The names as a tuple in the generated code."""
    listed = [f'"{name}"' for name in names]
    return f"({', '.join(listed)}{',' if len(listed) == 1 else ''})"


def variable(name: str) -> str:
    """A local name for a name of the spec: lower case, with `_` after it where Python has that name already."""
    lower = name.lower()
    return f"{lower}_" if iskeyword(lower) or lower in TAKEN or hasattr(builtins, lower) else lower


def class_name(name: str, suffix: str = "") -> str:
    """The name of a class: `dec_1` becomes `Dec1`, with a suffix of `Head`: `Dec1Head`."""
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_")) + suffix
    return camel if camel[:1].isalpha() else f"Layer{camel}"


class Scope:
    """The names of one scope, each given once, none of those `taken` or `imported` before."""

    def __init__(self, taken: frozenset[str] = frozenset(), imported: frozenset[str] = frozenset()) -> None:
        self._imported = imported
        self._taken = set(taken | imported)

    def variable(self, name: str) -> str:
        """A local name that is still free, and now is not."""
        return self._free(variable(name), "_")

    def class_name(self, name: str, suffix: str = "") -> str:
        """A class name that is still free, and now is not."""
        chosen = class_name(name, suffix)
        hidden = hasattr(builtins, chosen) or chosen in CLASSES_TAKEN or chosen in self._imported
        return self._free(f"{chosen}Layer" if hidden else chosen, "Layer")

    def _free(self, name: str, joint: str) -> str:
        chosen, number = name, 1
        while chosen in self._taken:
            number += 1
            chosen = f"{name}{joint}{number}"
        self._taken.add(chosen)
        return chosen
