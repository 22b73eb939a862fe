"""What all records share, held against what attrs writes for a class of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.records import Record

ROOT = Path(__file__).parents[1]


@attrs.frozen(eq=False, repr=False)
class Light(Record):
    first: Any
    second: Any = attrs.field(eq=False)
    third: Any = attrs.field(default=0, repr=False)
    fourth: Any = attrs.field(default=(), hash=False)


@attrs.frozen(eq=False, repr=False)
class Other(Light):
    pass


@attrs.frozen(eq=False, repr=False)
class Alone(Record):
    pass


@attrs.frozen
class Heavy:
    first: Any
    second: Any = attrs.field(eq=False)
    third: Any = attrs.field(default=0, repr=False)
    fourth: Any = attrs.field(default=(), hash=False)


values = st.one_of(st.integers(0, 1), st.sampled_from([0.0, 1.0, "a", None, (), (1,)]))
fields = st.tuples(values, values, values, values)


@given(fields, fields)
def test_records_are_equal_where_those_of_attrs_are(one: Any, two: Any) -> None:
    assert (Light(*one) == Light(*two)) is (Heavy(*one) == Heavy(*two))
    assert (Light(*one) != Light(*two)) is (Heavy(*one) != Heavy(*two))


@given(fields)
def test_equal_records_have_one_hash(one: Any) -> None:
    same = Light(one[0], "anything", *one[2:])
    assert same == Light(*one)
    assert hash(same) == hash(Light(*one))
    assert len({same, Light(*one), Other(*one)}) == 2


@given(fields)
def test_records_are_shown_as_those_of_attrs(one: Any) -> None:
    assert repr(Light(*one)) == repr(Heavy(*one)).replace("Heavy", "Light")


def test_a_field_that_is_left_out_of_the_hash_may_be_unhashable() -> None:
    assert hash(Light(1, 2, 3, [])) == hash(Light(1, 2, 3, [4]))


@given(fields)
def test_a_record_of_another_class_is_another(one: Any) -> None:
    assert Light(*one) != Other(*one)
    assert Light(*one) != Heavy(*one)


def test_records_without_fields_are_one_by_their_class() -> None:
    assert Alone() == Alone()
    assert hash(Alone()) == hash(Alone())
    assert repr(Alone()) == "Alone()"


def test_records_have_no_room_for_more() -> None:
    assert not hasattr(Light(1, 2), "__dict__")


WRITTEN_ANEW = """
import sys
from mtsldsl.cli import main
main(["check", "specs/scenes.mtl"], standalone_mode=False)
for module in [module for name, module in sys.modules.items() if name.startswith("mtsldsl.")]:
    for each in vars(module).values():
        if isinstance(each, type) and each.__module__ == module.__name__ and "__attrs_attrs__" in vars(each):
            for name in ("__eq__", "__hash__", "__repr__"):
                code = getattr(vars(each).get(name), "__code__", None)
                if code and code.co_filename.startswith("<attrs"):
                    print(each, name, file=sys.stderr)
"""


def test_a_check_makes_no_class_for_which_attrs_writes_these_methods() -> None:
    done = subprocess.run([sys.executable, "-c", WRITTEN_ANEW], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("specs/scenes.mtl: 4 tasks")
    assert not done.stderr
