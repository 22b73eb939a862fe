"""From the tree of a text to its meaning, the specification: every name, default and shape resolved, and checked."""

from mtsldsl.ir.body import Body, Reference, Step
from mtsldsl.ir.model import Data, Decision, Layer, Spec, Structure, Target, Task, Train

__all__ = [
    "Body",
    "Data",
    "Decision",
    "Layer",
    "Reference",
    "Spec",
    "Step",
    "Structure",
    "Target",
    "Task",
    "Train",
]
