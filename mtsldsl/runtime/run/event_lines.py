"""What a person is told of an event, on the screen of a run and from its record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mtsldsl.diagnostics.bounded import FIRST_SHOWN, named, shown
from mtsldsl.diagnostics.counted import counted
from mtsldsl.ir.cost import operations
from mtsldsl.methods.evidence import Event, Finding, as_in_history
from mtsldsl.methods.registry import words
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.events import Metrics, Number, Thresholds


def describe_event(event: Event) -> list[str]:
    """The lines that tell a person of an event; none for an event that only the record needs."""
    match event:
        case events.Start():
            return _start(event)
        case events.Constant():
            every = [
                f"{task} {name} {short(value)}" for task, each in event.metrics.items() for name, value in each.items()
            ]
            return [f"best constant answer on {event.split}: {shown(every, '  ')}"]
        case events.Begun() | events.Taught():
            return [event.text]
        case events.Epoch():
            return _epoch(event)
        case events.Validation():
            return _validation(event)
        case Finding():
            return [f"  {line}" for line in event.lines()]
        case events.Phase():
            return _phase(event)
        case events.Resume():
            step = f"step {event.step} of epoch {event.epoch + 1}" if event.step else f"epoch {event.epoch}"
            return [f"going on after {step}"]
        case events.Stopped():
            return [f"stopped after epoch {event.epoch}: {_without_better(event.patience)}"]
        case events.TaskStopped():
            return [f"{event.task} learns no more after epoch {event.epoch}: {_without_better(event.patience)}"]
        case final_events.Test():
            return _test(event)
        case final_events.BesideTest():
            return _beside(event)
        case events.DryRun():
            return _dry_run(event)
        case final_events.End():
            memory = "" if event.peak_memory_mb is None else f", with at most {event.peak_memory_mb:,.0f} MB of memory"
            return [f"done in {event.seconds:.0f} s{memory}: {event.folder}", *_cost_of_teachers(event)]
    return []


def _without_better(patience: int) -> str:
    return f"{f'{patience} epochs' if patience > 1 else 'one epoch'} without a better one"


def warning_lines(event: Event) -> list[str]:
    """The lines that a person is told of an event whatever the display shows; none for most."""
    match event:
        case events.Warned():
            return [f"warning: {event.text}"]
        case events.OtherData():
            return [f"warning: the data is not what it was when the run started: {each}" for each in event.differences]
        case events.LeftAlone():
            return [f"{event.file} is left alone: {event.reason}; the evolved spec is {event.evolved}"]
    return []


def _start(event: events.Start) -> list[str]:
    size = f"{event.parameters:,} parameters, {operations(event.flops)} a sample"
    where = f"{event.device} in {event.processes} processes" if event.processes else event.device
    return [
        f"{event.spec}: {counted(len(event.tasks), 'task')}, {counted(len(event.layers), 'layer')}, {size}",
        f"structure {event.method}, balance {event.balance}, seed {event.seed}, on {where}",
        *label_lines(event.data),
        *([f"run folder: {event.folder}"] if event.folder is not None else []),
    ]


def _numbers(values: Mapping[str, Number]) -> str:
    return shown([f"{name} {short(value)}" for name, value in values.items()], "  ")


def short(value: float | None) -> str:
    """A number in four digits, `-` where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"


def _epoch(event: events.Epoch) -> list[str]:
    pace = f"lr {short(event.lr)}  {event.epoch_seconds:.1f} s  {short(event.samples_per_second)} samples/s"
    soft = "" if event.soft is None else f"  taught: {_numbers(event.soft)}"
    return [f"epoch {event.epoch:>3}  loss: {_losses(event)}{soft}  {pace}"]


def _cost_of_teachers(event: final_events.End) -> list[str]:
    """What they took, where there were any."""
    seconds = event.teachers_seconds
    return [] if seconds is None else [f"the teachers took {said_of_teachers(seconds)}"]


def said_of_teachers(seconds: float) -> str:
    """Their cost in words."""
    return f"{short(seconds)} CPU seconds, for their answers and the losses against them"


def _losses(event: events.Epoch | events.DryRun) -> str:
    losses = dict(event.losses)
    penalty = {event.penalty: losses.pop(event.penalty)} if event.penalty is not None else {}
    return "  ".join(filter(None, (_numbers(losses), _numbers(penalty))))


