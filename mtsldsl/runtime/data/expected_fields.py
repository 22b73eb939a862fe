"""The fields that the tasks of a data block read, and what they should hold."""

from __future__ import annotations

from mtsldsl.runtime.data.array_fields import Expected, expected_input, expected_target
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields_read import at_odds, field_of_task


def expected_fields(spec: Demand) -> dict[str, Expected]:
    """The input, then the field of each task by its name. Raises MTL603 where two tasks read one in two ways."""
    expected = {spec.data.input: expected_input(spec.data)}
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        if name == spec.data.input:
            continue
        found = expected_target(name, task)
        if expected.setdefault(name, found) != found:
            raise at_odds(name, task)
    return expected
