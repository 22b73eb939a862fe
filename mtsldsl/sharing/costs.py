"""What a sharing costs: every layer once for each of its components."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from mtsldsl.sharing.sharing import Sharing


def _freeze(counts: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(counts))


@attrs.frozen
class Cost:
    """A count of parameters, FLOPs or anything else that adds up: per layer over all its copies, and per head."""

    layers: Mapping[str, int] = attrs.field(converter=_freeze)
    heads: Mapping[str, int] = attrs.field(factory=dict, converter=_freeze)

    @property
    def total(self) -> int:
        """The sum over layers and heads."""
        return sum(self.layers.values()) + sum(self.heads.values())


def cost(sharing: Sharing, one_copy: Mapping[str, int], heads: Mapping[str, int] | None = None) -> Cost:
    """The cost of the whole network: `one_copy[layer]` times the layer's components, and each task's head once.

    `heads` is keyed by task and may be left out. Raises KeyError where `one_copy` lacks a layer, or `heads`, where
    given, a task. A merge lowers the total by exactly the copies it removes.
    """
    layers = {layer: one_copy[layer] * len(components) for layer, components in sharing.components.items()}
    return Cost(layers, {} if heads is None else {task: heads[task] for task in sharing.tasks})