def _dry_run(event: events.DryRun) -> list[str]:
    """What was tried, and what a run would take."""
    made = f"{event.steps} steps" if event.steps > 1 else "one step"
    size = f"{counted(event.epoch_steps, 'step')} and {counted(event.epoch_batches, 'batch', 'batches')} of validation"
    epoch, run = _duration(event.epoch_seconds), _duration(event.run_seconds)
    return [
        f"dry run: {made} and one batch of validation made; nothing is written",
        f"  loss: {_losses(event)}",
        f"  validation loss: {_numbers(event.validation)}",
        f"  time: {_duration(event.step_seconds)} a step, {_duration(event.batch_seconds)} a batch of validation",
        *([] if event.peak_memory_mb is None else [f"  memory: {event.peak_memory_mb:,.0f} MB at most"]),
        f"  an epoch ({size}) takes about {epoch}, {counted(event.epochs, 'epoch')} {run}",
        "  structural phases, the test and the writing of checkpoints come on top",
    ]


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 120:
        return f"{seconds / 60:.1f} min"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _validation(event: events.Validation) -> list[str]:
    best, since = event.best, event.since
    mark = ""
    if best:
        mark = "  * best so far" if since is None else f"  * best since the structure changed after epoch {since}"
        mark += "" if len(best) == len(event.metrics) else f": {shown(best, ', ')}"
    if event.averaged is not None:
        mark += f"  mean of {counted(event.averaged, 'step')}"
    return [f"           validation: {first_metrics(event.metrics)}  gain {_percent(event.gain)}{mark}"]


def first_metrics(metrics: Metrics) -> str:
    """The first metric of every task, which stands for it."""
    first = {task: next(iter(values.items()), ("", None)) for task, values in metrics.items()}
    return shown([f"{task} {name} {short(value)}" for task, (name, value) in first.items()], "  ")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f} %"


def _phase(event: events.Phase) -> list[str]:
    title, said = f"structural phase after epoch {event.epoch}", words(event.method)
    if event.changed:
        lines = [f"now {event.parameters:,} parameters", *said.decided(event.decisions, event.evidence)]
    elif event.accepted is False:
        lines = ["the proposal is refused, nothing changes", *as_in_history(event.decisions), _validated(event)]
    else:
        lines = [said.undecided(event.evidence)]
    return [f"{title}: {lines[0]}", *(f"  {line}" for line in lines[1:])]


def _validated(event: events.Phase) -> str:
    """What either network of a phase reaches on validation."""
    before, after = ((found or {}).get("losses", {}) for found in (event.before, event.after))
    losses = [f"{task} {short(value)} -> {short(after.get(task))}" for task, value in before.items()]
    return f"validation loss as it was -> as proposed: {shown(losses, '  ')}"


def _test(event: final_events.Test) -> list[str]:
    epochs = event.epochs
    one = set(epochs.values())
    which = f"weights of epoch {one.pop()}" if len(one) == 1 else "each task's own epoch"
    lines = [f"test set, {which}, chosen by {event.chosen_by}:"]
    width = max(map(len, event.metrics))
    for task, metrics in event.metrics.items():
        own = f"  (epoch {epochs[task]})" if one else ""
        lines.append(f"  {task:<{max(width, 12)}} {_numbers(metrics)}{own}")
    return [*lines, *(f"  {each}" for each in said_of_thresholds(event.thresholds))]


def _beside(event: final_events.BesideTest) -> list[str]:
    """One line for the network, as there are several."""
    own = ", the run's own" if event.own else ""
    return [f"  {', '.join(event.names)}{own}: {event.parameters:,} parameters  {first_metrics(event.metrics)}"]


def said_of_thresholds(thresholds: Thresholds | None) -> list[str]:
    """What a person is told of the thresholds at which metrics were taken, a line for each metric."""
    return [
        f"{key} of {task} at the threshold {shown(list(map(short, by_column)), ', ')}, which validation chose"
        for task, found in (thresholds or {}).items()
        for key, by_column in found.items()
    ]


def label_lines(described: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Samples and labels in a few lines, however many tasks there are: those whose every entry counts in one, and one
    for each of the others, those with the fewest labels in training first."""
    sizes = ", ".join(f"{found['samples']:,} {split}" for split, found in described.items())
    tasks = list(next(iter(described.values()))["labels"])
    whole = [task for task in tasks if all(events.whole(found["labels"][task]) for found in described.values())]
    partly = [task for task in tasks if task not in whole]
    partly.sort(key=lambda task: described["train"]["labels"][task]["entries"])
    lines = [f"samples: {sizes}"]
    sources = list(next(iter(described.values())).get("sources", ()))
    for name in sources[:FIRST_SHOWN]:
        parts = [f"{found['sources'][name]:,} {split}" for split, found in described.items()]
        lines.append(f"  of `{name}`: {', '.join(parts)}")
    if len(sources) > FIRST_SHOWN:
        lines.append(f"  of {len(sources) - FIRST_SHOWN} more sources; the events have their numbers")
    if whole:
        lines.append(f"labels: all of {named(whole)}")
    for task in partly[:FIRST_SHOWN]:
        parts = [_part(split, found["labels"][task], found["samples"]) for split, found in described.items()]
        lines.append(f"labels: `{task}` {', '.join(parts)}")
    if len(partly) > FIRST_SHOWN:
        lines.append(f"labels: some of {len(partly) - FIRST_SHOWN} more tasks; the events have their numbers")
    return lines


def _part(split: str, found: Mapping[str, int], samples: int) -> str:
    """The samples with a label, and what part of their entries count where a sample has many."""
    one_each = found["of"] == samples
    share = "" if one_each else f" ({100 * found['entries'] / max(found['of'], 1):.3g} % of all entries)"
    return f"{found['samples']:,} {split}{share}"
