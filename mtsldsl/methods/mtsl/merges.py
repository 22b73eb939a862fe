"""Merges of tasks' copies of layers, however they are chosen: as a proposal to the run."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from mtsldsl.ir import Decision, Spec
from mtsldsl.language import Constant
from mtsldsl.methods.evidence import in_four_digits
from mtsldsl.records import Record
from mtsldsl.runtime.structure.learner import Proposal
from mtsldsl.sharing.partition import in_order


@attrs.frozen(eq=False, repr=False)
class Merge(Record):
    """Tasks that are going to share a layer, and how similar their copies of it are on average; the threshold there,
    where nobody has given it."""

    layer: str
    tasks: frozenset[str]
    similarity: float
    threshold: float | None = None


def proposed(spec: Spec, epoch: int, merges: Sequence[Merge], places: int) -> Proposal:
    """The merges, as the sharing that they lead to and a line of `history` for each."""
    sharing = spec.sharing
    for merge in merges:
        sharing = sharing.merge(merge.layer, merge.tasks)
    decisions = []
    for merge in merges:
        tasks = in_order(merge.tasks, sharing.tasks)
        fields: dict[str, Constant] = {
            "layer": merge.layer,
            "tasks": tasks,
            "similarity": in_four_digits(merge.similarity),
        }
        if merge.threshold is not None:
            fields["threshold"] = in_four_digits(merge.threshold)
        decisions.append(Decision("merge", epoch, fields))
    listed = [{"layer": each.layer, "tasks": sorted(each.tasks), "similarity": each.similarity} for each in merges]
    return Proposal(sharing, tuple(decisions), {"places": places, "merges": listed})
