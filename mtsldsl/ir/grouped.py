"""Groups that are chosen by who helps whom, as a spec has them: its sharing, and the lines of `history`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mtsldsl.ir.model import Decision, Spec
from mtsldsl.methods.evidence import in_four_digits
from mtsldsl.records import Record
from mtsldsl.sharing import Cover, Sharing, decide_groups
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.overlapping import Affinity, Singles
from mtsldsl.sharing.partition import in_order

GROUP = "group"
"""The decision of `history` that says who is trained together."""


@attrs.frozen(eq=False, repr=False)
class Grouped(Record):
    """A sharing in groups, a decision for each group, and plain data that say how they were found."""

    sharing: Sharing
    decisions: tuple[Decision, ...]
    evidence: Mapping[str, Any]


def grouped(spec: Spec, affinity: Affinity, groups: int, singles: Singles, epoch: int) -> Grouped:
    """The tasks of a spec in the groups that are the best by their affinities (`sharing.select_groups`), chosen at the
    end of that epoch. Two of whom nothing is known neither help nor harm each other.

    Raises SharingError where the network or its data leave no groups, ValueError where there is no such choice, or
    nothing is known of any two.
    """
    tasks, layers = spec.sharing.tasks, spec.backbone.layers
    for layer in layers:
        if isinstance(spec.sharing[layer], Cover):
            reason = "it is made of alternatives, and groups are networks of their own"
            raise SharingError(layer, (), reason, code="MTL505")
    pairs = [(one, other) for one in tasks for other in tasks if one != other]
    missing = sum(other not in affinity.get(one, {}) for one, other in pairs)
    if pairs and missing == len(pairs):
        raise ValueError("nothing was measured of any two of these tasks, as of tasks that share no layer")
    known = {one: {other: affinity.get(one, {}).get(other, 0.0) for other in tasks} for one in tasks}
    selection = decide_groups(known, groups, singles)
    row = selection.row(tasks)
    found = dict(zip(selection.served, selection.affinities, strict=True))
    told = [
        {
            "served": in_order(group.tasks, tasks),
            "helped": in_order(group.helped, tasks),
            "affinity": found[group.tasks],
        }
        for group in row
    ]
    decisions = tuple(
        Decision(
            GROUP,
            epoch,
            {"tasks": in_order(group.tasks | group.helped, tasks), "affinity": in_four_digits(found[group.tasks])},
        )
        for group in row
    )
    evidence = {"groups": told, "value": selection.value, "exact": selection.exact, "unmeasured": missing}
    return Grouped(spec.sharing.given(dict.fromkeys(layers, row)), decisions, evidence)
