"""What a person sees while a run goes on: a live display in a terminal, plain lines elsewhere, JSON, or nothing."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Protocol

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mtsldsl.diagnostics.bounded import shown
from mtsldsl.diagnostics.printable import printable
from mtsldsl.methods.evidence import Event, Finding, as_in_history
from mtsldsl.methods.registry import words
from mtsldsl.runtime.data.labels import label_lines
from mtsldsl.runtime.run import events
from mtsldsl.runtime.run.events import Metrics, Number, as_json

DISPLAYS = ("auto", "live", "plain", "json", "quiet")


class Display(Protocol):
    """Shows events and the progress inside an epoch."""

    def event(self, event: Event) -> None:
        """Show one event, or leave it out."""

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        """An epoch of `steps` steps begins."""

    def begin_stage(self, title: str, steps: int) -> None:
        """Work inside a structural phase begins."""

    def advance(self) -> None:
        """One step is done."""

    def close(self) -> None:
        """Nothing more will be shown."""


def choose_display(name: str) -> Display:
    """The display of that name; `auto` is live in a terminal and plain elsewhere."""
    if name == "auto":
        name = "live" if sys.stdout.isatty() else "plain"
    kinds: dict[str, type[Display]] = {
        "live": LiveDisplay,
        "plain": PlainDisplay,
        "json": JsonDisplay,
        "quiet": QuietDisplay,
    }
    return kinds[name]()


class QuietDisplay:
    """Shows nothing."""

    def event(self, event: Event) -> None:
        """Leave the event out."""

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        """Show nothing."""

    def begin_stage(self, title: str, steps: int) -> None:
        """Show nothing."""

    def advance(self) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


class JsonDisplay(QuietDisplay):
    """Prints every event as one line of JSON."""

    def event(self, event: Event) -> None:
        """Print the event."""
        print(json.dumps(as_json(event)), flush=True)


class PlainDisplay(QuietDisplay):
    """Prints one line for what matters; nothing moves."""

    def event(self, event: Event) -> None:
        """Print the lines of the event, where it has any."""
        for line in describe_event(event):
            print(printable(line), flush=True)


@attrs.define
class LiveDisplay:
    """The plain lines, with a progress bar of the epoch or phase below them."""

    _progress: Progress = attrs.field(
        factory=lambda: Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("left in all"),
            TimeRemainingColumn(),
            console=Console(highlight=False),
            redirect_stderr=sys.stderr.isatty(),
        )
    )
    _total: TaskID | None = None
    _inner: TaskID | None = None

    def event(self, event: Event) -> None:
        """Print the lines of the event above the bar."""
        for line in describe_event(event):
            self._progress.console.print(printable(line), markup=False)

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        """Move the bar of the run to this epoch."""
        if self._total is None:
            self._total = self._progress.add_task("run", total=epochs * steps, completed=(epoch - 1) * steps)
            self._progress.start()
        self._progress.update(self._total, completed=(epoch - 1) * steps, description=f"epoch {epoch}/{epochs}")
        self._drop_inner()

    def begin_stage(self, title: str, steps: int) -> None:
        """Show a second bar for the work inside a structural phase."""
        self._drop_inner()
        self._inner = self._progress.add_task(title, total=steps)

    def advance(self) -> None:
        """Move the innermost bar by one."""
        task = self._inner if self._inner is not None else self._total
        if task is not None:
            self._progress.advance(task)

    def close(self) -> None:
        """Take the bars away."""
        self._drop_inner()
        self._progress.stop()

    def _drop_inner(self) -> None:
        if self._inner is not None:
            self._progress.remove_task(self._inner)
            self._inner = None


def warn(line: str) -> None:
    """Tell a person what must not be missed, whatever the display shows."""
    print(printable(line), file=sys.stderr, flush=True)


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
        case events.Epoch():
            return _epoch(event)
        case events.Validation():
            return _validation(event)
        case Finding():
            return [f"  {line}" for line in event.lines()]
        case events.Phase():
            return _phase(event)
        case events.Resume():
            return [f"going on after epoch {event.epoch}"]
        case events.Test():
            return _test(event)
        case events.End():
            return [f"done in {event.seconds:.0f} s: {event.folder}"]
    return []


def _start(event: events.Start) -> list[str]:
    size = f"{event.parameters:,} parameters, {event.flops / 1e6:,.1f} MFLOP an image"
    return [
        f"{event.spec}: {len(event.tasks)} tasks, {len(event.layers)} layers, {size}",
        f"structure {event.method}, balance {event.balance}, seed {event.seed}, on {event.device}",
        *label_lines(event.data),
        f"run folder: {event.folder}",
    ]


def _numbers(values: Mapping[str, Number]) -> str:
    return shown([f"{name} {short(value)}" for name, value in values.items()], "  ")


def short(value: float | None) -> str:
    """A number in four digits, `-` where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"


def _epoch(event: events.Epoch) -> list[str]:
    pace = f"lr {short(event.lr)}  {event.epoch_seconds:.1f} s  {short(event.samples_per_second)} samples/s"
    losses = dict(event.losses)
    penalty = {event.penalty: losses.pop(event.penalty)} if event.penalty is not None else {}
    return [f"epoch {event.epoch:>3}  loss: {'  '.join(filter(None, (_numbers(losses), _numbers(penalty))))}  {pace}"]


def _validation(event: events.Validation) -> list[str]:
    best, since = event.best, event.since
    mark = ""
    if best:
        mark = "  * best so far" if since is None else f"  * best since the structure changed after epoch {since}"
        mark += "" if len(best) == len(event.metrics) else f": {shown(best, ', ')}"
    return [f"           validation: {_first_metrics(event.metrics)}  gain {_percent(event.gain)}{mark}"]


def _first_metrics(metrics: Metrics) -> str:
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


def _test(event: events.Test) -> list[str]:
    epochs = event.epochs
    one = set(epochs.values())
    which = f"weights of epoch {one.pop()}" if len(one) == 1 else "each task's own epoch"
    lines = [f"test set, {which}, chosen by {event.chosen_by}:"]
    width = max(map(len, event.metrics))
    for task, metrics in event.metrics.items():
        own = f"  (epoch {epochs[task]})" if one else ""
        lines.append(f"  {task:<{max(width, 12)}} {_numbers(metrics)}{own}")
    return lines
