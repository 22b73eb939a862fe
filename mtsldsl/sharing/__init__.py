"""The algebra of sharing: which tasks share which layers, and what may change.

Pure Python and light to import: `group_tasks`, `decide_grouping` and `GroupingDecision` bring numpy in when they are
first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.costs import Cost, cost
from mtsldsl.sharing.difference import Change, Diff, apply, diff
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.partition import Component, Partition
from mtsldsl.sharing.sharing import Sharing, problems, unmerged
from mtsldsl.sharing.text import (
    component_name,
    format_components,
    format_partition,
    format_sharing,
    format_tasks,
    parse_components,
    parse_sharing,
)
from mtsldsl.sharing.threeway import Conflict, ConflictError, merge3

if TYPE_CHECKING:
    from mtsldsl.sharing.grouping import GroupingDecision, decide_grouping, group_tasks

__all__ = [
    "Backbone",
    "Change",
    "Component",
    "Conflict",
    "ConflictError",
    "Cost",
    "Diff",
    "GroupingDecision",
    "Partition",
    "Sharing",
    "SharingError",
    "apply",
    "component_name",
    "cost",
    "decide_grouping",
    "diff",
    "format_components",
    "format_partition",
    "format_sharing",
    "format_tasks",
    "group_tasks",
    "merge3",
    "parse_components",
    "parse_sharing",
    "problems",
    "unmerged",
]


def __getattr__(name: str) -> Any:
    if name in ("GroupingDecision", "decide_grouping", "group_tasks"):
        from mtsldsl.sharing import grouping

        return getattr(grouping, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
