"""The algebra of sharing: which tasks share which layers, and what may change.

Pure Python and light to import: what a specification is read without is imported when it is first asked for. Only
`group_tasks`, `decide_grouping` and `GroupingDecision` bring numpy in, and `select_groups` for very many tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtsldsl.on_demand import on_demand
from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.component import HEADS, Copy, component_name
from mtsldsl.sharing.cover import Cover, Use
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.groups import Group, Groups
from mtsldsl.sharing.linked import linked, linked_in_order
from mtsldsl.sharing.parsing import parse_components, parse_row, parse_sharing
from mtsldsl.sharing.partition import Component, Partition
from mtsldsl.sharing.row import Row
from mtsldsl.sharing.sharing import Sharing, problems, unmerged
from mtsldsl.sharing.text import (
    format_components,
    format_partition,
    format_row,
    format_sharing,
    format_tasks,
)

if TYPE_CHECKING:
    from mtsldsl.sharing.budget import select_networks
    from mtsldsl.sharing.difference import Change, Diff, Help, Switch, apply, diff
    from mtsldsl.sharing.grouping import GroupingDecision, decide_grouping, group_tasks
    from mtsldsl.sharing.merging import Conflict, ConflictError, merge3
    from mtsldsl.sharing.overlapping import Selection, decide_groups, select_groups
    from mtsldsl.sharing.trees import Tree, choose_tree

__all__ = [
    "HEADS",
    "Backbone",
    "Change",
    "Component",
    "Conflict",
    "ConflictError",
    "Copy",
    "Cover",
    "Diff",
    "Group",
    "GroupingDecision",
    "Groups",
    "Help",
    "Partition",
    "Row",
    "Selection",
    "Sharing",
    "SharingError",
    "Switch",
    "Tree",
    "Use",
    "apply",
    "choose_tree",
    "component_name",
    "decide_grouping",
    "decide_groups",
    "diff",
    "format_components",
    "format_partition",
    "format_row",
    "format_sharing",
    "format_tasks",
    "group_tasks",
    "linked",
    "linked_in_order",
    "merge3",
    "parse_components",
    "parse_row",
    "parse_sharing",
    "problems",
    "select_groups",
    "select_networks",
    "unmerged",
]


_HOMES = {
    **dict.fromkeys(("Change", "Diff", "Help", "Switch", "apply", "diff"), "mtsldsl.sharing.difference"),
    **dict.fromkeys(("GroupingDecision", "decide_grouping", "group_tasks"), "mtsldsl.sharing.grouping"),
    **dict.fromkeys(("Conflict", "ConflictError", "merge3"), "mtsldsl.sharing.merging"),
    **dict.fromkeys(("Selection", "decide_groups", "select_groups"), "mtsldsl.sharing.overlapping"),
    "select_networks": "mtsldsl.sharing.budget",
    **dict.fromkeys(("Tree", "choose_tree"), "mtsldsl.sharing.trees"),
}

__getattr__ = on_demand(__name__, _HOMES)
