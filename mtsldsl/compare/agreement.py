"""The consensus of several runs as one spec: the sharing that most of them agree on, in the text of the first.

Layer by layer, two components are joined as long as more than half of all answers on the pairs between them are a yes
(average linkage): first those with the largest part of yes, of equal ones those whose tasks come first. A layer's
components stay within those of what it reads. Where the answers of the majority are a sharing, this is that sharing;
where they are none, it is one that is near to them.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtsldsl.compare.consensus import Consensus, shared_pairs
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing.rewrite import rewritten
from mtsldsl.ir.model import Spec
from mtsldsl.sharing import Cover, Sharing
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.partition import Component, singletons


def agreed_spec(specs: Sequence[Spec], found: Consensus) -> Spec:
    """The first of the specs with the sharing that most of them agree on; `found` is their consensus.

    All else is the first one's, its history too. Raises MtlError: MTL407 where tasks use other alternatives of a layer
    in some run, or help in groups, of which there is no majority; MTL704 where the text cannot be rewritten.
    """
    helped = [spec.source.name for spec in specs if spec.sharing.helpers]
    if found.allocated or helped:
        cause = f"tasks help in the groups of {helped[0]}" if helped else "tasks use other alternatives in some run"
        raise MtlError.of(
            "MTL407", f"the consensus is no sharing: {cause}", f"take the run that is nearest to it, {found.nearest}"
        )
    return rewritten(specs[0], _agreed(specs[0].sharing, found))


def differing(sharing: Sharing, found: Consensus) -> int:
    """How many answers of a sharing are not those of the majority."""
    answers = set(shared_pairs(sharing))
    return sum(found.shared(pair) != ((pair.layer, frozenset(pair.tasks)) in answers) for pair in found.pairs)


def _agreed(first: Sharing, found: Consensus) -> Sharing:
    alone, layers = singletons(first.tasks), first.backbone.layers
    sharing = first.given({layer: first[layer] if isinstance(first[layer], Cover) else alone for layer in layers})
    gains: dict[str, dict[frozenset[str], int]] = {layer: {} for layer in layers}
    for pair in found.pairs:
        gains[pair.layer][frozenset(pair.tasks)] = 2 * pair.runs - len(found.names)
    for layer in layers:
        if not isinstance(first[layer], Cover):
            sharing = _joined(sharing, layer, gains[layer])
    return sharing


def _joined(sharing: Sharing, layer: str, gains: dict[frozenset[str], int]) -> Sharing:
    """The sharing with components of the layer joined until no two more are to be; `gains` has for two tasks how many
    more runs say yes than no."""
    between = _Between(sharing.tasks, gains)
    while best := between.best():
        one, other = best
        try:
            sharing = sharing.merge(layer, one | other)
        except SharingError:  # a layer that this one reads keeps them apart
            between.leave(one, other)
        else:
            between.join(one, other)
    return sharing


class _Between:
    """The components of a layer, and for each two of them the sum of the gains of the pairs between them."""

    def __init__(self, tasks: Sequence[str], gains: dict[frozenset[str], int]) -> None:
        self._rank = {task: place for place, task in enumerate(tasks)}
        alone = {task: frozenset((task,)) for task in tasks}
        self._sums: dict[tuple[Component, Component], int] = {
            (alone[one], alone[other]): gains[frozenset((one, other))]
            for place, one in enumerate(tasks)
            for other in tasks[place + 1 :]
        }

    def best(self) -> tuple[Component, Component] | None:
        """The two with the largest mean gain; None where none is above zero."""
        rising = [two for two, gain in self._sums.items() if gain > 0]
        return min(rising, key=self._merit, default=None)

    def _merit(self, two: tuple[Component, Component]) -> tuple[float, list[int], list[int]]:
        one, other = (sorted(map(self._rank.__getitem__, each)) for each in two)
        return -self._sums[two] / (len(one) * len(other)), one, other

    def leave(self, one: Component, other: Component) -> None:
        """Never look at these two again."""
        del self._sums[one, other]

    def join(self, one: Component, other: Component) -> None:
        """Make them one component, in the place of the first."""
        del self._sums[one, other]
        sums: dict[tuple[Component, Component], int] = {}
        for two, gain in self._sums.items():
            first, second = (one | other if each in (one, other) else each for each in two)
            pair = min((first, second), (second, first), key=lambda each: min(map(self._rank.__getitem__, each[0])))
            sums[pair] = sums.get(pair, 0) + gain
        self._sums = sums
