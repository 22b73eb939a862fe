"""Events of the end of a run: what the weights that are kept reach on the test set, and what they answer there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.run.events import Metrics, Number, left_out


@attrs.frozen(kw_only=True)
class Test(Event):
    """What the kept weights reach on the test set, at the `thresholds` that validation chose for them."""

    kind = "test"
    losses: Mapping[str, Number]
    metrics: Metrics
    columns: Mapping[str, Mapping[str, Sequence[Number]]]
    epochs: Mapping[str, int]
    keep: str
    chosen_by: str
    parameters: int
    flops: int
    thresholds: Mapping[str, Mapping[str, Sequence[float]]] | None = left_out()


@attrs.frozen(kw_only=True)
class BesideTest(Event):
    """What the kept weights of a network that was trained beside the run's own reach on the test set, or those of the
    run's `own`, which has a name beside them too."""

    kind = "beside_test"
    names: Sequence[str]
    own: bool = False
    losses: Mapping[str, Number]
    metrics: Metrics
    epochs: Mapping[str, int]
    parameters: int
    flops: int
    thresholds: Mapping[str, Mapping[str, Sequence[float]]] | None = left_out()


@attrs.frozen(kw_only=True)
class SingleTask(Event):
    """What the same network reached on the same test set in the run of another `folder`, where it shares nothing."""

    kind = "single_task"
    folder: str
    metrics: Metrics


@attrs.frozen(kw_only=True)
class Confusion(Event):
    """Which classes of a task the kept weights answer for which, on the test set: of so many answers that count, how
    many are right, and the pairs that are most often taken for each other, as (true, answered, how often)."""

    kind = "confusion"
    task: str
    classes: int
    names: Sequence[str] | None = None
    """Of the classes in their order; None where the data has none."""
    count: int
    right: int
    most: Sequence[Sequence[int]]
    matrix: Sequence[Sequence[int]] | None = None
    """A row for each class that is true, with how often each was answered; None of many classes."""


@attrs.frozen(kw_only=True)
class Pictures(Event):
    """The first test samples, with what is to be learned of their places and what the kept weights answer. Each of
    `pictures` has the number of the `sample` and its `source`, its `file` in the run folder, what it is `of` (`input`,
    `target` or `prediction`), its `task` where it has one, and of values the ends `least` and `largest` of the
    colours."""

    kind = "pictures"
    pictures: Sequence[Mapping[str, Any]]


@attrs.frozen(kw_only=True)
class End(Event):
    """The run is done."""

    kind = "end"
    folder: str
    seconds: float
    peak_memory_mb: float | None = None
    """As the epochs have it, after the test."""
    teachers_seconds: float | None = left_out()
    """The processor time that teachers took in all epochs; left out where there were none."""
