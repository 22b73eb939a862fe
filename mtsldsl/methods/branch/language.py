"""Branching in the language: its block, what is wrong or doubtful in it, the decisions that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

import attrs

from mtsldsl.language.holding import by_keys, of_record
from mtsldsl.language.kinds import Choice, Integer, Key, Real
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Words
from mtsldsl.methods.method import Fault, Method, Reach, Situation, Surroundings, Values
from mtsldsl.methods.phases import faults_of_phases
from mtsldsl.methods.shared_layers import deciding_to_share, who_shares
from mtsldsl.methods.similarities import (
    REPRESENTATIONS,
    Cka,
    Compared,
    Incomparable,
    Rsa,
    record_of,
    too_many_samples,
)
from mtsldsl.records import Record
from mtsldsl.sharing.partition import in_order

FRESH, AVERAGE = "fresh", "average"
"""What the network of the tree starts from: initial weights, or those that there are, of what is shared the mean."""

BLOCK = BlockSchema(
    "structure",
    "begins with a network for each task, and chooses once the tree that they share, under a budget of parameters",
    (
        Key("at", Integer(1), "epoch at whose end the tree is chosen"),
        Key("similarity", REPRESENTATIONS, "similarity of two tasks' features", "rsa"),
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
    similarity: Cka | Rsa = attrs.field(validator=of_record(Cka, Rsa))
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
    """A budget below what the network has with all layers shared, and tasks that share layers already and cannot be
    compared."""
    allowed, tasks = chosen.budget * reach.single, reach.sharing.tasks
    for layer in reach.sharing.backbone.layers:
        for component in reach.sharing.partition(layer):
            if not any(component <= side for side in reach.sides):
                names = " and ".join(f"`{task}`" for task in in_order(component, tasks))
                cause = f"`structure branch` compares tasks with inputs of one size, and {names}, which share `{layer}`"
                remedy = "let tasks with inputs of other sizes share nothing, or leave the block `structure` out"
                yield Fault("MTL505", f"{cause}, have others", remedy, "similarity")
                return
    if reach.least > allowed:
        least = ceil(1000 * reach.least / reach.single) / 1000
        cause = f"the budget is {allowed:,.0f} parameters, and with every layer shared there are {reach.least:,}"
        remedy = f"give a `budget` of {least:g} or more" if least < 1 else "leave the block `structure` out"
        yield Fault("MTL202", cause, remedy, "budget")


def doubts(situation: Situation) -> Iterator[Fault]:
    """A tree that has nothing to bring together or is never trained, and more images than there are."""
    chosen: Settings = situation.settings
    sharing = situation.sharing
    if len(sharing.tasks) == 1:
        cause = "there is a single task, so there are no two that could share"
        yield Fault("MTL931", cause, "leave `structure` out", "at")
    elif all(len(sharing.partition(layer)) == 1 for layer in sharing.backbone.layers):
        cause = "all tasks share every layer already, so there is nothing to choose"
        yield Fault("MTL931", cause, "leave `structure` out, or start from a sharing with layers apart", "at")
    elif chosen.at >= situation.epochs:
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
    return "the network is within the budget as it is"


METHOD = Method(
    block=BLOCK,
    decisions=(BRANCH,),
    faults=faults,
    hindrances=hindrances,
    settings=lambda values: Settings(**{**values, "similarity": record_of(values["similarity"])}),
    doubts=doubts,
    learner="Branch",
    paper="Vandenhende, Georgoulis, De Brabandere, Van Gool: Branched Multi-Task Networks: Deciding What Layers To "
    "Share, BMVC 2020, arXiv 1904.02920",
    phases="at",
    findings=(Compares, Incomparable),
    words=Words(decided, undecided),
)
