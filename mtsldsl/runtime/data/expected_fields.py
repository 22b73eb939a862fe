"""The fields that the tasks of a data block read, and what they should hold."""

from __future__ import annotations

from mtsldsl.runtime.data.array_fields import expected_inputs, expected_target
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields_read import at_odds, field_of_task


def expected_fields(spec: Demand) -> dict[str, Expected]:
    """The inputs, then the field of each task by its name. Raises MTL603 where two tasks read one in two ways."""
    expected = expected_inputs(spec.data)
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        if name in spec.data.inputs:
            continue
        found = expected_target(name, task)
        if expected.setdefault(name, found) != found:
            raise at_odds(name, task)
    return expected
