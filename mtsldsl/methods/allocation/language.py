"""Parameter allocation in the language: its block, what is wrong in it, the decisions that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from mtsldsl.diagnostics.bounded import first_lines
from mtsldsl.language.holding import by_keys, of_record
from mtsldsl.language.kinds import Alternatives, CallRule, Integer, Key, LayerName, Many, Maybe, Real, Tasks
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Finding, Words
from mtsldsl.methods.method import DecisionRule, Fault, Method, Surroundings, Values
from mtsldsl.methods.phases import faults_of_phases
from mtsldsl.methods.temperature import TEMPERATURES, Anneal, annealed, faults_of_temperature, with_rate
from mtsldsl.records import Record
from mtsldsl.sharing import Sharing

_POSITIVE = Real(0, open_minimum=True)

USED = 0.5
"""From this probability on a task uses an alternative."""

BLOCK = BlockSchema(
    "structure",
    "lets every task learn which alternatives of a layer it uses, and drops what no task uses",
    (
        Key(
            "on",
            Real(0, 1, open_minimum=True, open_maximum=True),
            "probability at the start that a task uses an alternative",
            0.5,
        ),
        Key("lr", _POSITIVE, "learning rate of the allocation", None, "the optimizer's"),
        Key("temperature", TEMPERATURES, "temperature of the samples", "anneal"),
        Key(
            "budget",
            Maybe(Real(0, 1, open_minimum=True)),
            "part of all alternatives that a task may use at no loss",
            None,
            "no limit",
        ),
        Key("budget_weight", Real(0), "weight of the loss of what a task uses above the budget", 1.0),
        Key("entropy_weight", Real(0), "weight of the loss that makes probabilities 0 or 1", 0.0),
        Key("entropy_power", Real(0), "power of the part of the run that is done, by which that weight grows", 1.0),
        Key("connection_weight", Real(0), "weight of the loss of all that a task uses", 0.0),
        Key("disconnection_weight", Real(0), "weight of the loss of layers of which a task uses nothing", 0.0),
        Key(
            "write", Many(Integer(1)), "epochs at whose end the spec is rewritten; that of the last is in any case", ()
        ),
    ),
    label="allocation",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What the learner is made of."""

    on: float
    lr: float
    temperature: Anneal = attrs.field(validator=of_record(Anneal))
    budget: float | None
    budget_weight: float
    entropy_weight: float
    entropy_power: float
    connection_weight: float
    disconnection_weight: float
    write: tuple[int, ...]

    def __attrs_post_init__(self) -> None:
        for fault in faults_of_phases(self.write, None, "write"):
            raise ValueError(fault.cause)

    @property
    def has_penalty(self) -> bool:
        """Whether anything that a task uses costs anything."""
        budget = 0.0 if self.budget is None else self.budget_weight
        return any((budget, self.entropy_weight, self.connection_weight, self.disconnection_weight))


ALLOCATE = CallRule(
    "allocate",
    "the alternatives that a task came to use",
    (
        Key("epoch", Integer(0), "epoch at whose end it was written down"),
        Key("layer", LayerName(), "the layer"),
        Key("task", Tasks(), "the task"),
        Key("uses", Alternatives(), "the alternatives, or `none`"),
    ),
)


def contradiction(allocate: Values, sharing: Sharing) -> str | None:
    """A later line may say otherwise, so that none is contradicted by the sharing."""
    return None


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """Epochs to write at out of order or after the last one, and a temperature that rises."""
    if "write" in values:
        yield from faults_of_phases(values["write"], surroundings.epochs, "write")
    yield from faults_of_temperature(values)


def settings(values: Values) -> Settings:
    """The record of a sound block."""
    return Settings(**annealed(values))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Allocation(Finding):
    """What each task uses of each layer at the end of an epoch, and how sure that is: for each layer the probabilities,
    a row for a task, a column for each of its `alternatives`."""

    kind = "allocation"
    tasks: Sequence[str]
    alternatives: Mapping[str, Sequence[str]]
    probabilities: Mapping[str, Sequence[Sequence[float]]]

    def lines(self) -> list[str]:
        """How many alternatives of each layer tasks use, on average and at the ends."""
        found = []
        for layer, rows in self.probabilities.items():
            used = [sum(probability >= USED for probability in row) for row in rows]
            mean = sum(used) / len(used)
            dead = sum(all(row[place] < USED for row in rows) for place in range(len(self.alternatives[layer])))
            gone = f"; {dead} used by no task" if dead else ""
            without = [f"`{task}`" for task, count in zip(self.tasks, used, strict=True) if not count]
            nothing = f"; nothing is left for {', '.join(without)}, which gets zeros (MTL923)" if without else ""
            found.append(
                f"{layer}: tasks use {mean:.1f} of {len(self.alternatives[layer])} alternatives, {min(used)} to "
                f"{max(used)}{gone}{nothing}"
            )
        return first_lines(found, "layers")


def undecided(evidence: Evidence) -> str:
    """Why nothing is written."""
    return "every task uses what the spec says already"


METHOD = Method(
    block=BLOCK,
    decisions=(
        DecisionRule(
            ALLOCATE,
            ("layer", "task", "uses"),
            None,
            contradiction,
            "allocate(epoch=20, layer=..., task=a, uses=conv3 + skip)",
        ),
    ),
    faults=faults,
    completed=with_rate,
    settings=settings,
    learner="Allocation",
    paper="Maziarz, Kokiopoulou, Gesmundo, Sbaiz, Bartok, Berent: Flexible Multi-task Networks by Learning Parameter "
    "Allocation, 2019, arXiv 1910.04915",
    alternatives=True,
    phases="write",
    findings=(Allocation,),
    words=Words(undecided=undecided),
)
