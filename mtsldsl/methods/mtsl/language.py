"""MTSL in the language: its block, what is wrong or doubtful in it, the decisions that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
from attrs.validators import optional

from mtsldsl.diagnostics.bounded import MOST_SHOWN, first_lines, shown
from mtsldsl.language.constants import Named
from mtsldsl.language.holding import by_keys, keys_in, of_kind, of_record
from mtsldsl.language.kinds import (
    Call,
    CallRule,
    Choice,
    Flag,
    Integer,
    Key,
    LayerName,
    Many,
    OneOrMany,
    Real,
    Tasks,
)
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Finding, Matrix, Words
from mtsldsl.methods.method import DecisionRule, Fault, Method, OneAPhase, Situation, Surroundings, Values
from mtsldsl.methods.phases import faults_of_phases
from mtsldsl.records import Record
from mtsldsl.sharing import Sharing, unmerged
from mtsldsl.sharing.exact import EXACT_TASKS, LEAST_EXACT_TASKS, MOST_EXACT_TASKS

SIMILARITIES = Call(
    (
        CallRule(
            "cka",
            "centred kernel alignment (Kornblith et al., 2019) of features averaged over space",
            (
                Key("samples", Integer(4), "training images", 800),
                Key("kernel", Choice(("linear", "rbf")), "kernel", "linear"),
                Key("debiased", Flag(), "use the unbiased estimator", True),
            ),
        ),
    ),
    "similarities",
)

TRANSFERS = Call(
    (
        CallRule("average", "a merged component starts from the mean of its members' weights"),
        CallRule(
            "amalgamate",
            "a merged component is trained to give every member's features through a channel gate per member",
            (
                Key("epochs", OneOrMany(Integer(1)), "epochs of training, one for each phase or one for all"),
                Key("lr", Real(0, open_minimum=True), "learning rate", None, "the optimizer's"),
            ),
        ),
    ),
    "transfers",
)

BLOCK = BlockSchema(
    "structure",
    "how sharing is learned: multi-task structural learning (Gurulingan et al., 2023)",
    (
        Key("phases", Many(Integer(1), 1), "epochs at whose end tasks may merge"),
        Key("similarity", SIMILARITIES, "similarity of two tasks' features", "cka"),
        Key("threshold", Real(-1, 1), "mean similarity above which a group of tasks merges", 0.8),
        Key(
            "exact_tasks",
            Integer(LEAST_EXACT_TASKS, MOST_EXACT_TASKS),
            "up to so many tasks the grouping is proven to be the best",
            EXACT_TASKS,
        ),
        Key("align", Real(0), "weight of the loss that draws features together", 0.2),
        Key("transfer", TRANSFERS, "how a merged component gets its weights", "average"),
    ),
    label="mtsl",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(keys_in(SIMILARITIES, "cka")))
class Cka(Record):
    """The similarity: centred kernel alignment over so many training images."""

    samples: int
    kernel: Literal["linear", "rbf"]
    debiased: bool


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(keys_in(TRANSFERS, "amalgamate")))
class Amalgamate(Record):
    """A merged component is trained for so many epochs, one number for each phase, at this learning rate."""

    epochs: tuple[int, ...] = attrs.field(validator=of_kind(Many(Integer(1), 1)))
    lr: float


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What an MTSL learner is made of. `transfer` None: a merged component starts from the mean of its members."""

    phases: tuple[int, ...]
    similarity: Cka = attrs.field(validator=of_record(Cka))
    threshold: float
    exact_tasks: int
    align: float
    transfer: Amalgamate | None = attrs.field(validator=optional(of_record(Amalgamate)))

    def __attrs_post_init__(self) -> None:
        for fault in _faults(self.phases, None, self.transfer.epochs if self.transfer else None):
            raise ValueError(fault.cause)


MERGE = CallRule(
    "merge",
    "tasks that came to share a layer",
    (
        Key("epoch", Integer(0), "epoch at whose end they merged"),
        Key("layer", LayerName(), "the layer"),
        Key("tasks", Tasks(), "the tasks"),
        Key("similarity", Real(), "their mean similarity"),
    ),
)


def contradiction(merge: Values, sharing: Sharing) -> str | None:
    """Where the sharing keeps apart what the history merges."""
    layer, tasks = merge["layer"], merge["tasks"]
    apart = [task for task in tasks if task not in sharing.component(layer, tasks[0])]
    return f"the history merges `{layer}`, where the sharing keeps `{apart[0]}` apart" if apart else None


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """Phases out of order or after the last epoch, and epochs of `amalgamate` that are not one for each phase."""
    if "phases" not in values:
        return
    epochs = values["transfer"].arguments.get("epochs") if "transfer" in values else None
    yield from _faults(values["phases"], surroundings.epochs, epochs)


def _faults(phases: tuple[int, ...], last: int | None, amalgamation: tuple[int, ...] | int | None) -> Iterator[Fault]:
    """Of phases with the `last` epoch and the epochs of amalgamation, as far as these are known."""
    yield from faults_of_phases(phases, last, "phases")
    if isinstance(amalgamation, tuple) and len(amalgamation) != len(phases):
        given, wanted = len(amalgamation), len(phases)
        yield Fault(
            "MTL502",
            f"`amalgamate` has epochs for {given} {'phase' if given == 1 else 'phases'}, and there "
            f"{'is' if wanted == 1 else 'are'} {wanted}",
            f"give {wanted} numbers, or one number for all",
            "transfer",
        )


