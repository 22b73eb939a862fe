"""Transference in the language: its block, what it finds, and the groups that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import attrs

from mtsldsl.diagnostics.bounded import first_lines, shown
from mtsldsl.diagnostics.counted import counted
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import CallRule, Choice, Integer, Key, Maybe, Real, Tasks
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Finding, Words
from mtsldsl.methods.method import DecisionRule, Fault, Method, Reach, Situation, Surroundings, Values
from mtsldsl.methods.phases import faults_of_phases
from mtsldsl.records import Record
from mtsldsl.sharing import Cover, Sharing
from mtsldsl.sharing.row import groups_of

SGD, OPTIMIZER, GRADIENT = "sgd", "optimizer", "gradient"
"""How a step is looked ahead: a plain one is made, or that of the optimizer, and the losses are computed anew; or the
plain one to the first order, by the gradients alone."""

BLOCK = BlockSchema(
    "structure",
    "measures which tasks help which while they learn together, and may choose groups of them",
    (
        Key("every", Integer(1), "steps from one look ahead to the next", 10),
        Key(
            "step",
            Choice((SGD, OPTIMIZER, GRADIENT)),
            "what is looked ahead to: a plain step, the optimizer's own, or the first order of the plain one",
            SGD,
        ),
        Key("groups", Maybe(Integer(1)), "networks to choose, each for a group of tasks", None, "nothing is chosen"),
        Key(
            "epochs",
            Integer(1),
            "epochs of training together, at whose end they are chosen",
            None,
            "half of those of the training",
        ),
        Key("singles", Choice(("never", "allowed")), "whether a task may be a group by itself", "never"),
    ),
    label="transference",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What the learner is made of."""

    every: int
    step: str
    groups: int | None
    epochs: int
    singles: Literal["never", "allowed"]

    @property
    def until(self) -> int | None:
        """The epochs after which groups are chosen and nothing more is measured; None where that never is."""
        return None if self.groups is None else self.epochs


GROUP = CallRule(
    "group",
    "tasks that came to be trained together, in a network of their own",
    (
        Key("epoch", Integer(0), "epoch at whose end they were chosen"),
        Key("tasks", Tasks(), "the tasks, those that help among them"),
        Key("affinity", Real(), "how much those that it serves are helped by the others, on average"),
    ),
)


def _together(sharing: Sharing, layer: str) -> set[frozenset[str]]:
    """The sets of tasks that a layer is trained for together."""
    row = sharing[layer]
    if isinstance(row, Cover):
        return {use.tasks for use in row}
    return {group.tasks | group.helped for group in groups_of(row)}


def contradiction(group: Values, sharing: Sharing) -> str | None:
    """Where the sharing trains others together than the history says."""
    tasks = frozenset(group["tasks"])
    for layer in sharing.backbone.layers:
        if tasks not in _together(sharing, layer):
            return f"the history trains {shown(group['tasks'], ' + ')} together, and no group of `{layer}` is that"
    return None


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """An epoch to choose groups at, where none are chosen, or after the last; of tasks that are in groups none are."""
    epochs = values.get("epochs")
    if epochs is None:
        return
    if values.get("groups", 1) is None:
        cause = "`epochs` says when groups are chosen, and `groups` does not say how many"
        yield Fault("MTL204", cause, "write `groups = 2`, or leave `epochs` out", "epochs")
        return
    if surroundings.grouped:
        return
    for fault in faults_of_phases((epochs,), surroundings.epochs, "epochs"):
        yield attrs.evolve(fault, item=None)


def completed(values: Values, surroundings: Surroundings) -> Values:
    """The values with the epoch at which groups are chosen."""
    half = ((surroundings.epochs or 1) + 1) // 2
    return {**values, "epochs": values["epochs"] or half}


def hindrances(chosen: Settings, reach: Reach) -> Iterator[Fault]:
    """Groups of tasks that read other samples, of whom nothing is measured."""
    if chosen.groups is not None and len(reach.sharing.sources) > 1:
        cause = "groups are chosen among tasks of one data block, and these tasks do not read the same samples"
        yield Fault("MTL505", cause, "leave `groups` out", "groups")


