"""How similar tasks' copies of layers are, by what a spec names; a file for each similarity, called as it is there.

Every one has `matrices(view, chosen, places)`. A place is a layer with the copies of it that are compared, as the
values that they give, and comes to a matrix (copies, copies) float64 on the CPU, symmetric, higher for what is more
similar. One that is `of_features` alone has instead `seen(view, chosen, values)`, what it looks at of each value, and
`matrix(chosen, features)`, of some of these: so copies of two networks can be compared by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import TypeAlias

from torch import Tensor

from mtsldsl.ir.wiring import Value
from mtsldsl.methods.similarities import Chosen, comparable, name_of, of_features
from mtsldsl.runtime.structure.view import View

Place: TypeAlias = Sequence[Value]
"""The values of one layer that are compared, each of a copy of its own."""


def similarity_matrices(view: View, chosen: Chosen, places: Sequence[Place]) -> list[Tensor]:
    """The similarity of every two copies at every place. Tasks of one place are of one set of `comparable_tasks`.

    Training samples are drawn by the spec's seed, and computed in evaluation mode; nothing of the network changes.
    Raises MtlError MTL803 where something is not a finite number, MTL804 where there are too few samples.
    """
    module = _module(chosen)
    if not of_features(name_of(chosen)):
        found: list[Tensor] = module.matrices(view, chosen, places)
        return found
    features = module.seen(view, chosen, _all(places))
    return [module.matrix(chosen, [features[value] for value in place]).cpu() for place in places]


def ceilings(view: View, twin: View, chosen: Chosen, places: Sequence[Place]) -> list[list[float]]:
    """How similar the copies at every place are to those of the same names in the network of another view, each to its
    own: between two networks that differ in the seed alone, what a similarity can reach. It must be `of_features`."""
    module = _module(chosen)
    own, other = (module.seen(each, chosen, _all(places)) for each in (view, twin))
    return [[float(module.matrix(chosen, [own[each], other[each]])[0, 1]) for each in place] for place in places]


def _module(chosen: Chosen) -> ModuleType:
    return import_module(f"{__name__}.{name_of(chosen)}")


def _all(places: Sequence[Place]) -> list[Value]:
    return [value for place in places for value in place]


def comparable_tasks(view: View, chosen: Chosen, tasks: Iterable[str]) -> list[frozenset[str]]:
    """The tasks, those together that can be compared: their inputs have one shape, and they are `comparable`."""
    sources = view.spec.sharing.sources
    return [part for side in view.comparable(tasks) for part in comparable(chosen, side, sources)]
