"""A field of a record takes values of its own kind alone: what a text can never come to is refused, with its name."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl import ir
from mtsldsl.diagnostics import Source
from mtsldsl.editing import loads
from mtsldsl.ir import Body, Data, Decision, Layer, Spec, Step, Structure, Target, Task, Train
from mtsldsl.ir.body import Parallel
from mtsldsl.language import Named
from mtsldsl.records import Record
from tests.ir.data_blocks import TWO
from tests.ir.specs import text

MERGED = """structure mtsl { phases = [3] }
tuning { stem = frozen }
sharing { stem = segment + depth, edge, normal }
history { merge(epoch=1, layer=stem, tasks=segment + depth, similarity=0.5) }
"""
ROUTED = text("structure allocation {\n  budget = 0.5\n  write  = [3]\n}").replace(
    "conv2d(16, 3) | batch_norm | relu", "parallel(conv3=conv2d(16, 3), conv5=conv2d(16, 5))"
)
SPECS = [loads(each) for each in (text(MERGED), ROUTED, TWO)]
"""Between them they have a record of each class."""

IR = (Body, Data, Decision, Layer, Named, Parallel, Spec, Step, Structure, Target, Task, Train)


def records(value: object) -> Iterator[Record]:
    """All records of the classes that a spec is made of, itself among them."""
    if isinstance(value, IR):
        yield value
        for field in attrs.fields(type(value)):
            yield from records(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from records(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from records(each)


EVERY = [record for spec in SPECS for record in records(spec)]
PLACES = [(record, field) for record in EVERY for field in attrs.fields(type(record)) if field.init]
HINTS = {kind: typing.get_type_hints(kind) for kind in IR}

OTHERS = [
    None, True, 7, 0.5, "word", b"word", object(), ["word"], {"word"}, (None,), (7.5, 1), ((),), {"word": object()}, {7: 7},
    Source("other.mtl", ""), Named("adam"), SPECS[0].tasks[0], SPECS[0].layers[0], SPECS[0].train, SPECS[0].sharing,
    SPECS[0].backbone,
]  # fmt: skip
"""Values of many kinds, of which a field takes one or two."""


def is_of(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind that the annotation of a field says; True and False are no numbers."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(is_of(value, each) for each in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if inner[-1] is Ellipsis:
            return all(is_of(each, inner[0]) for each in value)
        return len(value) == len(inner) and all(map(is_of, value, inner))
    if origin is frozenset:
        return isinstance(value, frozenset)
    if origin is not None:
        of_name, of_value = inner
        return isinstance(value, Mapping) and all(
            is_of(name, of_name) and is_of(each, of_value) for name, each in value.items()
        )
    if isinstance(hint, typing.ForwardRef | str):
        return False  # of a constant, a list of such
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)


def test_the_specs_have_a_record_of_each_class_and_each_is_made_anew() -> None:
    assert {type(record) for record in EVERY} == set(IR)
    for record in EVERY:
        assert attrs.evolve(record) == record


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), data=st.data())
def test_a_field_of_a_record_refuses_a_value_of_another_kind(
    place: tuple[Any, attrs.Attribute[Any]], data: st.DataObject
) -> None:
    record, field = place
    other = data.draw(st.sampled_from([each for each in OTHERS if not is_of(each, HINTS[type(record)][field.name])]))
    with pytest.raises(ValueError, match=r"."):
        attrs.evolve(record, **{field.alias: other})


def test_every_public_record_of_the_language_is_among_them() -> None:
    public = {getattr(ir, name) for name in ir.__all__}
    assert {each for each in public if isinstance(each, type) and issubclass(each, Record)} <= set(IR)
