"""Branching in the language: its block, what is wrong or doubtful in it, the decisions that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from mtsldsl.language.holding import by_keys, of_record
from mtsldsl.language.kinds import Choice, Integer, Key, Real
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Words
from mtsldsl.methods.method import Fault, Method, Reach, Situation, Surroundings, Values
from mtsldsl.methods.phases import faults_of_phases
from mtsldsl.methods.shared_layers import beyond_reach, deciding_to_share, who_shares
from mtsldsl.methods.similarities import (
    RECORDS,
    SIMILARITIES,
    Chosen,
    Compared,
    Incomparable,
    comparable,
    completed_similarity,
    name_of,
    reads_the_same,
    record_of,
    too_many_samples,
)
from mtsldsl.records import Record
from mtsldsl.sharing import Sharing, linked
from mtsldsl.sharing.partition import in_order

FRESH, AVERAGE = "fresh", "average"
"""What the network of the tree starts from: initial weights, or those that there are, of what is shared the mean."""

ONE_SIZE = "inputs of one size", "inputs of other sizes"
"""What tasks need to be compared, and what keeps them from it."""

BLOCK = BlockSchema(
    "structure",
    "chooses once the tree of layers that tasks share, under a budget of parameters",
    (
        Key("at", Integer(1), "epoch at whose end the tree is chosen"),
        Key("similarity", SIMILARITIES, "similarity of two tasks at a layer", "rsa"),
        Key(
            "budget",
            Real(0, 1, open_minimum=True, open_maximum=True),
            "parameters that the network may have, as a share of those of a network for each task",
            0.5,
        ),
        Key("beam", Integer(1, 10_000), "choices that go on from layer to layer", 10),
        Key("transfer", Choice((FRESH, AVERAGE)), "how the chosen network gets its weights", FRESH),
    ),
    label="branch",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What the learner is made of."""

    at: int
    similarity: Chosen = attrs.field(validator=of_record(*RECORDS.values()))
    budget: float
    beam: int
    transfer: str


BRANCH = deciding_to_share(
    "branch",
    "tasks that share a layer in the tree that was chosen",
    "epoch at whose end it was",
    "the least similarity of two of them",
    "shares",
)


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """An epoch after the last one."""
    if "at" in values:
        yield from faults_of_phases((values["at"],), surroundings.epochs, "at")


def hindrances(chosen: Settings, reach: Reach) -> Iterator[Fault]:
    """A budget below what the network has with all layers shared, tasks that share layers already and cannot be
    compared, and tasks that share nothing to be compared in."""
    tasks = reach.sharing.tasks
    if reads_the_same(chosen.similarity):
        yield from _apart(chosen.similarity, reach)
    sources = reach.sharing.sources
    sides = [part for side in reach.sides for part in comparable(chosen.similarity, side, sources)]
    for layer in reach.sharing.backbone.layers:
        for component in reach.sharing.partition(layer):
            if not any(component <= side for side in sides):
                sized = any(component <= side for side in reach.sides)
                what, others = ("the same samples", "samples of their own") if sized else ONE_SIZE
                names = " and ".join(f"`{task}`" for task in in_order(component, tasks))
                cause = (
                    f"`structure branch` compares tasks with {what}, and {names}, which share `{layer}`, have others"
                )
                remedy = f"let tasks with {others} share nothing, or leave the block `structure` out"
                yield Fault("MTL505", cause, remedy, "similarity")
                return
    yield from beyond_reach(chosen.budget, reach, "budget")


def _apart(similarity: Chosen, reach: Reach) -> Iterator[Fault]:
    """Tasks that share nothing, where they are compared by what they ask of what they share."""
    sharing, name = reach.sharing, name_of(similarity)
    if len(sharing.tasks) > 1 and sharing == sharing.apart():
        first, *_, last = sharing.backbone.layers
        cause = f"`{name}` compares tasks that share every layer, and here they share none"
        remedy = f"write `sharing {{ {first}..{last} = all }}`, or compare by `rsa`"
        yield Fault("MTL505", cause, remedy, "similarity")


def shared_whole(sharing: Sharing) -> Sequence[frozenset[str]] | None:
    """The sets of tasks that share every layer, and nothing with others; None where some share a part of the layers."""
    rows = [sharing.partition(layer) for layer in sharing.backbone.layers]
    sets = linked(each for row in rows for each in row)
    return sets if all(each in row for each in sets for row in rows) else None


def completed(values: Values, surroundings: Surroundings) -> Values:
    """With the optimizer's learning rate where a step is to be made and none is given."""
    return {**values, "similarity": completed_similarity(values["similarity"], surroundings.lr)}


def doubts(situation: Situation) -> Iterator[Fault]:
    """A tree that has nothing to bring together or is never trained, and more images than there are."""
    chosen: Settings = situation.settings
    sharing = situation.sharing
    if len(sharing.tasks) == 1:
        cause = "there is a single task, so there are no two that could share"
        yield Fault("MTL931", cause, "leave `structure` out", "at")
    elif reads_the_same(chosen.similarity):
        if shared_whole(sharing) is None:
            cause = f"`{name_of(chosen.similarity)}` compares tasks that share every layer, and some share a part"
            yield Fault("MTL931", f"{cause}: nothing is chosen", "leave `structure` out, or let them share all", "at")
    elif all(len(sharing.partition(layer)) == 1 for layer in sharing.backbone.layers):
        cause = "all tasks share every layer already, so there is nothing to choose"
        yield Fault("MTL931", cause, "leave `structure` out, or start from a sharing with layers apart", "at")
    if chosen.at >= situation.epochs:
        cause = f"the tree that is chosen at epoch {chosen.at} is never trained: it is the last epoch"
        yield Fault("MTL932", cause, "choose it earlier, or train for longer", "at")
    yield from too_many_samples(chosen.similarity, situation)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Compares(Compared):
    """What was found at a layer before the tree was chosen."""

    kind = "branch_similarity"


def decided(decisions: Sequence[str], evidence: Evidence) -> list[str]:
    """Who shares what from now on."""
    return who_shares(evidence.get("branches", ()), "branches")


def undecided(evidence: Evidence) -> str:
    """Why nothing is shared."""
    if evidence.get("parts"):
        return "tasks that share a part of the layers alone are not compared"
    return "the network is within the budget as it is"


METHOD = Method(
    block=BLOCK,
    decisions=(BRANCH,),
    faults=faults,
    completed=completed,
    hindrances=hindrances,
    settings=lambda values: Settings(**{**values, "similarity": record_of(values["similarity"])}),
    doubts=doubts,
    learner="Branch",
    paper="Vandenhende, Georgoulis, De Brabandere, Van Gool: Branched Multi-Task Networks: Deciding What Layers To "
    "Share, BMVC 2020, arXiv 1904.02920",
    phases="at",
    budget="budget",
    counts=lambda settings: settings.budget is not None,
    findings=(Compares, Incomparable),
    words=Words(decided, undecided),
)