def completed(values: Values, surroundings: Surroundings) -> Values:
    """The values with one number of epochs for each phase, and a learning rate, of `amalgamate`."""
    transfer: Named = values["transfer"]
    if transfer.name != "amalgamate":
        return values
    epochs, lr = transfer.arguments["epochs"], transfer.arguments["lr"]
    arguments = {
        **transfer.arguments,
        "epochs": epochs if isinstance(epochs, tuple) else (epochs,) * len(values["phases"]),
        "lr": surroundings.lr if lr is None else lr,
    }
    return {**values, "transfer": attrs.evolve(transfer, arguments=arguments)}


def settings(values: Values) -> Settings:
    """The record of a sound block."""
    transfer: Named = values["transfer"]
    given: dict[str, Any] = dict(transfer.arguments)  # of the kinds that the schema holds them to
    return Settings(
        values["phases"],
        Cka(**values["similarity"].arguments),
        values["threshold"],
        values["exact_tasks"],
        values["align"],
        Amalgamate(**given) if transfer.name == "amalgamate" else None,
    )


def doubts(situation: Situation) -> Iterator[Fault]:
    """Phases that can merge nothing or whose merges are never trained, thresholds that decide nothing, and more images
    than there are."""
    chosen: Settings = situation.settings
    if len(situation.sharing.tasks) == 1:
        cause = "there is a single task, so no phase can ever find two that may merge"
        yield Fault("MTL931", cause, "leave `structure` out", "phases")
    elif not unmerged(situation.sharing):
        cause = "the sharing leaves no layer at which two tasks may still merge, so no phase can find one"
        remedy = "leave `structure` out, or start from a sharing with lines left to decide"
        yield Fault("MTL931", cause, remedy, "phases")
    elif chosen.phases[-1] >= situation.epochs:
        cause = f"what the phase at epoch {chosen.phases[-1]} merges is never trained: it is the last epoch"
        yield Fault("MTL932", cause, "let the last phase come earlier, or train for longer", "phases", -1)
    least = -1 if chosen.similarity.debiased else 0
    remedy = f"take a threshold between {least} and 1, such as 0.8"
    if chosen.threshold >= 1:
        cause = f"no similarity is above {chosen.threshold:g}, so nothing will ever merge"
        yield Fault("MTL933", cause, remedy, "threshold")
    elif chosen.threshold <= least:
        cause = f"every similarity is above {chosen.threshold:g}, so everything will merge"
        yield Fault("MTL933", cause, remedy, "threshold")
    wanted, images = chosen.similarity.samples, situation.images
    if images is not None and wanted > images and situation.written("similarity", "samples"):  # the default is a bound
        cause = f"the similarity asks for {wanted} training images, and there are {images}"
        yield Fault("MTL934", cause, "ask for fewer `samples`, or render more `images`", "similarity")


_EXTREMES = 3
"""Of many pairs, so many of the most similar and of the least are told."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Similarity(Finding):
    """What was found where tasks may merge at a layer: the matrix, and how they are grouped."""

    kind = "similarity"
    layer: str
    tasks: Sequence[str]
    similarity: Sequence[Sequence[float]]
    threshold: float
    grouping: Mapping[str, Any]

    def lines(self) -> list[str]:
        """All pairs of a few tasks; of more those at both ends."""
        tasks, found = self.tasks, self.similarity
        pairs = [(found[i][j], f"{tasks[i]}~{tasks[j]}") for i in range(len(tasks)) for j in range(i + 1, len(tasks))]
        if len(pairs) <= MOST_SHOWN:
            return [f"{self.layer}: similarity {_pairs(pairs)}"]
        ordered = sorted(pairs, key=lambda pair: -pair[0])
        most, least = _pairs(ordered[:_EXTREMES]), _pairs(ordered[-_EXTREMES:])
        return [f"{self.layer}: similarity of {len(pairs)} pairs: {most} the most, {least} the least"]

    def shown(self) -> Sequence[str | Matrix]:
        """The whole matrix."""
        title = f"Epoch {self.epoch}, similarities at {self.layer}, threshold {self.threshold}"
        return [Matrix(title, self.tasks, self.similarity, ("The most similar", "the least"))]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Incomparable(Finding):
    """Tasks that might merge at a layer, but for the sizes of their inputs: those of each set have inputs of one size,
    and no two sets are ever compared."""

    kind = "incomparable"
    layer: str
    tasks: Sequence[Sequence[str]]

    def lines(self) -> list[str]:
        """The sets."""
        sides = " and ".join(shown(side, " + ") for side in self.tasks)
        return [f"{self.layer}: {sides} have inputs of other sizes, so they are not compared, and never merge here"]


def _pairs(pairs: Sequence[tuple[float, str]]) -> str:
    return ", ".join(f"{names} {similarity:.3f}" for similarity, names in pairs)


def decided(decisions: Sequence[str], evidence: Evidence) -> list[str]:
    """Who shares what from now on."""
    merges = [
        f"{merge['layer']}: {shown(merge['tasks'], ' + ')} share it (similarity {merge['similarity']:.3f})"
        for merge in evidence.get("merges", ())
    ]
    return first_lines(merges, "merges")


def undecided(evidence: Evidence) -> str:
    """Whether there was anything to decide."""
    return "nothing is similar enough to merge" if evidence.get("places") else "no tasks are left that could merge"


METHOD = Method(
    block=BLOCK,
    decisions=(
        DecisionRule(
            MERGE,
            ("layer", "tasks"),
            "similarity",
            contradiction,
            "merge(epoch=3, layer=..., tasks=a + b, similarity=0.9)",
        ),
    ),
    faults=faults,
    completed=completed,
    settings=settings,
    doubts=doubts,
    learner="Mtsl",
    phases="phases",
    one_a_phase=(OneAPhase("transfer", "amalgamate", "epochs"),),
    penalty_name="align",
    findings=(Similarity, Incomparable),
    words=Words(decided, undecided),
)
