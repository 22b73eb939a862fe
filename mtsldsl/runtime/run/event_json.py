"""Events as objects of JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from mtsldsl.methods.evidence import Event
from mtsldsl.methods.registry import findings
from mtsldsl.runtime.run.events import (
    Begun,
    Beside,
    Best,
    Constant,
    Epoch,
    Gradients,
    LeftAlone,
    OtherData,
    Phase,
    Resume,
    Start,
    Stopped,
    TaskStopped,
    Taught,
    Validation,
    Warned,
    Weighed,
)
from mtsldsl.runtime.run.final_events import BesideTest, Confusion, End, Pictures, SingleTask, Test

KINDS: Mapping[str, type[Event]] = {
    each.kind: each
    for each in (
        Start,
        Warned,
        Constant,
        OtherData,
        Resume,
        Begun,
        Taught,
        Epoch,
        Weighed,
        Gradients,
        Validation,
        Best,
        Beside,
        BesideTest,
        Phase,
        LeftAlone,
        Stopped,
        TaskStopped,
        Test,
        SingleTask,
        Confusion,
        Pictures,
        End,
    )
}
"""The class of each kind that every run may have."""


def class_of(kind: str) -> type[Event] | None:
    """The class of a kind, of every run or of a learner; None of one that is not known."""
    return KINDS.get(kind) or findings().get(kind)


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
    content: dict[str, Any] = {"event": event.kind}
    for field in attrs.fields(type(event)):
        value = plain(getattr(event, field.name))
        if "spread" in field.metadata:
            content |= value
        elif value is not None or "left out" not in field.metadata:
            content[field.name] = value
    return content


def from_json(content: Mapping[str, Any]) -> Event | None:
    """The event that such an object is, None of a kind that is not known.

    What else the object holds is evidence where the kind has such, and left out elsewhere; what it lacks is None:
    another version may have written it.
    """
    made = class_of(content["event"])
    if made is None:
        return None
    fields = attrs.fields(made)
    rest = {name: value for name, value in content.items() if name not in {"event", *(each.name for each in fields)}}
    given = {each.name: rest if "spread" in each.metadata else content.get(each.name) for each in fields}
    optional = {each.name for each in fields if each.default is not attrs.NOTHING}
    return made(**{name: value for name, value in given.items() if value is not None or name not in optional})
