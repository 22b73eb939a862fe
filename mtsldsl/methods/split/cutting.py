"""Where what tasks share is split, by the cosines of their gradients: no network, and no torch.

A layer is split along sets of tasks that all layers which read it keep apart already, so that what comes out is a
sharing. Layers are gone through from the heads to the input, as Lu et al. (2017) widen a network: a split that makes
one above it possible comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

import attrs
import numpy as np

from mtsldsl.sharing import Component, Partition, Sharing, linked
from mtsldsl.sharing import partition as sets
from mtsldsl.sharing.grouping import best_partition

Cosines: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
"""(epochs, T, T): the mean cosine of two tasks' gradients on a layer in each of the last epochs; NaN where there is
none. Tasks are in the order of the sharing."""


@attrs.frozen
class Cut:
    """Tasks that leave the copy of a layer that they share with others, and the mean cosine with these."""

    layer: str
    tasks: Component
    cosine: float


@attrs.frozen
class Cuts:
    """The sharing after all cuts, these in the order in which they apply, and the layers at which one was left out
    because the network would be too large."""

    sharing: Sharing
    made: tuple[Cut, ...]
    beyond: frozenset[str]


def decide_cuts(
    sharing: Sharing,
    cosines: Mapping[str, Cosines],
    threshold: float,
    *,
    weightless: Collection[str] = (),
    read_by: Mapping[str, Component] | None = None,
    affordable: Callable[[Sharing], bool] = lambda _: True,
) -> Cuts:
    """Split every component whose two sides conflicted in each of the epochs: with a mean cosine between them below the
    `threshold`. The sides are the two sets of tasks that agree most inside, a task alone as much as the threshold
    (`best_partition`); each is then looked at again. Of several cuts at a layer the strongest conflict comes first.

    Layers without weights have no gradient: they are split as soon as what they read is. So are tasks from the others
    at layers that they do not read; `read_by` has for each layer those that do, by default all.
    """
    everybody = dict.fromkeys(sharing.backbone.layers, frozenset(sharing.tasks))
    holds = _Holds(weightless, {**everybody, **(read_by or {})})
    made: list[Cut] = []
    beyond = set[str]()
    for layer in reversed(sharing.backbone.layers):
        row = sharing[layer]
        if layer in weightless or layer not in cosines or not isinstance(row, Partition):
            continue
        waiting = [cut for each in row for cut in _cut(sharing, layer, each, cosines[layer], threshold, holds)]
        while waiting:
            cut = min(waiting, key=lambda each: each.cosine)
            waiting.remove(cut)
            rest = sharing.component(layer, min(cut.tasks)) - cut.tasks
            steps = list(_steps(sharing, cut, holds))
            after = sharing
            for step in steps:
                after = after.split(step.layer, step.tasks)
            if not affordable(after):
                beyond.add(layer)
                continue
            sharing = after
            made += steps
            for side in (cut.tasks, rest):
                waiting += _cut(sharing, layer, side, cosines[layer], threshold, holds)
    return Cuts(sharing, tuple(made), frozenset(beyond))


@attrs.frozen
class _Holds:
    """What does not hold tasks together: layers that are `weightless`, and at each layer tasks that do not read it."""

    weightless: Collection[str]
    read_by: Mapping[str, Component]


def _cut(
    sharing: Sharing,
    layer: str,
    component: Component,
    cosines: Cosines,
    threshold: float,
    holds: _Holds,
) -> Iterator[Cut]:
    """The cut of a component, where its two sides conflict. Tasks that do not read the layer are on neither."""
    blocks = sorted(_blocks(sharing, layer, component, holds), key=min)
    if len(blocks) < 2:
        return
    place = {task: index for index, task in enumerate(sharing.tasks)}
    similarity = np.zeros((len(blocks), len(blocks)))
    for i, one in enumerate(blocks):
        for j, other in enumerate(blocks[:i]):
            mean = _mean(_between(cosines, one, other, place))
            similarity[i, j] = similarity[j, i] = 0.0 if mean is None else mean - threshold
    sides = [frozenset[str]().union(*(blocks[index] for index in group)) for group in best_partition(similarity, 2)]
    if len(sides) < 2:
        return
    stays, leaves = sorted(sides, key=lambda side: min(map(place.__getitem__, side)))
    between = _between(cosines, stays, leaves, place)
    means = [_mean(epoch) for epoch in between]
    if all(mean is not None and mean < threshold for mean in means):
        cosine = _mean(between)
        assert cosine is not None
        yield Cut(layer, leaves, cosine)


def _between(
    cosines: Cosines, one: Component, other: Component, place: Mapping[str, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The cosines of all pairs of the two sides, (epochs, pairs)."""
    rows, columns = (sorted(map(place.__getitem__, side)) for side in (one, other))
    return cosines[:, rows][:, :, columns].reshape(len(cosines), -1)


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _blocks(sharing: Sharing, layer: str, component: Component, holds: _Holds) -> list[Component]:
    """The sets of tasks of a component, of those that read the layer, that what reads it does not keep apart."""
    kept: list[Component] = [frozenset((task,)) for task in component & holds.read_by[layer]]
    for reader in sharing.backbone.readers(layer):
        for whole in sharing.partition(reader):
            parts: Iterable[Component] = [whole & holds.read_by[reader]]
            if reader in holds.weightless:
                parts = _blocks(sharing, reader, whole, holds)
            kept += [side & component for part in parts for side in sets.parted(part, sharing.sources)]
    return linked(each for each in kept if each)


def _steps(sharing: Sharing, cut: Cut, holds: _Holds) -> Iterator[Cut]:
    """The cut, after the same of the layers that read the layer, as far as they are still shared: those without
    weights, and those that tasks of the one side or the other do not read."""
    rest = sharing.component(cut.layer, min(cut.tasks)) - cut.tasks
    for reader in sharing.backbone.readers(cut.layer):
        for component in sharing.partition(reader):
            parts = [component] if reader in holds.weightless else sets.parted(component, sharing.sources)
            if any(part & cut.tasks and part & rest for part in parts):
                yield from _steps(sharing, attrs.evolve(cut, layer=reader, tasks=component & cut.tasks), holds)
    yield cut
