"""Events: every decision and metric of a run, one JSON object a line, written as they happen and never changed.

The file is the record; whatever a person sees while the run goes on is drawn from the same events. Each kind is a class
here, which writes and reads it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import attrs

Number: TypeAlias = float | None
"""A number; None where it is not finite, which JSON cannot say."""

Metrics: TypeAlias = Mapping[str, Mapping[str, Number]]
"""By task and then by key."""


def _left_out() -> Any:
    """A field that is not written where it is None."""
    return attrs.field(default=None, metadata={"left out": True})


@attrs.frozen(kw_only=True)
class Event:
    """One event. `epoch` is the epoch that it belongs to, 0 before the first."""

    kind: ClassVar[str] = ""


@attrs.frozen(kw_only=True)
class Start(Event):
    """A run begins: what it is of, where and with what it computes, and what it reads."""

    kind = "start"
    spec: str
    spec_sha256: str
    folder: str
    in_place: str | None
    tasks: Sequence[str]
    layers: Sequence[str]
    method: str
    balance: str
    epochs: int
    seed: int
    device: str
    threads: int | None = None
    python: str
    torch: str
    parameters: int
    flops: int
    modules: Sequence[Mapping[str, Any]] = ()
    data: Mapping[str, Any]
    read: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class Warned(Event):
    """Something a person should know, about the data or the modules."""

    kind = "warning"
    about: str
    text: str


@attrs.frozen(kw_only=True)
class Constant(Event):
    """What the best constant answer reaches."""

    kind = "constant"
    split: str
    metrics: Metrics


@attrs.frozen(kw_only=True)
class OtherData(Event):
    """The data is not what it was when the run started."""

    kind = "other_data"
    differences: Sequence[str]


@attrs.frozen(kw_only=True)
class Resume(Event):
    """A run goes on after this epoch."""

    kind = "resume"
    epoch: int


@attrs.frozen(kw_only=True)
class Epoch(Event):
    """A pass over the training set; among its `losses` the learner's own, called `penalty`, is a mean over steps."""

    kind = "epoch"
    epoch: int
    losses: Mapping[str, Number]
    penalty: str | None = _left_out()
    lr: float
    epoch_seconds: float
    samples_per_second: float | None
    seconds: float


@attrs.frozen(kw_only=True)
class Validation(Event):
    """What an epoch reached; `best` are the tasks whose best epoch it is so far, `since` that of the last merge."""

    kind = "validation"
    epoch: int
    losses: Mapping[str, Number]
    metrics: Metrics
    gains: Mapping[str, Number]
    gain: Number
    best: Sequence[str]
    since: int | None = None


@attrs.frozen(kw_only=True)
class Best(Event):
    """The weights of this epoch are kept for these tasks, of the network or (`own`) of a single task."""

    kind = "best"
    epoch: int
    own: bool
    tasks: Sequence[str]
    score: Number


@attrs.frozen(kw_only=True)
class Similarity(Event):
    """What was found where tasks may merge at a layer: the matrix, and how they are grouped."""

    kind = "similarity"
    epoch: int
    layer: str
    tasks: Sequence[str]
    similarity: Sequence[Sequence[float]]
    threshold: float
    grouping: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Phase(Event):
    """A structural phase: what was looked at, what was decided, and what that costs each task on validation."""

    kind = "phase"
    epoch: int
    places: int | None = _left_out()
    merges: Sequence[Mapping[str, Any]] = ()
    amalgamation: Mapping[str, Sequence[float]] | None = _left_out()
    before: Mapping[str, Any] | None = _left_out()
    after: Mapping[str, Any] | None = _left_out()
    accepted: bool | None = _left_out()
    parameters: int | None = _left_out()
    flops: int | None = _left_out()
    evidence: Mapping[str, Any] | None = _left_out()
    """What else the learner found."""

    @property
    def changed(self) -> bool:
        """Whether the network is another one since."""
        return self.parameters is not None


@attrs.frozen(kw_only=True)
class LeftAlone(Event):
    """The person's file does not follow the run any more."""

    kind = "left_alone"
    epoch: int
    file: str
    reason: str
    evolved: str


@attrs.frozen(kw_only=True)
class Test(Event):
    """What the kept weights reach on the test set."""

    kind = "test"
    losses: Mapping[str, Number]
    metrics: Metrics
    columns: Mapping[str, Mapping[str, Sequence[Number]]]
    epochs: Mapping[str, int]
    keep: str
    chosen_by: str
    parameters: int
    flops: int


@attrs.frozen(kw_only=True)
class End(Event):
    """The run is done."""

    kind = "end"
    folder: str
    seconds: float


KINDS: Mapping[str, type[Event]] = {
    each.kind: each
    for each in (
        Start,
        Warned,
        Constant,
        OtherData,
        Resume,
        Epoch,
        Validation,
        Best,
        Similarity,
        Phase,
        LeftAlone,
        Test,
        End,
    )
}
"""The class of each kind."""

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


def as_json(event: Event) -> dict[str, Any]:
    """The event as an object of JSON."""
    fields = {
        field.name: plain(value)
        for field in attrs.fields(type(event))
        if (value := getattr(event, field.name)) is not None or "left out" not in field.metadata
    }
    return {"event": event.kind, **fields}


def from_json(content: Mapping[str, Any]) -> Event | None:
    """The event that such an object is, None of a kind that is not known.

    What else the object holds is left out, and what it lacks is None: another version may have written it.
    """
    made = KINDS.get(content["event"])
    if made is None:
        return None
    given = {field.name: content.get(field.name) for field in attrs.fields(made)}
    return made(**{name: value for name, value in given.items() if value is not None or name not in _optional(made)})


def _optional(made: type[Event]) -> set[str]:
    return {field.name for field in attrs.fields(made) if field.default is not attrs.NOTHING}


def epoch_of(event: Event) -> int:
    """The epoch that an event belongs to, 0 before the first."""
    return int(getattr(event, "epoch", 0))


@attrs.define
class EventLog:
    """Appends events to a file and hands each to the listener, as a reader of the file would get it."""

    path: Path
    listener: Listener

    def write(self, event: Event) -> None:
        """Record one event."""
        content = as_json(event)
        with self.path.open("a", encoding="utf-8") as stream:
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


def read_events(path: Path) -> Iterator[Event]:
    """The events of a file, oldest first; a last line that was cut off by a kill is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if line.endswith("\n") and (event := from_json(json.loads(line))) is not None:
                yield event


def started(path: Path) -> Start | None:
    """The event of a run's start; None before that is written."""
    return next((event for event in read_events(path) if isinstance(event, Start)), None)


def origin(path: Path) -> str | None:
    """The name of the spec that a run started from, as it was given; None before the start is written."""
    start = started(path)
    return start.spec if start else None
