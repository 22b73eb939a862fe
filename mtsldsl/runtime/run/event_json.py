"""Events as objects of JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

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
    another version may have written it. Raises ValueError where a value is of another type than the field, or an epoch
    is missing or below 0.
    """
    made = class_of(content["event"])
    if made is None:
        return None
    fields = attrs.fields(made)
    rest = {name: value for name, value in content.items() if name not in {"event", *(each.name for each in fields)}}
    given: dict[str, Any] = {
        each.name: rest if "spread" in each.metadata else content.get(each.name) for each in fields
    }
    optional = {each.name for each in fields if each.default is not attrs.NOTHING}
    for name, hint in _types_of(made.kind).items():
        value, of_epoch = given[name], name == "epoch" and name not in optional
        if value is None and not of_epoch:
            continue
        if not _fits(value, hint) or (of_epoch and value < 0):
            raise ValueError(f"`{name}` of `{made.kind}` cannot be {value!r}")
    return made(**{name: value for name, value in given.items() if value is not None or name not in optional})


@cache
def _types_of(kind: str) -> dict[str, Any]:
    """The types of the fields of a kind that is known, by name."""
    made = class_of(kind)
    assert made is not None
    hints = get_type_hints(made)
    return {field.name: hints[field.name] for field in attrs.fields(made)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON may stand for one of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(each, arguments[1]) for each in value.values())
    if origin is Sequence:
        return isinstance(value, list) and all(_fits(each, arguments[0]) for each in value)
    if origin is tuple:
        return isinstance(value, list) and len(value) == len(arguments) and all(map(_fits, value, arguments))
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
