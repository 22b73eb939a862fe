"""Which epoch's weights a run keeps, by its record, and what a page says of it first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from mtsldsl.diagnostics.bounded import shown
from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.event_lines import said_of_teachers, short

Kind = TypeVar("Kind", bound=Event)


def last(recorded: Sequence[Event], kind: type[Kind]) -> Kind | None:
    """The newest event of a kind."""
    return next((event for event in reversed(recorded) if isinstance(event, kind)), None)


def first_facts(recorded: Sequence[Event]) -> Iterator[tuple[str, str]]:
    """The epoch that is kept, the time that the run took, and the command that began it, each with its name."""
    start, test, end = (last(recorded, kind) for kind in (events.Start, final_events.Test, final_events.End))
    yield "Epoch kept", _kept(recorded)
    if isinstance(test, final_events.Test):
        yield "Chosen by", test.chosen_by
    if isinstance(end, final_events.End):
        memory = "" if end.peak_memory_mb is None else f", with at most {end.peak_memory_mb:,.0f} MB of memory"
        yield "Time", f"{_time(recorded, end)}{memory}"
        if end.teachers_seconds is not None:
            yield "Teachers", f"took {said_of_teachers(end.teachers_seconds)}"
    if isinstance(start, events.Start) and start.command:
        yield "Command", start.command


def _time(recorded: Sequence[Event], end: final_events.End) -> str:
    """That of the whole run; of one that went on, which counts anew, that of its epochs."""
    if last(recorded, events.Resume) is None:
        return f"{short(end.seconds)} s in all"
    epochs = [each.epoch_seconds or 0 for each in recorded if isinstance(each, events.Epoch)]
    return f"{short(sum(epochs))} s in its epochs"


def _kept(recorded: Sequence[Event]) -> str:
    test, start = last(recorded, final_events.Test), last(recorded, events.Start)
    if test is None:
        return "none yet: the run has not ended"
    epochs = sorted(set(test.epochs.values()))
    of = f" of {start.epochs}" if start and start.epochs else ""
    if len(epochs) > 1:
        by_task = shown([f"{task} {epoch}" for task, epoch in test.epochs.items()], ", ")
        return f"{epochs[0]} to {epochs[-1]}{of}, by task: {by_task}"
    took = next((each for each in recorded if isinstance(each, events.Epoch) and each.epoch == epochs[0]), None)
    return f"{epochs[0]}{of}{f', which took {short(took.epoch_seconds)} s' if took and took.epoch_seconds else ''}"
