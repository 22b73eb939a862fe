"""The file of a run's events, `events.jsonl`: written line by line, and read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.methods.evidence import Event
from mtsldsl.methods.method import NO_METHOD
from mtsldsl.runtime.run.event_json import as_json, from_json
from mtsldsl.runtime.run.events import Start, epoch_of
from mtsldsl.runtime.run.final_events import End, Test

Listener: TypeAlias = Callable[[Event], None]


@attrs.define
class EventLog:
    """Appends events to a file and hands each to the listener, as a reader of the file would get it."""

    path: Path
    listener: Listener

    def write(self, event: Event) -> None:
        """Record one event."""
        content = as_json(event)
        with self.path.open("r+", encoding="utf-8") as stream:  # which makes no other file where that is gone
            stream.seek(0, os.SEEK_END)
            stream.write(json.dumps(content) + "\n")
        read = from_json(content)
        assert read is not None
        self.listener(read)

    def length(self) -> int:
        """The length of the file in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, length: int) -> None:
        """Drop what comes after so many bytes, the final report included: a resumed run writes it anew."""
        if self.length() > length:
            os.truncate(self.path, length)

    def require(self, length: int) -> None:
        """Hold that there are as many bytes, and a line ends there. Raises MtlError MTL801 where there are fewer, as
        part of the record is gone, and where none does, as then it was another file that had so many."""
        if self.length() < length:
            cause = f"`{self.path}` has {self.length():,} bytes, and its run had written {length:,}"
            raise MtlError.of("MTL801", cause, "copy the run folder once more from where it is whole")
        if length and _byte_before(self.path, length) != b"\n":
            cause = f"no line of `{self.path}` ends after {length:,} bytes, which the checkpoint says it had"
            raise MtlError.of("MTL801", cause, "copy the run folder once more from where it is whole")


def _byte_before(path: Path, place: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(place - 1)
        return stream.read(1)


def read_record(path: Path) -> Iterator[dict[str, Any]]:
    """What each line of a file of events holds, oldest first; a last line that was cut off by a kill is left out.

    Raises MtlError MTL801 at a line that is none, and where the path is not that of a file.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise MtlError.of("MTL801", f"`{path}` is no file", "copy the run folder once more from where it is whole")
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                yield _content(path, number, line)


def _content(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("event"), str):
        raise damaged(path, number)
    return content


def damaged(path: Path, number: int) -> MtlError:
    """Line `number` of a record is no event."""
    remedy = "copy the run folder once more from where it is whole"
    return MtlError.of("MTL801", f"line {number} of `{path}` is no event as a run writes it", remedy)


def numbered_events(path: Path) -> Iterator[tuple[int, Event]]:
    """The events of a file, oldest first, each with its line. A phase of an earlier version is of the method that the
    run started with.

    Raises MtlError MTL801 as `read_record` does.
    """
    method = NO_METHOD
    for number, content in enumerate(read_record(path), 1):
        try:
            event = from_json({"method": method, **content})
        except (TypeError, ValueError) as problem:
            raise damaged(path, number) from problem
        if isinstance(event, Start):
            method = event.method
        if event is not None:
            yield number, event


def read_events(path: Path) -> Iterator[Event]:
    """The events of a file, oldest first. Raises MtlError MTL801 as `read_record` does."""
    return (event for _, event in numbered_events(path))


def started(path: Path) -> Start | None:
    """The event of a run's start; None before that is written."""
    return next((event for event in read_events(path) if isinstance(event, Start)), None)


def has_ended(path: Path) -> bool:
    """Whether the last event of a file is that of a run's end."""
    last = None
    for event in read_events(path):
        last = event
    return isinstance(last, End)


def got_further(path: Path) -> bool:
    """Whether a run has come further than the end of its first epoch, after which there is a checkpoint."""
    return any(isinstance(event, (Test, End)) or epoch_of(event) > 1 for event in read_events(path))


def origin(path: Path) -> str | None:
    """The name of the spec that a run started from, as it was given; None before the start is written."""
    start = started(path)
    return start.spec if start else None
