"""Splitting in the language: its block, what is wrong or doubtful in it, the decisions that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from mtsldsl.diagnostics.bounded import shown
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import CallRule, Integer, Key, LayerName, Many, Maybe, Real, Tasks
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Finding, Matrix, Words, told_pairs
from mtsldsl.methods.method import DecisionRule, Fault, Method, Situation, Surroundings, Values
from mtsldsl.methods.phases import faults_of_phases, untrained
from mtsldsl.records import Record
from mtsldsl.sharing import Partition, Sharing

BLOCK = BlockSchema(
    "structure",
    "begins with what tasks share, and splits a layer where their gradients conflict for long",
    (
        Key("phases", Many(Integer(1), 1), "epochs at whose end tasks may be parted"),
        Key("every", Integer(1), "steps from one look at the gradients to the next", 10),
        Key("threshold", Real(-1, 1), "mean cosine of two sides' gradients below which they conflict", 0.0),
        Key("patience", Integer(1), "last epochs in each of which they must conflict", 2),
        Key(
            "budget",
            Maybe(Real(0, 1, open_minimum=True)),
            "parameters that the network may have, as a part of those of single-task networks",
            None,
            "no limit",
        ),
    ),
    label="split",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What the learner is made of."""

    phases: tuple[int, ...]
    every: int
    threshold: float
    patience: int
    budget: float | None

    def __attrs_post_init__(self) -> None:
        for fault in faults_of_phases(self.phases, None, "phases"):
            raise ValueError(fault.cause)


SPLIT = CallRule(
    "split",
    "tasks that got a copy of a layer of their own",
    (
        Key("epoch", Integer(0), "epoch at whose end they did"),
        Key("layer", LayerName(), "the layer"),
        Key("tasks", Tasks(), "the tasks that left the others"),
        Key("cosine", Real(), "mean cosine of their gradients with those of the others"),
    ),
)


def contradiction(split: Values, sharing: Sharing) -> str | None:
    """Where the sharing has a copy for tasks of both sides."""
    layer, tasks = split["layer"], frozenset(split["tasks"])
    if not isinstance(sharing[layer], Partition):
        return None
    both = next((each for each in sharing.partition(layer) if each & tasks and each - tasks), None)
    if both is None:
        return None
    one, other = min(both & tasks), min(both - tasks)
    return f"the history splits `{layer}`, where the sharing has `{one}` and `{other}` together"


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """Phases out of order, and those after the last epoch."""
    if "phases" in values:
        yield from faults_of_phases(values["phases"], surroundings.epochs, "phases")


def doubts(situation: Situation) -> Iterator[Fault]:
    """Phases that can split nothing, or whose splits are never trained, and thresholds that decide nothing."""
    chosen: Settings = situation.settings
    phases, patience = chosen.phases, chosen.patience
    rows = situation.sharing.components.values()
    if not any(len(component) > 1 for row in rows if isinstance(row, Partition) for component in row):
        cause = "no two tasks share a layer, so no phase can find one to split"
        yield Fault(
            "MTL931", cause, "start from a sharing, such as `stem..last = all`, or leave `structure` out", "phases"
        )
    elif phases[0] < patience:
        cause = f"the phase at epoch {phases[0]} comes before tasks can have conflicted for {patience} epochs"
        yield Fault("MTL931", cause, f"let the first phase be at epoch {patience} or later", "phases", 0)
    else:
        yield from untrained(phases, situation.epochs, "splits")
    remedy = "take a threshold between -1 and 1, such as 0"
    if chosen.threshold <= -1:
        yield Fault("MTL933", "no cosine is below -1, so nothing will ever be split", remedy, "threshold")
    elif chosen.threshold >= 1:
        yield Fault("MTL933", "every cosine is below 1, so everything will be split", remedy, "threshold")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Disagreement(Finding):
    """What was found of a copy of a layer that tasks share: for each two of them the mean cosine of their gradients on
    it over the last epochs, None where there was none; and into which `sets` it is split, one where it stays.
    `beyond_budget` says that a split more was left out for what it would cost."""

    kind = "disagreement"
    layer: str
    tasks: Sequence[str]
    cosines: Sequence[Sequence[float | None]]
    threshold: float
    sets: Sequence[Sequence[str]]
    beyond_budget: bool = False

    def lines(self) -> list[str]:
        """The cosines, and what is split."""
        found = [f"{self.layer}: cosine of gradients {told_pairs(self.tasks, self.cosines)}"]
        if len(self.sets) > 1:
            found.append(f"{self.layer}: {' and '.join(shown(each, ' + ') for each in self.sets)} part")
        if self.beyond_budget:
            found.append(f"{self.layer}: a split more would be beyond the budget")
        return found

    def shown(self) -> Sequence[str | Matrix]:
        """The matrix, if all of it is known, and the rest in words."""
        title = f"Epoch {self.epoch}, cosines of gradients at {self.layer}, threshold {self.threshold}"
        known = [[0.0 if value is None else value for value in row] for row in self.cosines]
        whole = all(value is not None for row in self.cosines for value in row)
        first, *rest = self.lines()
        return [Matrix(title, self.tasks, known, ("The most alike", "the least")) if whole else first, *rest]


def undecided(evidence: Evidence) -> str:
    """Whether there was anything to decide."""
    return "no tasks conflict for long enough" if evidence.get("places") else "no two tasks share a layer"


METHOD = Method(
    block=BLOCK,
    decisions=(
        DecisionRule(
            SPLIT,
            ("layer", "tasks"),
            "cosine",
            contradiction,
            "split(epoch=4, layer=..., tasks=a + b, cosine=-0.1)",
            rising=False,
        ),
    ),
    faults=faults,
    settings=lambda values: Settings(**values),
    doubts=doubts,
    learner="Split",
    paper="after Lu, Kumar, Zhai, Cheng, Javidi, Feris: Fully-adaptive Feature Sharing in Multi-Task Networks with "
    "Applications in Person Attribute Classification, CVPR 2017, arXiv 1611.05377",
    phases="phases",
    budget="budget",
    counts=lambda settings: settings.budget is not None,
    findings=(Disagreement,),
    words=Words(undecided=undecided),
)
