"""The curves of a run, for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from mtsldsl.ir import Spec
from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.run import events
from mtsldsl.runtime.run.drawing import COLOURS, SIGNS, Series, curves

FEW = len(COLOURS)
"""Tasks whose curves may stand in one chart, and names of a matrix that is written in numbers."""

WIDTH, HEIGHT = 340, 190
"""Of a chart: a phone is wider."""


@attrs.frozen
class Chart:
    """A drawing, with its title and its curves' names, each with its colour and mark."""

    title: str
    drawing: str
    legend: tuple[tuple[str, str, str], ...] = ()


def chart(title: str, series: Sequence[Series], changed: Sequence[int], alt: str) -> Chart:
    """The curves in one chart, with a legend where there are several."""
    named = tuple((each.name, *look) for each, look in zip(series, zip(COLOURS, SIGNS, strict=True), strict=False))
    return Chart(title, curves(series, changed, WIDTH, HEIGHT, alt), named if len(series) > 1 else ())


def changed_epochs(recorded: Sequence[Event]) -> list[int]:
    """The epochs after which the structure was another one."""
    return [event.epoch for event in recorded if isinstance(event, events.Phase) and event.changed]


def loss_charts(recorded: Sequence[Event]) -> list[Chart]:
    """A chart for each loss, which has an axis of its own: in training, and on validation where it was measured."""
    trained = [(event.epoch, event.losses) for event in recorded if isinstance(event, events.Epoch)]
    held = [(event.epoch, event.losses or {}) for event in recorded if isinstance(event, events.Validation)]
    validated = {each.name: each for each in _by_name(held)}
    changed = changed_epochs(recorded)
    found = []
    for each in _by_name(trained):
        own = [attrs.evolve(each, name="training")]
        if each.name in validated:
            own.append(attrs.evolve(validated[each.name], name="validation"))
        found.append(chart(each.name, own, changed, f"The loss of {each.name} over the epochs"))
    return found


def metric_charts(recorded: Sequence[Event], spec: Spec) -> list[Chart]:
    """A chart of the first metric of each task on validation."""
    validations = [event for event in recorded if isinstance(event, events.Validation)]
    found = []
    for task in spec.tasks:
        values = [(event.epoch, next(iter(event.metrics[task.name].values()), None)) for event in validations]
        series = Series(task.name, tuple((epoch, value) for epoch, value in values if value is not None))
        if series.points:
            title = f"{task.name}: {task.metrics[0].name}"
            alt = f"{task.metrics[0].name} of {task.name} on validation over the epochs"
            found.append(chart(title, [series], changed_epochs(recorded), alt))
    return found


def weight_charts(recorded: Sequence[Event]) -> list[Chart]:
    """A chart for each task of what the balance weighed, the mean of the steps of an epoch that were told."""
    means = [(event.epoch, event.means()) for event in recorded if isinstance(event, events.Weighed)]
    alt = "The weight of {} by the balance over the epochs"
    changed = changed_epochs(recorded)
    return [chart(each.name, [each], changed, alt.format(each.name)) for each in _by_name(means)]


def share_charts(recorded: Sequence[Event]) -> list[Chart]:
    """The shares of the tasks in the gradient of shared weights, in percent, in one chart, or one each of many."""
    shares = [(event.epoch, event.shares()) for event in recorded if isinstance(event, events.Gradients)]
    series = [attrs.evolve(each, points=tuple((x, 100 * y) for x, y in each.points)) for each in _by_name(shares)]
    changed = changed_epochs(recorded)
    alt = "The share of {} in the gradient of the shared weights over the epochs"
    if len(series) > FEW:
        return [chart(each.name, [each], changed, alt.format(each.name)) for each in series]
    return [chart("percent", series, changed, alt.format("each task"))] if series else []


def _by_name(found: Sequence[tuple[int, Mapping[str, float | None]]]) -> list[Series]:
    """A curve for each name of some numbers by epoch."""
    names = dict.fromkeys(name for _, numbers in found for name in numbers)
    return [
        Series(name, tuple((epoch, value) for epoch, numbers in found if (value := numbers.get(name)) is not None))
        for name in names
    ]
