"""The three-way merge of sharings that evolved apart."""

from __future__ import annotations

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing.groups import Groups
from mtsldsl.sharing.row import Row, merged
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
    base: Row
    ours: Row
    theirs: Row
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
    merged, the join; where both only split, the meet; of a cover, each use that one side changed.
    Anything else (one side split, the other merged) is a conflict,
    and so is a layer whose settled components would share what a layer that it reads, as settled, keeps apart.
    Raises ConflictError with all conflicts, ValueError where backbones or tasks differ.
    """
    ours, theirs = base.comparable(ours), base.comparable(theirs)
    settled: dict[str, Row] = {}
    conflicts: list[Conflict] = []
    for layer in base.backbone.layers:
        alternatives = base.backbone.alternatives(layer)
        picked = merged(base[layer], ours[layer], theirs[layer], base.tasks, alternatives)
        if picked is None:
            reason = "one side split what the other merged"
            if any(isinstance(side[layer], Groups) for side in (base, ours, theirs)):
                reason = "the two sides group the tasks in ways that do not go together"
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
        for problem in refinement_problems(base.backbone, base.tasks, settled, base.sources)
    ]
    if conflicts:
        raise ConflictError(tuple(sorted(conflicts, key=lambda conflict: base.backbone.position(conflict.layer))))
    return base.given(settled)
