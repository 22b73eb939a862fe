"""The three-way merge of sharings that evolved apart."""

from __future__ import annotations

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing import partition as sets
from mtsldsl.sharing.partition import Partition
from mtsldsl.sharing.sharing import Sharing
from mtsldsl.sharing.validity import refinement_problems


@attrs.frozen(eq=False, repr=False)
class Conflict(Record):
    """A layer on which two sharings cannot be brought together, with what each of the three has there.

    `reason` is one sentence. Where the layer alone would be settled, but not together with a layer that it reads,
    `keeper` is that layer.
    """

    layer: str
    reason: str
    base: Partition
    ours: Partition
    theirs: Partition
    keeper: str | None = None

    def __str__(self) -> str:
        return f"layer `{self.layer}`: {self.reason}"


class ConflictError(ValueError):
    """`merge3` found no sharing that keeps both sides' changes; `conflicts` names every layer that is in the way."""

    def __init__(self, conflicts: tuple[Conflict, ...]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts

    def __str__(self) -> str:
        return "\n".join(map(str, self.conflicts))


def merge3(base: Sharing, ours: Sharing, theirs: Sharing) -> Sharing:
    """The sharing that has the changes of both sides since `base`; it does not matter which side is which.

    Layer by layer: where one side left a layer alone or both made it the same, the other's is taken; where both only
    merged, the join; where both only split, the meet. Anything else (one side split, the other merged) is a conflict,
    and so is a layer whose settled components would share what a layer that it reads, as settled, keeps apart.
    Raises ConflictError with all conflicts, ValueError where backbones or tasks differ.
    """
    ours, theirs = base.comparable(ours), base.comparable(theirs)
    settled: dict[str, Partition] = {}
    conflicts: list[Conflict] = []
    for layer in base.backbone.layers:
        picked = _pick(base[layer], ours[layer], theirs[layer], base.tasks)
        if picked is None:
            reason = "one side split what the other merged"
            conflicts.append(Conflict(layer, reason, base[layer], ours[layer], theirs[layer]))
        else:
            settled[layer] = picked
    # Each side is valid, but a split of one side may meet a merge of the other at a deeper layer.
    conflicts += [
        Conflict(
            problem.layer,
            f"with both sides' changes {problem.reason}",
            base[problem.layer],
            ours[problem.layer],
            theirs[problem.layer],
            problem.keeper,
        )
        for problem in refinement_problems(base.backbone, base.tasks, settled)
    ]
    if conflicts:
        raise ConflictError(tuple(sorted(conflicts, key=lambda conflict: base.backbone.position(conflict.layer))))
    return Sharing(base.backbone, base.tasks, settled)


def _pick(base: Partition, ours: Partition, theirs: Partition, tasks: tuple[str, ...]) -> Partition | None:
    if ours in (theirs, base):
        return theirs
    if theirs == base:
        return ours
    if sets.refines(base, ours) and sets.refines(base, theirs):
        return sets.join(ours, theirs, tasks)
    if sets.refines(ours, base) and sets.refines(theirs, base):
        return sets.meet(ours, theirs, tasks)
    return None
