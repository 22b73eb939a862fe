"""A ladder of budgets in the language: its block, what is wrong or doubtful in it, the decision that it writes down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil

import attrs

from mtsldsl.diagnostics.bounded import first_lines, shown
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import CallRule, Integer, Key, LayerName, Many, Maybe, OrName, Real
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Finding, Words
from mtsldsl.methods.method import Budgets, DecisionRule, Fault, Method, Reach, Situation, Surroundings, Values
from mtsldsl.records import Record
from mtsldsl.sharing import Partition, Sharing
from mtsldsl.sharing.halving import chosen_after, end_of_search, halvings, latest, rungs
from mtsldsl.sharing.shape import Sizes, budget_name

KNEE = "knee"
"""Stands for the budget above which little is gained."""

BALANCE = "relative"
"""By what every shape learns: losses in other units count alike, and a copy is chosen by what losses are relative to
each other."""

USUAL = (0.25, 0.35, 0.5, 0.75)
"""The budgets where none are given."""

_PART = Real(0, 1, open_minimum=True, open_maximum=True)

BLOCK = BlockSchema(
    "structure",
    "trains the shapes of sharing that fit each of some budgets side by side, and keeps the best at each",
    (
        Key(
            "budgets",
            Maybe(Many(Real(0, 1, open_minimum=True), 1)),
            "parameters that networks may have, as parts of those of a network for each task",
            None,
            "those of 0.25, 0.35, 0.5 and 0.75 that are enough where all is shared",
        ),
        Key(
            "pick",
            Maybe(OrName(Real(0, 1, open_minimum=True), KNEE)),
            "the budget whose network is the run's own; `knee`: where more parameters begin to gain little",
            None,
            "the middle one, of two the larger",
        ),
        Key(
            "rung",
            Maybe(_PART),
            "the part of the epochs after which the first half of the shapes is dropped",
            None,
            "as late as a budget costs two trainings with a last rung at half of them",
        ),
        Key(
            "warm",
            Maybe(_PART),
            "the part of the steps in which a task learns with all copies alike",
            None,
            "three tenths of `hard`",
        ),
        Key("hard", Maybe(_PART), "the part of the steps after which it has one", None, "half of `rung`"),
        Key(
            "temperature",
            Many(Real(0, open_minimum=True), length=2),
            "that of its choice between these, which falls evenly",
            (0.1, 0.002),
        ),
    ),
    label="ladder",
)


HARD = Fraction(1, 2)
"""The part of the epochs before shapes are compared in which tasks choose between copies, where none is given."""

WARM = Fraction(3, 10)
"""The part of the steps before tasks have their copies in which they learn with all alike, where none is given."""


def _exact(part: float) -> Fraction:
    return Fraction(repr(part))


@attrs.frozen(eq=False, repr=False)
class Schedule(Record):
    """When so many shapes of a budget are halved, and tasks choose between copies: parts of a run."""

    shapes: int
    rung: Fraction
    warm: Fraction
    hard: Fraction
    temperature: tuple[float, float]

    def chosen_after(self, epochs: int) -> int:
        """The epoch at whose end each task has one copy."""
        return chosen_after(self.hard, epochs)

    def search(self, epochs: int) -> tuple[tuple[int, ...], int]:
        """The epochs at whose end shapes are dropped, and that at whose end all is chosen."""
        ends = rungs(self.shapes, self.rung, epochs)
        return ends, end_of_search(ends, self.hard, epochs)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What the learner is made of."""

    budgets: tuple[float, ...] | None
    pick: float | str | None
    rung: float | None
    warm: float | None
    hard: float | None
    temperature: tuple[float, float]

    def __attrs_post_init__(self) -> None:
        for fault in _faults(attrs.asdict(self)):
            raise ValueError(fault.cause)

    def budgets_of(self, sizes: Sizes) -> tuple[float, ...]:
        """Those that are given, or the usual ones that the smallest shape of a network fits."""
        if self.budgets is not None:
            return self.budgets
        return tuple(budget for budget in USUAL if sizes.least <= sizes.allowed(budget))

    def picked_of(self, budgets: Sequence[float]) -> float:
        """The one that is picked; as long as the knee is not known, that in the middle, of two the larger."""
        return self.pick if isinstance(self.pick, float) else budgets[len(budgets) // 2]

    def schedule_of(self, sizes: Sizes) -> Schedule:
        """That of the budget that the most shapes of a network are at the edge of."""
        return self.schedule(max(len(sizes.edge(budget)) for budget in self.budgets_of(sizes)))

    def schedule(self, most: int) -> Schedule:
        """That of so many shapes within a budget. A shape is not compared before its tasks have their copies, where
        nothing else is said."""
        rung = latest(most) if self.rung is None else min(_exact(self.rung), latest(most))
        hard = HARD * rung if self.hard is None else _exact(self.hard)
        warm = WARM * hard if self.warm is None else _exact(self.warm)
        start, end = self.temperature
        return Schedule(most, rung, warm, hard, (start, end))


LADDER = CallRule(
    "ladder",
    "the shape that was the best within a budget",
    (
        Key("epoch", Integer(0), "epoch at whose end it was chosen"),
        Key("budget", Real(0, 1, open_minimum=True), "the budget"),
        Key("layer", LayerName(), "the first layer of which there may be several copies"),
        Key("copies", Integer(1), "how many there are of it, and of all after it"),
    ),
)


def contradiction(ladder: Values, sharing: Sharing) -> str | None:
    """Where the sharing has another number of copies."""
    layer, copies = ladder["layer"], ladder["copies"]
    row = sharing[layer]
    if not isinstance(row, Partition) or len(row) == copies:
        return None
    return f"the history has chosen {copies} of `{layer}`, and the sharing has {len(row)}"


def _faults(values: Values) -> Iterator[Fault]:
    budgets = values.get("budgets") or ()
    for place in range(1, len(budgets)):
        if budgets[place] <= budgets[place - 1]:
            cause = f"the budget {budget_name(budgets[place])} comes after {budget_name(budgets[place - 1])}"
            yield Fault("MTL202", cause, "list the budgets in rising order, each once", "budgets", place)
            break
    pick, known = values.get("pick"), budgets or USUAL
    if pick is not None and pick not in (*known, KNEE):
        cause = f"`pick` is {budget_name(pick)}, which is none of the budgets"
        yield Fault("MTL202", cause, f"pick {shown([*map(budget_name, known)], ', ')} or `{KNEE}`", "pick")
    start, end = values.get("temperature", (1, 1))
    if end > start:
        cause = f"the temperature begins at {start:g}, below its end, {end:g}"
        yield Fault("MTL202", cause, "give the higher one first: `[0.1, 0.002]`", "temperature")


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """Values that do not go together, and a balance that is another one."""
    yield from _faults(values)
    if surroundings.balance not in (None, BALANCE):
        cause = f"`structure ladder` trains by the logarithms of losses, and the balance is `{surroundings.balance}`"
        yield Fault("MTL505", cause, f"write `balance = {BALANCE}` in `train`", "budgets")


def hindrances(chosen: Settings, reach: Reach) -> Iterator[Fault]:
    """Inputs of several sizes, budgets that nothing fits, and fewer epochs than it takes to halve the shapes until one
    is left."""
    if len(reach.sides) > 1:
        cause = "`structure ladder` tries networks in which all tasks share a layer, and the tasks read inputs of "
        remedy = "leave the block `structure` out, or give all data blocks inputs of one size"
        yield Fault("MTL505", f"{cause}{len(reach.sides)} sizes", remedy, "budgets")
        return
    sizes = reach.sizes
    budgets = chosen.budgets_of(sizes) or USUAL[-1:]
    wanted = chosen.pick if isinstance(chosen.pick, float) and chosen.pick not in budgets else budgets[0]
    if sizes.least > sizes.allowed(wanted):
        least = ceil(1000 * sizes.least / sizes.single) / 1000
        allowed = f"{float(sizes.allowed(wanted)):,.0f} parameters"
        cause = f"the budget {budget_name(wanted)} is {allowed}, and all shared there are "
        remedy = f"give budgets of {budget_name(least)} or more" if least <= 1 else "leave the block `structure` out"
        yield Fault("MTL202", f"{cause}{sizes.least:,}", remedy, "budgets")
        return
    schedule = chosen.schedule_of(sizes)
    if schedule.warm >= schedule.hard:
        cause = f"a task has one copy after {float(schedule.hard):g} of the steps, and begins to choose after "
        remedy = "let `hard` be more than `warm`"
        yield Fault("MTL202", f"{cause}{float(schedule.warm):g}", remedy, "warm" if chosen.hard is None else "hard")
        return
    most = schedule.shapes
    steps = len(halvings(most))
    if reach.epochs < steps:
        cause = f"{most} shapes are halved {steps} times until one is left, each time after an epoch at least"
        yield Fault("MTL501", f"{cause}, and there are {reach.epochs} epochs", f"train for {steps} or more", "budgets")


def doubts(situation: Situation) -> Iterator[Fault]:
    """A single task, a network that is chosen at the end, and a rung before which few steps are made."""
    chosen: Settings = situation.settings
    if len(situation.sharing.tasks) == 1:
        cause = "there is a single task, so there are no two that could share"
        yield Fault("MTL931", cause, "leave `structure` out", "budgets")
        return
    schedule = chosen.schedule(len(situation.sharing.components))  # there may be fewer shapes, and later rungs
    if end_of_search((), schedule.hard, situation.epochs) >= situation.epochs:
        cause = f"what is chosen at epoch {situation.epochs} is never trained by itself: it is the last epoch"
        yield Fault("MTL932", cause, "let `hard` be less, or train for longer", "hard")
    elif schedule.rung * situation.epochs < 1:
        part = f"{float(schedule.rung):.3g} of {situation.epochs} epochs"
        cause = f"{part} is less than one, after which shapes are first compared"
        remedy = f"train for {ceil(1 / schedule.rung)} epochs or more"
        yield Fault("MTL955", f"{cause}: the search may cost more than two trainings", remedy, "rung")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Rung(Finding):
    """The shapes within a budget that have trained side by side, from the best to the worst: the parameters of each,
    and its gain on validation over the mean of them, in percent. The first `kept` of them go on."""

    kind = "rung"
    budget: float
    shapes: Sequence[str]
    parameters: Sequence[int]
    gains: Sequence[float | None]
    kept: int

    def lines(self) -> list[str]:
        """Each shape."""
        halved = f"{self.kept} of {len(self.shapes)} shapes go on, by the gain over their mean"
        found = [f"budget {budget_name(self.budget)}: {halved}"]
        rows = zip(self.shapes, self.parameters, self.gains, strict=True)
        for place, (shape, parameters, gain) in enumerate(rows):
            said = "no metric" if gain is None else f"{gain:+.2f} %"
            found.append(f"  {said}  {shape}, {parameters:,} parameters{'' if place < self.kept else ': dropped'}")
        return first_lines(found, "lines")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Chosen(Finding):
    """The shape that is chosen within a budget, the sets of tasks that have a copy in common, its parameters, and its
    gain on validation over the mean of those that are chosen, in percent; `picked` where it is the run's own network.
    """

    kind = "rung_chosen"
    budget: float
    shape: str
    sets: Sequence[Sequence[str]]
    parameters: int
    gain: float | None
    picked: bool

    def lines(self) -> list[str]:
        """The shape, and who is with whom."""
        said = "no metric" if self.gain is None else f"{self.gain:+.2f} %"
        own = " (picked)" if self.picked else ""
        sets = "" if len(self.sets) == 1 else f": {shown([shown(each, ' + ') for each in self.sets], ', ')}"
        return [f"budget {budget_name(self.budget)}{own}: {self.shape}, {self.parameters:,} parameters, {said}{sets}"]


def undecided(evidence: Evidence) -> str:
    """Why nothing is decided."""
    return "of the shapes within each budget the better half goes on"


METHOD = Method(
    block=BLOCK,
    decisions=(
        DecisionRule(LADDER, ("budget",), None, contradiction, "ladder(epoch=10, budget=0.5, layer=..., copies=3)"),
    ),
    faults=faults,
    hindrances=hindrances,
    settings=lambda values: Settings(**values),
    doubts=doubts,
    learner="Ladder",
    paper="its halving after Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter "
    "Optimization, AISTATS 2016, arXiv 1502.07943",
    budgets=Budgets("budgets", "pick", Settings.budgets_of),
    counts=lambda chosen: True,
    networks=lambda chosen: True,
    findings=(Rung, Chosen),
    words=Words(undecided=undecided),
)
