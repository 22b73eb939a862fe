"""Events: every decision and metric of a run, one JSON object a line, written as they happen and never changed.

The file is the record; whatever a person sees while the run goes on is drawn from the same events.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from mtsldsl.syntax import write_text_atomically

Event: TypeAlias = Mapping[str, Any]
Listener: TypeAlias = Callable[[Event], None]


def plain(value: Any) -> Any:
    """`value` as JSON has it: sequences as lists, records as objects, numbers that are not finite as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    return value


@attrs.define
class EventLog:
    """Appends events to a file and hands each to the listener."""

    path: Path
    listener: Listener

    def write(self, kind: str, **fields: Any) -> None:
        """Record one event of `kind`."""
        event = {"event": kind, **plain(fields)}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
        self.listener(event)

    def truncate_after(self, epoch: int) -> None:
        """Drop what comes after `epoch`, the final report included: a resumed run writes it anew."""
        kept = [
            event
            for event in read_events(self.path)
            if event.get("epoch", 0) <= epoch and event["event"] not in ("test", "end")
        ]
        write_text_atomically(self.path, "".join(json.dumps(event) + "\n" for event in kept))


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file, oldest first; a last line that was cut off by a kill is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if line.endswith("\n"):
                yield json.loads(line)


def started(path: Path) -> dict[str, Any]:
    """The event of a run's start; nothing in it before that is written."""
    return next((event for event in read_events(path) if event["event"] == "start"), {})


def origin(path: Path) -> str | None:
    """The name of the spec that a run started from, as it was given; None before the start is written."""
    return started(path).get("spec")