def doubts(situation: Situation) -> Iterator[Fault]:
    """Groups that change nothing, or are never trained."""
    chosen, sharing = situation.settings, situation.sharing
    if len(sharing.tasks) > 1 and all(
        len(each) == 1 for layer in sharing.backbone.layers for each in _together(sharing, layer)
    ):
        cause = "no two tasks share a layer, so that nothing is measured"
        yield Fault("MTL931", cause, "write `sharing` lines for what they share, such as all", "every")
    if chosen.groups is None:
        return
    if len(situation.sharing.tasks) == 1:
        yield Fault("MTL931", "there is a single task, and no group to choose", "leave `groups` out", "groups")
    elif situation.sharing.helpers:
        yield Fault(
            "MTL931", "the tasks are in groups already, and no others are chosen", "leave `groups` out", "groups"
        )
    elif chosen.epochs == situation.epochs:
        cause = f"the groups that are chosen at epoch {chosen.epochs} are never trained: it is the last epoch"
        yield Fault("MTL932", cause, "let `epochs` be fewer, or train for longer", "epochs")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LookAhead(Finding):
    """How much each task helped each other one in an epoch: for each recipient a row, in it a number for each donor,
    the mean of so many `looks`; None where there was none. `first_order_error` is how far the first order was from the
    step, on average, where that is what was measured."""

    kind = "look_ahead"
    tasks: Sequence[str]
    gained: Sequence[Sequence[float | None]]
    looks: Sequence[Sequence[int]]
    first_order_error: float | None = None

    def lines(self) -> list[str]:
        """For each task who helped it most, and who least."""
        found = []
        for place, (task, row) in enumerate(zip(self.tasks, self.gained, strict=True)):
            donors = zip(self.tasks, row, strict=True)
            known = [
                (value, donor) for other, (donor, value) in enumerate(donors) if value is not None and other != place
            ]
            if known:
                (high, most), (low, least) = max(known), min(known)
                others = "" if len(known) == 1 else f", {least} least ({low:+.3g})"
                found.append(f"{task}: {most} helps most ({high:+.3g}){others}")
        if self.first_order_error is not None:
            found.append(f"the first order is off by {self.first_order_error:.2g} on average")
        return first_lines(found, "tasks")


def decided(decisions: Sequence[str], evidence: Evidence) -> list[str]:
    """The groups, and how they were found."""
    found = [
        f"{shown(group['served'], ' + ')}"
        + (f", with the help of {shown(group['helped'], ' + ')}" if group["helped"] else "")
        + f" (affinity {group['affinity']:+.3g})"
        for group in evidence.get("groups", ())
    ]
    if not evidence.get("exact", True):
        found.append("these are the best groups that were found: for so many tasks none are proven to be the best")
    if missing := evidence.get("unmeasured"):
        counts = "counts" if missing == 1 else "count"
        found.append(f"nothing was measured of {counted(missing, 'pair')} of tasks, which {counts} as 0")
    return first_lines(found, "groups")


def undecided(evidence: Evidence) -> str:
    """Nothing is chosen, or not yet."""
    return str(evidence.get("reason", "who helps whom is measured, and nothing changes"))


METHOD = Method(
    block=BLOCK,
    decisions=(
        DecisionRule(
            GROUP,
            ("tasks",),
            "affinity",
            contradiction,
            "group(epoch=20, tasks=a + b, affinity=0.3)",
        ),
    ),
    settings=lambda values: Settings(**values),
    learner="Transference",
    paper="Fifty, Amid, Zhao, Yu, Anil, Finn: Measuring and Harnessing Transference in Multi-Task Learning, 2020, "
    "arXiv 2010.15413",
    faults=faults,
    completed=completed,
    doubts=doubts,
    decides=lambda settings: settings.groups is not None,
    groups=True,
    hindrances=hindrances,
    phases="epochs",
    phases_for="groups",
    findings=(LookAhead,),
    words=Words(decided, undecided),
)
