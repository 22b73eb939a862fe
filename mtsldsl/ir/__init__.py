"""From the tree of a text to its meaning, the specification: every name, default and shape resolved, and checked."""

from mtsldsl.ir.body import Body, Reference, Step
from mtsldsl.ir.model import Data, Decision, Layer, Spec, Structure, Train
from mtsldsl.ir.task_record import Target, Task

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
