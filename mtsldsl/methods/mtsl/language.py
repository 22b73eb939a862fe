"""MTSL in the language: its block, what is wrong or doubtful in it, the decisions that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from attrs.validators import optional

from mtsldsl.language.constants import Named
from mtsldsl.language.holding import by_keys, keys_in, of_kind, of_record
from mtsldsl.language.kinds import Call, CallRule, Choice, Integer, Key, Many, Maybe, OneOrMany, OrName, Real
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Words
from mtsldsl.methods.merging_findings import BudgetSimilarity, Matching, Similarity, Spending
from mtsldsl.methods.method import Fault, Method, OneAPhase, Reach, Situation, Surroundings, Values
from mtsldsl.methods.phases import faults_of_phases, untrained
from mtsldsl.methods.shared_layers import beyond_reach, deciding_to_share, who_shares
from mtsldsl.methods.similarities import (
    CKA,
    RECORDS,
    SIMILARITIES,
    Chosen,
    Incomparable,
    Transference,
    completed_similarity,
    name_of,
    of_features,
    record_of,
    too_many_samples,
)
from mtsldsl.records import Record
from mtsldsl.sharing import unmerged
from mtsldsl.sharing.exact import EXACT_TASKS, LEAST_EXACT_TASKS, MOST_EXACT_TASKS

ALIGN = 0.2
"""The weight of the loss that draws features together, where none is given."""

AUTO = "auto"
"""Stands for the threshold that the network of another seed sets at each layer."""

ALONE = ("paper", "threshold")
"""What a task alone may score."""

MATCHES = ("none", "channels")
"""What is brought into one order before copies merge."""

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

CHOICES = Call(
    (
        CallRule(
            "budget",
            "the merges that cost the least for what they save, until the network is small enough",
            (
                Key(
                    "part",
                    Real(0, 1, open_minimum=True, open_maximum=True),
                    "parameters that the network may have, as a share of those of a network for each task",
                ),
            ),
        ),
    ),
    elsewhere={
        "threshold": "is a key of its own, `threshold = 0.8`, by which merges are chosen where `choose` is left out"
    },
)

BLOCK = BlockSchema(
    "structure",
    "begins with a network for each task, and merges layers of tasks that have become similar",
    (
        Key("phases", Many(Integer(1), 1), "epochs at whose end tasks may merge"),
        Key("similarity", SIMILARITIES, "similarity of two tasks' copies of a layer", "cka"),
        Key(
            "threshold",
            OrName(Real(-1, 1), AUTO),
            "mean similarity above which a group of tasks merges; `auto`: that of networks of another seed",
            None,
            "0 with `gradient` and `transference`, else 0.8",
        ),
        Key("choose", Maybe(CHOICES), "what merges, if not the groups above the threshold", None, "these groups"),
        Key(
            "alone",
            Choice(ALONE),
            "score of a task that stays alone: 0, as in the paper, or as much as the threshold",
            ALONE[0],
        ),
        Key(
            "exact_tasks",
            Integer(LEAST_EXACT_TASKS, MOST_EXACT_TASKS),
            "up to so many tasks the grouping is proven to be the best",
            EXACT_TASKS,
        ),
        Key(
            "align",
            Real(0),
            "weight of the loss that draws features together",
            None,
            "0.2 with `cka`, else 0, as with `threshold = auto`",
        ),
        Key(
            "match",
            Choice(MATCHES),
            "whether the channels of copies are brought into one order before they merge",
            MATCHES[0],
        ),
        Key(
            "teach",
            Real(0),
            "how much the network as it was before the first merge counts as a teacher from then on; 0 for not at all",
            0.0,
        ),
        Key("transfer", TRANSFERS, "how a merged component gets its weights", "average"),
    ),
    label="mtsl",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(keys_in(TRANSFERS, "amalgamate")))
class Amalgamate(Record):
    """A merged component is trained for so many epochs, one number for each phase, at this learning rate."""

    epochs: tuple[int, ...] = attrs.field(validator=of_kind(Many(Integer(1), 1)))
    lr: float


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(keys_in(CHOICES, "budget")))
class Budget(Record):
    """Copies merge until the network has this part of the parameters of single-task networks."""

    part: float


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What an MTSL learner is made of. `transfer` None: a merged component starts from the mean of its members. With
    a budget in `choose` nothing is grouped, and what says how is not looked at."""

    phases: tuple[int, ...]
    similarity: Chosen = attrs.field(validator=of_record(*RECORDS.values()))
    threshold: float | str
    exact_tasks: int
    align: float
    transfer: Amalgamate | None = attrs.field(validator=optional(of_record(Amalgamate)))
    alone: str = ALONE[0]
    match: str = MATCHES[0]
    choose: Budget | None = attrs.field(default=None, validator=optional(of_record(Budget)))
    teach: float = 0.0

    @property
    def by_twin(self) -> bool:
        """Whether the threshold is what networks of another seed reach."""
        return self.threshold == AUTO and self.choose is None

    def score_alone(self, threshold: float) -> float:
        """The score of a task that stays alone, at a threshold."""
        return 0.0 if self.alone == ALONE[0] else threshold

    def __attrs_post_init__(self) -> None:
        for fault in _faults(self.phases, None, self.transfer.epochs if self.transfer else None):
            raise ValueError(fault.cause)
        for fault in _unlike(name_of(self.similarity), self.align, self.threshold):
            raise ValueError(fault.cause)


