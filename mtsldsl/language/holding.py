"""Values held against what the tables say of them: records that are made in Python can say what a text can, no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.language.constants import Named, is_shape
from mtsldsl.language.kinds import (
    AVERAGE,
    EPOCHS,
    Alternatives,
    Call,
    CallRule,
    Choice,
    Chosen,
    Flag,
    Identifier,
    Input,
    Integer,
    Keep,
    Key,
    Kind,
    LayerName,
    Many,
    Maybe,
    OneOrMany,
    OrName,
    Real,
    Required,
    Tasks,
    Text,
    Told,
    describe,
    within,
)
from mtsldsl.language.targets import metric_rule
from mtsldsl.language.written import can_be_quoted, is_word

Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]
Fields: TypeAlias = list["attrs.Attribute[Any]"]


def hold(kind: Kind, value: object, subject: str) -> None:
    """Raise ValueError where the value is none of the kind, resolved: every argument has its value. `subject` names
    it."""
    match kind, value:
        case Call(), Named():
            rule = kind.rule(value.name)
            if rule is not None:
                return hold_all(keys_of(rule), value.arguments, value.name)
        case Keep(), Named() if value.name == AVERAGE.name:
            return hold_all(AVERAGE.keys, value.arguments, value.name)
        case Many(item, minimum, length), tuple():
            if len(value) >= minimum and length in (None, len(value)):
                for each in value:
                    hold(item, each, f"a value of {subject}")
                return None
        case OneOrMany(item, length), _:
            return hold(Many(item, length=length) if isinstance(value, tuple) else item, value, subject)
        case Maybe(inner), _:
            return None if value is None else hold(inner, value, subject)
        case OrName(inner, name), _:
            return None if value == name else hold(inner, value, subject)
        case Told(inner), _:  # by now it is told
            return hold(inner, value, subject)
        case _ if _is_one(kind, value):
            return None
    raise ValueError(f"{subject} cannot be {value!r}: give {describe(kind)}")


def hold_all(keys: Iterable[Key], values: Mapping[str, object], subject: str) -> None:
    """Raise ValueError where the values are not one of its kind for each of the keys, and no other."""
    kinds = {key.name: key.kind for key in keys}
    for name in kinds:
        if name not in values:
            raise ValueError(f"{subject} needs {name}")
    for name, value in values.items():
        if name not in kinds:
            raise ValueError(f"{subject} has no {name}")
        hold(kinds[name], value, f"{name} of {subject}")


def keys_of(rule: CallRule) -> tuple[Key, ...]:
    """The arguments that a name comes to, those of any number as one."""
    return rule.keys if rule.rest is None else (Key(rule.rest.name, Many(rule.rest.kind, 1)),)


def keys_in(call: Call, name: str) -> tuple[Key, ...]:
    """The arguments of that name in a call; KeyError where it has none such."""
    rule = call.rule(name)
    if rule is None:
        raise KeyError(name)
    return keys_of(rule)


def _is_one(kind: Kind, value: object) -> bool:
    """Whether a value that is made of no others is one of the kind."""
    match kind:
        case Integer():
            return isinstance(value, int) and not isinstance(value, bool) and within(kind, value)
        case Real():
            return isinstance(value, int | float) and not isinstance(value, bool) and within(kind, value)
        case Flag():
            return isinstance(value, bool)
        case Text():
            return isinstance(value, str) and can_be_quoted(value)
        case Identifier() | LayerName():
            return isinstance(value, str) and value != "" and can_be_quoted(value)
        case Choice(names):
            return value in names
        case Tasks():
            return are_names(value) and value != ()
        case Alternatives():
            return are_names(value)
        case Input(several):
            match value:
                case (str(), *sizes):
                    return is_shape(tuple(sizes)) and all(within(Integer(1), size) for size in sizes)
                case (tuple(), *_) if several:
                    return all(_is_one(Input(), each) for each in value)
            return False
        case Keep():
            return isinstance(value, str) and (value in EPOCHS or _names_a_metric(value))
    return False


def are_names(value: object) -> bool:
    """Whether it holds names, each once."""
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value) and len({*value}) == len(value)


def _names_a_metric(keep: str) -> bool:
    task, _, key = keep.partition(".")
    return task.isidentifier() and metric_rule(key) is not None


def of_kind(kind: Kind) -> Validator:
    """Holds a field to a kind."""

    def validate(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        hold(kind, value, attribute.name)

    return validate


def of_record(*records: type) -> Validator:
    """Holds a field to the records of a class, or of one of several."""
    return _only_where(lambda value: isinstance(value, records), f"a {_either(records)}")


def of_records(*records: type) -> Validator:
    """Holds a field to tuples of the records of a class, or of one of several."""
    return _only_where(
        lambda value: isinstance(value, tuple) and all(isinstance(each, records) for each in value),
        f"a tuple, each a {_either(records)}",
    )


def by_name(*records: type) -> Validator:
    """Holds a field to mappings of names to the records of a class, or of one of several."""

    def fits(value: object) -> bool:
        if not isinstance(value, Mapping):
            return False
        return all(isinstance(name, str) and isinstance(each, records) for name, each in value.items())

    return _only_where(fits, f"a mapping of names, each to a {_either(records)}")


def _either(records: Iterable[type]) -> str:
    return " or a ".join(record.__name__ for record in records)


def _only_where(fits: Callable[[object], bool], wanted: str) -> Validator:
    def validate(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not fits(value):
            raise ValueError(f"{attribute.name} cannot be {value!r}: give {wanted}")

    return validate


LABEL = _only_where(
    lambda value: value is None or (isinstance(value, str) and is_word(value)),
    "letters, digits and `_`, no digit first",
)
"""Holds a field to what a block may be called, None where it has no name of its own."""

PLACE = of_record(Span, type(None))
"""Holds a field to the place of something in a text, None where it stands in none."""


def by_keys(keys: Iterable[Key] | None) -> Callable[[type, Fields], Fields]:
    """Holds each field of a record to the key of its name, but where it has a validator of its own; given to attrs as
    `field_transformer`."""
    kinds = {key.name: key.kind for key in keys or ()}

    def transform(_: type, fields: Fields) -> Fields:
        return [
            field.evolve(validator=of_kind(kinds[field.name])) if field.name in kinds and not field.validator else field
            for field in fields
        ]

    return transform


def named(call: Call, name: str, **given: Any) -> Named:
    """A name of the call with these arguments, and the others at their defaults."""
    return Named(name, completed(keys_in(call, name), given))


def completed(keys: Iterable[Key], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, and the defaults of the other keys that have one; in the order of the keys."""
    found = {key.name: given.get(key.name, key.default) for key in keys}
    return {name: value for name, value in found.items() if not isinstance(value, Required | Chosen)} | dict(given)
