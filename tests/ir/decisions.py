"""Decisions of MTSL, as its learner makes them."""

from __future__ import annotations

from mtsldsl.ir import Decision


def merge(epoch: int, layer: str, tasks: tuple[str, ...], similarity: float) -> Decision:
    """The tasks came to share the layer."""
    return Decision("merge", epoch, {"layer": layer, "tasks": tasks, "similarity": similarity})
