"""What a person sees while a run goes on: a live display in a terminal, plain lines elsewhere, JSON, or nothing."""

from __future__ import annotations

import json
import sys
from typing import Protocol

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mtsldsl.diagnostics.printable import printable
from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.run.event_json import as_json
from mtsldsl.runtime.run.event_lines import describe_event

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
