"""The modules of a network that have weights of their own, and the one place that spells their names."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing.partition import Component

HEADS = "heads"
"""Stands for the layer in the copy that is a task's head."""


GATE = "gate"
"""What the gate of a task is called, with the task in parentheses."""

JOINT = "+"
"""Between the tasks of a copy."""


def component_name(tasks: Iterable[str]) -> str:
    """What the copy that serves these tasks is called among those of its layer: `depth+normal`."""
    return JOINT.join(sorted(tasks))


def component_expression(tasks: str) -> str:
    """The same as Python, for the tasks that an expression gives."""
    return f'"{JOINT}".join(sorted({tasks}))'


def gate_name(task: str) -> str:
    """What the gate of a task is called among the copies of the layer whose alternatives it weighs: `gate(depth)`."""
    return f"{GATE}({task})"


def helper_name(task: str, served: Iterable[str]) -> str:
    """What the head of a task is called in a group that it helps, by whom that serves: `depth(edge+normal)`."""
    return f"{task}({component_name(served)})"


def helping_task(name: str) -> str:
    """The task that has a head of that name, also where that is one in a group that it helps."""
    return name.partition("(")[0]


NETWORK = "network"
"""What a network is called that a learner of sharing trains, among what it learns."""

LEARNER = "learner"
"""What a learner of sharing is called among what a run learns."""


def owner(name: str) -> str:
    """The layer that a parameter of a network belongs to by its name, or the task whose head has it; of a network that
    a learner trains too."""
    if name.startswith(f"{LEARNER}."):
        name = name.partition(f".{NETWORK}.")[2] or name
    layer, _, rest = name.partition(".")
    return helping_task(rest.partition(".")[0]) if layer == HEADS else layer


def module_name(layer: str, key: str) -> str:
    """The name in the network of the copy of a layer, or of `heads`, that has this name among the layer's copies."""
    return f"{layer}.{key}"


@attrs.frozen(eq=False, repr=False)
class Copy(Record):
    """A copy of a layer with weights of its own, for the tasks that share it, or an alternative of it, for the tasks
    that use it, or the gate by which one task weighs the alternatives; or, of `heads`, the head of one task."""

    layer: str
    component: Component
    alternative: str | None = None
    gate: bool = False

    @classmethod
    def head(cls, task: str) -> Copy:
        """The head of a task, or of a helper by its name."""
        return cls(HEADS, frozenset((task,)))

    @classmethod
    def holding(cls, name: str) -> Copy:
        """The copy that a module or tensor of the network belongs to, by its name: `enc1.depth+normal.conv1.weight`.
        Not for layers of alternatives, whose names do not say which tasks use them.

        Raises ValueError where the name has no part for the tasks.
        """
        layer, tasks, *_ = name.split(".")
        return cls.head(tasks) if layer == HEADS else cls(layer, frozenset(tasks.split(JOINT)))

    def holds(self, name: str) -> bool:
        """Whether a module or tensor of that name in the network belongs to it."""
        return f"{name}.".startswith(f"{self.name}.")

    @property
    def key(self) -> str:
        """Its name among the copies of its layer."""
        tasks = component_name(self.component)
        return gate_name(tasks) if self.gate else self.alternative or tasks

    @property
    def name(self) -> str:
        """Its name in the network, under which its modules and tensors stand: `enc1.depth+normal`, `mix1.conv3`,
        `mix1.gate(depth)`, `heads.depth`."""
        return module_name(self.layer, self.key)
