"""What is asked of a data set: its block, and the tasks that read it."""

from __future__ import annotations

from typing import Protocol

import attrs

from mtsldsl.ir.model import Data
from mtsldsl.ir.task_record import Task
from mtsldsl.records import Record


class Demand(Protocol):
    """A data block and the tasks that read it: part of a spec, or a whole one that has no other data."""

    @property
    def data(self) -> Data:
        """The block."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, in the order of the spec."""


@attrs.frozen(eq=False, repr=False)
class Part(Record):
    """The demand of one data block among several."""

    data: Data
    tasks: tuple[Task, ...]
    workers: int = 0
    """Processes that read samples beside this one, where that is quicker."""
