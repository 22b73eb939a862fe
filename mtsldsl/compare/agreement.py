"""The consensus of several runs as one spec: the sharing that most of them agree on, in the text of the first.

Layer by layer, two components are joined as long as more than half of all answers on the pairs between them are a yes
(average linkage): first those with the largest part of yes, of equal ones those whose tasks come first. A layer's
components stay within those of what it reads. Where the answers of the majority are a sharing, this is that sharing;
where they are none, it is one that is near to them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtsldsl.compare.consensus import Consensus, shared_pairs
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing.rewrite import rewritten
from mtsldsl.ir.model import Spec
from mtsldsl.sharing import Cover, Sharing
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.partition import singletons
from mtsldsl.sharing.subsets import Matrix


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
    place = {task: index for index, task in enumerate(first.tasks)}
    layers = first.backbone.layers
    gains = {layer: np.zeros((len(place), len(place))) for layer in layers}
    for pair in found.pairs:
        one, other = (place[task] for task in pair.tasks)
        gains[pair.layer][one, other] = gains[pair.layer][other, one] = 2 * pair.runs - len(found.names)
    alone = singletons(first.tasks)
    sharing = first.given({layer: first[layer] if isinstance(first[layer], Cover) else alone for layer in layers})
    for layer in layers:
        if not isinstance(first[layer], Cover):
            sharing = _joined(sharing, layer, gains[layer])
    return sharing


def _joined(sharing: Sharing, layer: str, gains: Matrix) -> Sharing:
    """The sharing with components of the layer joined until no two more are to be.

    `gains` (T, T), symmetric, has for two tasks how many more runs say yes than no. It becomes the sums over the pairs
    between components, each in the place of its first task, and less than any number for what is not to be joined.
    """
    components = [frozenset((task,)) for task in sharing.tasks]
    sizes = np.ones(len(components))
    np.fill_diagonal(gains, -np.inf)
    while gains.max() > 0:
        # The first of the largest: whole numbers are exact here, and of equal quotients so is the rounding.
        one, other = divmod(int(np.argmax(gains / np.outer(sizes, sizes))), len(components))
        both = components[one] | components[other]
        try:
            sharing = sharing.merge(layer, both)
        except SharingError:  # a layer that this one reads keeps them apart, and so whatever they are in
            gains[one, other] = gains[other, one] = -np.inf
            continue
        components[one] = both
        sizes[one] += sizes[other]
        gains[one] += gains[other]
        gains[:, one] = gains[one]
        gains[other] = gains[:, other] = -np.inf
    return sharing
