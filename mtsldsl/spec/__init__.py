"""The specification: what a `.mtl` text means, checked, with every name, default and shape resolved."""

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
