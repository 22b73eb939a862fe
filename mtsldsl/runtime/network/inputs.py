"""What a network is given of some samples: one tensor, or one for each of its inputs where it has several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from torch import Tensor

from mtsldsl.ir import Data, Spec
from mtsldsl.ir.wiring import Value, inputs_of

Inputs: TypeAlias = Tensor | tuple[Tensor, ...]
"""`(n, ...)`; where there are several, in the order in which `input` names them."""


def inputs_in(batch: Mapping[str, Tensor], data: Data) -> Inputs:
    """The inputs of a data block, of a batch by names."""
    found = tuple(batch[name] for name in data.inputs)
    return found if len(found) > 1 else found[0]


def each_of(inputs: Inputs) -> tuple[Tensor, ...]:
    """All of them, also where there is one."""
    return inputs if isinstance(inputs, tuple) else (inputs,)


def as_values(spec: Spec, inputs: Inputs) -> dict[Value, Tensor]:
    """What the calls of the network read of them, the same for the tasks of every source."""
    named = dict(zip(spec.data.inputs, each_of(inputs), strict=True))
    return {value: named[value.layer] for value in inputs_of(spec)}