MERGE = deciding_to_share(
    "merge",
    "tasks that came to share a layer",
    "epoch at whose end they merged",
    "their mean similarity",
    "merges",
    Key("threshold", Maybe(Real()), "the threshold there, where nobody has given it", None, "not said"),
)


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """Phases out of order or after the last epoch, epochs of `amalgamate` that are not one for each phase, features
    drawn together by what they are not compared by, and a threshold from networks that cannot be compared."""
    if "similarity" in values:
        yield from _unlike(values["similarity"].name, values.get("align"), values.get("threshold"))
    if values.get("choose") is not None:
        yield from _idle_keys(values)
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


def _unlike(similarity: str, align: float | None, threshold: float | str | None) -> Iterator[Fault]:
    """Of a weight of the loss that draws features together: it is made of `cka`; and of `threshold = auto`, which
    compares the copies of two networks."""
    if align and similarity != CKA.name:
        yield Fault(
            "MTL202",
            f"`align` draws features together by `{CKA.name}`, and `{similarity}` compares them",
            f"leave `align` out, or compare by `{CKA.name}`",
            "align",
        )
    if threshold == AUTO and not of_features(similarity):
        cause = (
            f"`threshold = {AUTO}` compares copies of two networks, and `{similarity}` asks for what one makes of its"
        )
        remedy = f"compare by `cka`, `rsa` or `readout`, or give a number, such as {RECORDS[similarity].usual:g}"
        yield Fault("MTL202", f"{cause} losses", remedy, "threshold")


_OF_GROUPING = {"threshold": None, "alone": ALONE[0], "exact_tasks": EXACT_TASKS}
"""What is said of the grouping by a threshold, which a budget makes none of, and what stands for nothing said."""


def _idle_keys(values: Values) -> Iterator[Fault]:
    """Of keys that say something beside a budget, which does without."""
    for key, unsaid in _OF_GROUPING.items():
        if values.get(key, unsaid) != unsaid:
            cause = f"`{key}` is for groups above a threshold, and `choose = budget` merges without one"
            yield Fault("MTL202", cause, f"leave out `{key}`, or `choose`", key)


