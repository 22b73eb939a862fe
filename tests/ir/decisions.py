"""Decisions, as learners make them."""

from __future__ import annotations

from collections.abc import Iterable

from mtsldsl.ir import Decision


def merge(epoch: int, layer: str, tasks: tuple[str, ...], similarity: float) -> Decision:
    """The tasks came to share the layer."""
    return Decision("merge", epoch, {"layer": layer, "tasks": tasks, "similarity": similarity})


def allocate(epoch: int, layer: str, task: str, uses: Iterable[str]) -> Decision:
    """The task came to use these alternatives of the layer."""
    return Decision("allocate", epoch, {"layer": layer, "task": (task,), "uses": tuple(uses)})
