"""Sharings that a person writes down without any learning, and those that differ from another one in who is who."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.sharing.sharing import Sharing


def own_last(sharing: Sharing, count: int) -> Sharing:
    """All tasks share all layers but the last `count`, of which each has its own: `united` for 0, `apart` for as many
    as there are. A layer reads those before it alone, so that every such sharing is one.

    Raises ValueError where there are not so many layers.
    """
    layers = sharing.backbone.layers
    if not 0 <= count <= len(layers):
        raise ValueError(f"there are {len(layers)} layers, and {count} of them cannot be own ones")
    whole, alone = sharing.united(), sharing.apart()
    shared = len(layers) - count
    return sharing.given({layer: (whole if place < shared else alone)[layer] for place, layer in enumerate(layers)})


def reassigned(sharing: Sharing, takes: Mapping[str, str]) -> Sharing:
    """The same shape with other tasks in it: each task takes the place of the one that `takes` names, and all that are
    not named stay. Raises ValueError where two would take one place, or tasks that do not read the same samples."""
    return sharing.comparable(sharing.renamed({place: task for task, place in takes.items()}).reordered(sharing.tasks))
