"""Learning to branch in the language: its block, what is wrong or doubtful in it, the decisions that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from mtsldsl.diagnostics.bounded import first_lines, shown
from mtsldsl.language.holding import by_keys, of_record
from mtsldsl.language.kinds import CallRule, Flag, Integer, Key, LayerName, Real, Tasks
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Finding, Words, as_in_history
from mtsldsl.methods.method import DecisionRule, Fault, Method, Reach, Situation, Surroundings, Values
from mtsldsl.methods.phases import faults_of_phases, untrained
from mtsldsl.methods.temperature import TEMPERATURES, Anneal, annealed, faults_of_temperature, with_rate
from mtsldsl.records import Record
from mtsldsl.sharing import Partition, Sharing

BLOCK = BlockSchema(
    "structure",
    "lets every copy of a layer learn which copy of the layer before it reads, and trains the tree that is left",
    (
        Key("choose", Integer(1), "epoch at whose end every copy keeps the one that it reads most probably"),
        Key("retrain", Flag(), "train the tree from new weights after that", True),
        Key("lr", Real(0, open_minimum=True), "learning rate of the choices", None, "the optimizer's"),
        Key("temperature", TEMPERATURES, "temperature of the samples", "anneal"),
    ),
    label="ltb",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What the learner is made of."""

    choose: int
    retrain: bool
    lr: float
    temperature: Anneal = attrs.field(validator=of_record(Anneal))


MEET = CallRule(
    "meet",
    "tasks whose paths to the input meet in a layer",
    (
        Key("epoch", Integer(0), "epoch at whose end they were chosen"),
        Key("layer", LayerName(), "the layer"),
        Key("tasks", Tasks(), "the tasks"),
        Key("probability", Real(0, 1), "that of the least probable choice on their paths down to it"),
    ),
)


def contradiction(meet: Values, sharing: Sharing) -> str | None:
    """Where the sharing keeps apart tasks whose paths meet."""
    layer, tasks = meet["layer"], meet["tasks"]
    if not isinstance(sharing[layer], Partition):
        return None
    apart = [task for task in tasks if task not in sharing.component(layer, tasks[0])]
    return f"the paths meet in `{layer}`, where the sharing keeps `{apart[0]}` apart" if apart else None


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """A choice after the last epoch, and a temperature that rises."""
    if "choose" in values:
        yield from faults_of_phases((values["choose"],), surroundings.epochs, "choose")
    yield from faults_of_temperature(values)


def settings(values: Values) -> Settings:
    """The record of a sound block."""
    return Settings(**annealed(values))


def hindrances(chosen: Settings, reach: Reach) -> Iterator[Fault]:
    """Tasks that read other samples: none can read what another computes."""
    sources = len(reach.sharing.sources)
    if sources > 1:
        cause = f"`structure ltb` lets tasks read what others compute, and they read {sources} sources"
        yield Fault(
            "MTL505", cause, "leave the block `structure` out, or let all tasks read the same samples", "choose"
        )


def doubts(situation: Situation) -> Iterator[Fault]:
    """A network without a choice, and a tree that is never trained."""
    rows = situation.sharing.components.values()
    if not any(len(row) > 1 for row in rows):
        cause = "every layer has one copy, so there is nothing to choose from"
        yield Fault("MTL931", cause, "leave layers out of `sharing`: then each task has a copy of its own", "choose")
        return
    for fault in untrained((situation.settings.choose,), situation.epochs, "chooses"):
        yield attrs.evolve(fault, item=None)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Tree(Finding):
    """The tree that is chosen: for each layer the sets of tasks whose paths meet in one copy, and for each set the
    probability of the least probable choice on its paths."""

    kind = "tree"
    layers: Sequence[str]
    sets: Sequence[Sequence[Sequence[str]]]
    least: Sequence[Sequence[float]]

    def lines(self) -> list[str]:
        """The sets of each layer."""
        rows = zip(self.layers, self.sets, self.least, strict=True)
        found = []
        for layer, sets, probabilities in rows:
            told = [f"{shown(each, ' + ')} ({p:.2f})" for each, p in zip(sets, probabilities, strict=True)]
            found.append(f"{layer}: {shown(told, ', ')}")
        return first_lines(found, "layers")


def decided(decisions: Sequence[str], evidence: Evidence) -> Sequence[str]:
    """Whose paths meet."""
    return as_in_history(decisions) if decisions else ["no two paths meet: every task keeps copies of its own"]


METHOD = Method(
    block=BLOCK,
    decisions=(
        DecisionRule(
            MEET,
            ("layer", "tasks"),
            "probability",
            contradiction,
            "meet(epoch=10, layer=..., tasks=a + b, probability=0.9)",
        ),
    ),
    faults=faults,
    completed=with_rate,
    settings=settings,
    doubts=doubts,
    learner="Ltb",
    paper="Guo, Lee, Ulbricht: Learning to Branch for Multi-Task Learning, ICML 2020, arXiv 2006.01895",
    hindrances=hindrances,
    phases="choose",
    findings=(Tree,),
    words=Words(decided=decided),
)
