"""How similar tasks' copies of layers are, by what a spec names; a file for each similarity, called as it is there.

Every one has `matrices(view, chosen, places)`. A place is a layer with the copies of it that are compared, as the
values that they give, and comes to a matrix (copies, copies) float64 on the CPU, symmetric, higher for what is more
similar.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TypeAlias

from torch import Tensor

from mtsldsl.ir.wiring import Value
from mtsldsl.methods.similarities import Chosen, comparable, name_of
from mtsldsl.runtime.structure.view import View

Place: TypeAlias = Sequence[Value]
"""The values of one layer that are compared, each of a copy of its own."""


def similarity_matrices(view: View, chosen: Chosen, places: Sequence[Place]) -> list[Tensor]:
    """The similarity of every two copies at every place. Tasks of one place are of one set of `comparable_tasks`.

    Training samples are drawn by the spec's seed, and computed in evaluation mode; nothing of the network changes.
    Raises MtlError MTL803 where something is not a finite number, MTL804 where there are too few samples.
    """
    found: list[Tensor] = import_module(f"{__name__}.{name_of(chosen)}").matrices(view, chosen, places)
    return found


def comparable_tasks(view: View, chosen: Chosen, tasks: Iterable[str]) -> list[frozenset[str]]:
    """The tasks, those together that can be compared: their inputs have one shape, and they are `comparable`."""
    sources = view.spec.sharing.sources
    return [part for side in view.comparable(tasks) for part in comparable(chosen, side, sources)]