def completed(values: Values, surroundings: Surroundings) -> Values:
    """The values with the threshold and the weight that go with the similarity, with learning rates, and with one
    number of epochs for each phase of `amalgamate`."""
    similarity = completed_similarity(values["similarity"], surroundings.lr)
    values = {**values, "similarity": similarity}
    if values["threshold"] is None:
        values["threshold"] = RECORDS[similarity.name].usual
    if values["align"] is None:
        values["align"] = ALIGN if similarity.name == CKA.name and values["threshold"] != AUTO else 0.0
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
    budget: Named | None = values["choose"]
    part: Any = budget and budget.arguments["part"]
    return Settings(
        values["phases"],
        record_of(values["similarity"]),
        values["threshold"],
        values["exact_tasks"],
        values["align"],
        Amalgamate(**given) if transfer.name == "amalgamate" else None,
        values["alone"],
        values["match"],
        None if budget is None else Budget(part),
        values["teach"],
    )


def hindrances(chosen: Settings, reach: Reach) -> Iterator[Fault]:
    """A budget that cannot be kept."""
    if chosen.choose is not None:
        yield from beyond_reach(chosen.choose.part, reach, "choose")


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
    else:
        yield from untrained(chosen.phases, situation.epochs, "merges")
    if chosen.choose is None:
        yield from _idle_thresholds(chosen)
    if chosen.by_twin and chosen.align:
        cause = "`align` draws tasks' copies together, and no copy to that of the network of another seed"
        remedy = f"leave `align` out, which is 0 with `threshold = {AUTO}`"
        yield Fault("MTL959", f"{cause}: tasks pass for more alike than they can be", remedy, "align")
    yield from too_many_samples(chosen.similarity, situation)


_LARGE_STEP = 0.5
"""No one step of training takes that part of a loss away, of another task at that."""


def _idle_thresholds(chosen: Settings) -> Iterator[Fault]:
    """A threshold that is above or below whatever the data may say."""
    similarity, threshold = chosen.similarity, chosen.threshold
    if isinstance(threshold, str):
        return
    lowest, usual = similarity.lowest, f"such as {similarity.usual:g}"
    between = f"below {similarity.highest:g}" if lowest is None else f"between {lowest:g} and {similarity.highest:g}"
    if threshold >= similarity.highest:
        cause = f"no similarity is above {threshold:g}, so nothing will ever merge"
        yield Fault("MTL933", cause, f"take a threshold {between}, {usual}", "threshold")
    elif lowest is not None and threshold <= lowest:
        cause = f"every similarity is above {threshold:g}, so everything will merge"
        yield Fault("MTL933", cause, f"take a threshold {between}, {usual}", "threshold")
    elif isinstance(similarity, Transference) and threshold >= _LARGE_STEP:
        cause = f"no one step lowers the loss of another task by {threshold:.0%}, so nothing will ever merge"
        yield Fault("MTL933", cause, f"take a threshold near 0, {usual}", "threshold")


def decided(decisions: Sequence[str], evidence: Evidence) -> list[str]:
    """Who shares what from now on."""
    return who_shares(evidence.get("merges", ()), "merges")


def undecided(evidence: Evidence) -> str:
    """Whether there was anything to decide."""
    return "nothing is similar enough to merge" if evidence.get("places") else "no tasks are left that could merge"


METHOD = Method(
    block=BLOCK,
    decisions=(MERGE,),
    faults=faults,
    completed=completed,
    hindrances=hindrances,
    settings=settings,
    doubts=doubts,
    learner="Mtsl",
    paper="Gurulingan, Arani, Zonooz: Multi-Task Structural Learning using Local Task Similarity induced Neuron "
    "Creation and Removal, ICML 2023, arXiv 2305.00441",
    phases="phases",
    one_a_phase=(OneAPhase("transfer", "amalgamate", "epochs"),),
    networks=lambda chosen: chosen.by_twin,
    beside_lower_rate="give `threshold` a number in `structure`",
    budget="choose",
    counts=lambda settings: settings.choose is not None,
    budgeted=lambda part: f"budget({part!r})",
    beside_budget=tuple(_OF_GROUPING),
    teaches=lambda settings: settings.teach > 0,
    later={"alone": ALONE[0], "choose": None, "match": MATCHES[0], "teach": 0.0},
    findings=(Similarity, BudgetSimilarity, Spending, Matching, Incomparable),
    words=Words(decided, undecided),
)
