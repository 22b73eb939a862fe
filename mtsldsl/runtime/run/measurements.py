"""The numbers of an event, a row each: the one reading of events as a table, for every logger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.event_json import from_json
from mtsldsl.runtime.run.events import Number


@attrs.frozen
class Measurement:
    """A number of an epoch, 0 before the first; of the split `train`, `validation` or `test`, of a network beside the
    run's own `validation/0.5` or `test/0.5` by its name, and of a task or (empty) of the run."""

    epoch: int
    split: str
    task: str
    name: str
    value: Number
    """None where it is not finite."""

    @property
    def tag(self) -> str:
        """`depth/loss`, or `lr` of the run: what it is called where the split is said elsewhere."""
        return f"{self.task}/{self.name}" if self.task else self.name


def measurements(event: Mapping[str, Any]) -> list[Measurement]:
    """The numbers of an event as `events.jsonl` has it; none of an event that holds no curve's point.

    Of `start` and `phase` the network's size, of `epoch` the losses, those against teachers' answers, the labels, the
    learning rate, the pace, the memory and what teachers cost, of `balance` the mean weight of each task, of
    `gradients` the norm of each task's gradient on shared weights and its share there, of `validation` losses, metrics
    and gains (in percent of the best constant answer), of `test` losses and metrics, at the epoch of the weights that
    were kept; of `beside` and `beside_test` the same of another network, under each of its names.
    """
    read = from_json(event)
    return [] if read is None else list(measured(read))


def measured(event: Event) -> Iterator[Measurement]:
    """The same of an event that is read already."""
    match event:
        case events.Start():
            yield from _of_run(0, parameters=event.parameters, flops=event.flops)
        case events.Phase(parameters=int()):
            yield from _of_run(event.epoch, parameters=event.parameters, flops=event.flops)
        case events.Epoch():
            for task, loss in event.losses.items():
                own = task != event.penalty
                yield Measurement(event.epoch, "train", task if own else "", "loss" if own else task, loss)
            for task, loss in (event.soft or {}).items():
                yield Measurement(event.epoch, "train", task, "soft_loss", loss)
            for task, count in (event.labels or {}).items():
                yield Measurement(event.epoch, "train", task, "labels", count)
            yield from _of_run(
                event.epoch,
                lr=event.lr,
                epoch_seconds=event.epoch_seconds,
                seconds=event.seconds,
                samples_per_second=event.samples_per_second,
                peak_memory_mb=event.peak_memory_mb,
                teachers_seconds=event.teachers_seconds,
            )
        case events.Weighed():
            for task, weight in event.means().items():
                yield Measurement(event.epoch, "train", task, "weight", weight)
        case events.Gradients():
            for task, norm in event.norms.items():
                yield Measurement(event.epoch, "train", task, "gradient_norm", norm)
            for task, share in event.shares().items():
                yield Measurement(event.epoch, "train", task, "gradient_share", share)
        case events.Validation():
            for task, loss in event.losses.items():
                yield from _reached(event.epoch, "validation", task, loss, event.metrics[task])
                yield Measurement(event.epoch, "validation", task, "gain", event.gains.get(task))
            yield Measurement(event.epoch, "validation", "", "gain", event.gain)
        case events.Beside():
            for split in (f"validation/{name}" for name in event.names):
                for task, loss in event.losses.items():
                    yield from _reached(event.epoch, split, task, loss, event.metrics[task])
                yield Measurement(event.epoch, split, "", "gain", event.gain)
        case final_events.Test():
            for task, loss in event.losses.items():
                yield from _reached(event.epochs[task], "test", task, loss, event.metrics[task])
        case final_events.BesideTest():
            last = max(event.epochs.values())
            for split in (f"test/{name}" for name in event.names):
                for task, loss in event.losses.items():
                    yield from _reached(event.epochs[task], split, task, loss, event.metrics[task])
                yield Measurement(last, split, "", "parameters", event.parameters)
                yield Measurement(last, split, "", "flops", event.flops)


def _reached(epoch: int, split: str, task: str, loss: Number, metrics: Mapping[str, Number]) -> Iterator[Measurement]:
    """The loss and the metrics of a task."""
    yield Measurement(epoch, split, task, "loss", loss)
    for name, value in metrics.items():
        yield Measurement(epoch, split, task, name, value)


def _of_run(epoch: int, **numbers: Number) -> Iterator[Measurement]:
    """What the run itself has, of what is known."""
    return (Measurement(epoch, "train", "", name, value) for name, value in numbers.items() if value is not None)
