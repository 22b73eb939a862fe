"""The specification: what a `.mtl` text means, checked, with every name, default and shape resolved.

What a text is read without is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtsldsl.spec.load import dumps, load, loads, loads_source
from mtsldsl.spec.model import (
    Body,
    Constant,
    Data,
    Decision,
    Layer,
    Named,
    Reference,
    Shape,
    Spec,
    Step,
    Structure,
    Target,
    Task,
    Train,
)

if TYPE_CHECKING:
    from mtsldsl.spec.normal import digest, normal_form
    from mtsldsl.spec.overrides import overridden
    from mtsldsl.spec.rewrite import rewritten

__all__ = [
    "Body",
    "Constant",
    "Data",
    "Decision",
    "Layer",
    "Named",
    "Reference",
    "Shape",
    "Spec",
    "Step",
    "Structure",
    "Target",
    "Task",
    "Train",
    "digest",
    "dumps",
    "load",
    "loads",
    "loads_source",
    "normal_form",
    "overridden",
    "rewritten",
]

_HOMES = {
    "digest": "mtsldsl.spec.normal",
    "normal_form": "mtsldsl.spec.normal",
    "overridden": "mtsldsl.spec.overrides",
    "rewritten": "mtsldsl.spec.rewrite",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
