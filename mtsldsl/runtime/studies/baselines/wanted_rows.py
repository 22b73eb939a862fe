"""The rows of a study of baselines: which there are of a spec, and the spec of each for a seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import attrs
import numpy as np

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import loads_source
from mtsldsl.editing.baseline import budgeted, static
from mtsldsl.editing.bundle import self_contained
from mtsldsl.editing.widened import NotWidenedError, widened
from mtsldsl.ir import Spec
from mtsldsl.ir.cost import sizes_of
from mtsldsl.ir.library import sections_of
from mtsldsl.language.written import quoted
from mtsldsl.methods.method import Budgets
from mtsldsl.seeds import seed_of
from mtsldsl.sharing import Sharing
from mtsldsl.sharing.own_layers import own_last, reassigned
from mtsldsl.sharing.shape import budget_name, part_of
from mtsldsl.syntax import parse, tree

EACH, ALL, ENCODER, LAST, WIDENED = "each", "all", "encoder", "last", "widened"
GIVEN, LEARNED, SCRATCH, RANDOM = "given", "learned", "scratch", "random"

KINDS = (EACH, ALL, WIDENED, LAST, ENCODER, GIVEN, LEARNED, SCRATCH, RANDOM)
"""What may be asked for; of `last` a number of layers too, `last:2`."""

TAUGHT = "+teachers"
"""What the name of a row ends with that is taught."""

BALANCE = "relative"
"""That of all rows, where the text says none."""


@attrs.frozen(eq=False)
class Row:
    """A row of the table. `names` are all that it is called: the static shapes that are one sharing are one row.

    A `static` one has its spec, at whatever seed. `budget` is that of what is widened to one, and of the rows of a
    learner that is given one; None where it has the spec's own."""

    names: tuple[str, ...]
    kind: Literal["static", "given", "learned", "scratch", "random"]
    spec: Spec
    """Of the last two that of the network without the structure that they have."""
    budget: float | None = None
    structure_of: str | None = None
    """The name of the row whose structure it has, of those that are made of another one's."""
    several: bool = False
    """Whether its learner gives a network for each of several budgets in one run, of which this is one."""
    taught: bool = False
    """Whether the single-task networks of the same seed teach it to the end."""
    pick: int | None = None
    """How many last layers a person would make own ones who may have as many parameters as the budget; None where there
    is no budget, or it is too small for all shared."""

    @property
    def network(self) -> str | None:
        """What that network is called in the run; None where the run has one."""
        return None if self.budget is None or not self.several else budget_name(self.budget)

    @property
    def name(self) -> str:
        """The first of its names, which tells it from others."""
        return self.names[0]

    @property
    def untaught(self) -> str:
        """The name of the row that is the same without teachers."""
        return self.name.removesuffix(TAUGHT)

    @property
    def teaches_itself(self) -> bool:
        """Whether its learner has a teacher of its own."""
        structure = self.spec.structure
        return structure is not None and structure.known.teaches(structure.settings)

    def with_teachers(self) -> Row:
        """The row that is the same with teachers."""
        return attrs.evolve(self, names=tuple(f"{name}{TAUGHT}" for name in self.names), taught=True)

    def at(self, seed: int, found: Sharing | None = None, teachers: Path | None = None) -> Spec:
        """The spec of its run with a seed. `found` is the structure that the other row has with that seed, which
        the rows that are made of it need, and `teachers` the run of single-task networks, which those need that are
        taught."""
        settings = {"train.seed": str(seed)}
        if self.taught:
            assert teachers is not None
            settings["train.teachers"] = quoted(str(teachers))
        spec = loads_source(self.spec.source, settings)
        if self.structure_of is None:
            return spec
        assert found is not None
        return spec.with_sharing(found if self.kind == SCRATCH else at_random(found, spec, seed))


@attrs.frozen
class Wanted:
    """The rows of a study in their order, with those that are left out and why; `chosen` is the spec of which they are,
    and `assumed` says that its text has no balance, so that all rows have `BALANCE`."""

    chosen: Spec
    rows: tuple[Row, ...]
    left_out: tuple[tuple[str, str], ...]
    assumed: bool
    budgets: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        source: Source,
        overrides: Mapping[str, str],
        kinds: Sequence[str],
        budgets: Sequence[float] = (),
        *,
        taught: bool = False,
    ) -> Wanted:
        """The rows of these kinds of a spec, at these budgets, which are parts of the parameters of single-task
        networks. Those that others are compared with are there in any case: `each`, and `learned` for what is made of
        it. With `taught` each static shape, and each structure from scratch, is there a second time, with teachers.

        Raises MtlError with what is wrong with the text, and MTL408 where a layer is made of alternatives; ValueError
        for a kind that there is not, and where teachers are wanted of a spec that has some or counts them 0 times.
        """
        chosen = self_contained(loads_source(source, overrides))
        assumed = not _says_balance(chosen.source)
        if assumed:
            chosen = loads_source(chosen.source, {"train.balance": BALANCE})
        hold_comparable(chosen)
        if taught and chosen.train.teachers is not None:
            raise ValueError("the spec names `teachers` itself, which all rows have then")
        if taught and not chosen.train.teach:
            raise ValueError("with `teach = 0` there is nothing that teachers add")
        rows = _Rows(chosen, loads_source(static(chosen.source)), _hold_kinds(chosen, kinds), tuple(budgets), taught)
        made = tuple(rows.all())  # which takes note of what is left out
        return cls(chosen, made, tuple(rows.left_out), assumed, tuple(budgets))

    @property
    def unbudgeted(self) -> bool:
        """Whether its learner has no budget that could be set."""
        known = None if self.chosen.structure is None else self.chosen.structure.known
        return known is not None and known.budget is None and known.budgets is None


def hold_comparable(spec: Spec) -> None:
    """Raise MtlError MTL408 where a network for each task alone is none of the spec's sharings."""
    for layer in spec.backbone.layers:
        if spec.backbone.alternatives(layer):
            raise MtlError.of(
                "MTL408",
                f"`{layer}` is made of alternatives, whose weights tasks share wherever they use them: no sharing is "
                "a network for each task alone, with which all others are compared",
                "make the layer of one pipeline",
                spec.layer(layer).span,
            )


def picked(spec: Spec) -> int:
    """How many of the last layers a person would leave each task as its own, who has to choose without a trial.

    Where layers give images: all after the last one of the smallest resolution, so that the encoder is shared, and of a
    network that only ever gets smaller all but the heads. Elsewhere the last layer, unless it is the only one.
    """
    sizes = {
        place: layer.body.shape[1] * layer.body.shape[2]
        for place, layer in enumerate(spec.layers)
        if len(layer.body.shape) == 3
    }
    if not sizes:
        return min(1, len(spec.layers) - 1)
    smallest = min(sizes.values())
    return len(spec.layers) - 1 - max(place for place, size in sizes.items() if size == smallest)


def most_own(spec: Spec, allowed: Fraction) -> int | None:
    """How many of the last layers each task can have as its own in a network of so many parameters; None where all
    shared has more."""
    counts = range(len(spec.layers), -1, -1)
    return next((own for own in counts if _parameters(spec, own_last(spec.sharing, own)) <= allowed), None)


def at_random(found: Sharing, spec: Spec, seed: int) -> Sharing:
    """The shape of a sharing with its tasks at random in each other's places, all orders alike; tasks of one data block
    among themselves."""
    chance = np.random.default_rng(seed_of(seed, "random assignment"))
    takes: dict[str, str] = {}
    for data in spec.blocks:
        tasks = [task.name for task in spec.tasks if spec.data_of(task.name).name == data.name]
        takes |= {task: tasks[place] for task, place in zip(tasks, chance.permutation(len(tasks)), strict=True)}
    return reassigned(found, takes)


def _parameters(spec: Spec, sharing: Sharing) -> int:
    return attrs.evolve(spec, sharing=sharing).cost().parameters


def _says_balance(source: Source) -> bool:
    return any(
        isinstance(item, tree.Entry) and item.key.text == "balance"
        for section in sections_of(parse(source), "train")
        for item in section.items
    )


def _hold_kinds(spec: Spec, kinds: Sequence[str]) -> tuple[str, ...]:
    most = len(spec.layers)
    for kind in kinds:
        count = re.fullmatch(rf"{LAST}:(\d+)", kind)
        if count is None and kind not in KINDS:
            raise ValueError(f"there are no rows `{kind}`; there are {', '.join(KINDS)}, and {LAST}:1")
        if count and int(count[1]) > most:
            raise ValueError(f"`{kind}`: the network has {most} layers")
    return tuple(kinds)


def _named(kind: str, budget: float | None) -> str:
    return kind if budget is None else f"{kind}:{budget_name(budget)}"


@attrs.define
class _Rows:
    """Makes the rows, and takes note of those that cannot be."""

    chosen: Spec
    static: Spec
    kinds: Sequence[str]
    budgets: Sequence[float]
    taught: bool
    left_out: list[tuple[str, str]] = attrs.field(factory=list)

    def all(self) -> Iterator[Row]:
        """All of them, in the order of the table."""
        rows = list(self._untaught())
        picks = {row.budget: self._pick(row.budget) for row in rows}
        rows = [attrs.evolve(row, pick=picks[row.budget]) for row in rows]
        yield from rows
        if self.taught:
            yield from (row.with_teachers() for row in rows if row.kind in ("static", "given", "scratch"))

    def _untaught(self) -> Iterator[Row]:
        yield from self._shapes()
        if WIDENED in self.kinds:
            yield from self._widened()
        if GIVEN in self.kinds and not self._gives_a_usual_one():
            yield Row((GIVEN,), "given", self.static)
            yield Row((f"{RANDOM}:{GIVEN}",), "random", self.static, structure_of=GIVEN)
        if {LEARNED, SCRATCH, RANDOM} & set(self.kinds):
            yield from self._learned()

    def _shapes(self) -> Iterator[Row]:
        names: dict[Sharing, list[str]] = {}
        for name, own in self._own_layers():
            names.setdefault(own_last(self.static.sharing, own), []).append(name)
        if GIVEN in self.kinds and self._gives_a_usual_one():
            names.setdefault(self.static.sharing, []).append(GIVEN)
        for sharing, called in names.items():
            try:
                yield Row(tuple(dict.fromkeys(called)), "static", self.static.with_sharing(sharing))
            except MtlError as problem:
                if EACH in called:
                    raise
                self.left_out.append((called[0], problem.diagnostics[0].cause))

    def _own_layers(self) -> Iterator[tuple[str, int]]:
        """The static shapes that are wanted: what each is called, and how many layers are own ones."""
        most = len(self.static.layers)
        yield EACH, most
        if ALL in self.kinds:
            yield ALL, 0
        if ENCODER in self.kinds:
            yield ENCODER, picked(self.static)
        for own in range(most + 1):
            if LAST in self.kinds or f"{LAST}:{own}" in self.kinds:
                yield f"{LAST}:{own}", own

    def _widened(self) -> Iterator[Row]:
        """All shared, as wide as the budgets are, those of a learner that has several where none are given; without
        one, as large as what a person would pick."""
        sharing = self.static.sharing
        budgets = self.budgets or self._budgets_of_one_run(self.chosen)
        sizes: dict[float | None, int] = {each: int(self._allowed(each)) for each in budgets}
        sizes = sizes or {None: _parameters(self.static, own_last(sharing, picked(self.static)))}
        for budget, size in sizes.items():
            name = _named(WIDENED, budget)
            try:
                yield Row((name,), "static", widened(self.static.with_sharing(sharing.united()), size), budget)
            except NotWidenedError as problem:
                self.left_out.append((name, f"all shared is not widened: {problem}"))
            except MtlError as problem:
                self.left_out.append((name, problem.diagnostics[0].cause))

    def _allowed(self, budget: float) -> Fraction:
        """The parameters that a budget allows."""
        return part_of(budget, _parameters(self.static, self.static.sharing.apart()))

    def _pick(self, budget: float | None) -> int | None:
        return None if budget is None else most_own(self.static, self._allowed(budget))

    def _gives_a_usual_one(self) -> bool:
        """Whether the sharing of the text, that of single-task networks where it has none, is one with own last layers,
        which the tasks in each other's places have too."""
        given = self.static.sharing
        return any(own_last(given, own) == given for own in range(len(self.static.layers) + 1))

    def _learned(self) -> Iterator[Row]:
        wanted = [kind for kind in (LEARNED, SCRATCH, RANDOM) if kind in self.kinds or kind == LEARNED]
        structure = self.chosen.structure
        if structure is None or not structure.known.decides(structure.settings):
            reason = "the spec has no `structure` to learn"
            if structure is not None:
                reason = f"`structure {structure.method}` does not change what tasks share"
            self.left_out += [(kind, reason) for kind in wanted]
            return
        known = structure.known
        if known.budgets is not None:
            yield from self._of_one_run(known.budgets, wanted)
            return
        key = known.budget
        made = []
        for budget in self.budgets if key and self.budgets else (None,):
            source = self.chosen.source
            try:
                made.append((budget, loads_source(source if budget is None else budgeted(source, budget))))
            except MtlError as problem:
                cause = problem.diagnostics[0].cause
                self.left_out += [(_named(kind, budget), cause) for kind in wanted]
        for budget, spec in made:
            yield Row((_named(LEARNED, budget),), "learned", spec, budget)
        for kind in wanted[1:]:
            yield from self._made_of_it(kind, (budget for budget, _ in made))

    def _that_fit(self, wanted: Sequence[str]) -> list[float]:
        """The budgets, in rising order, that are enough for what is all shared."""
        sizes = sizes_of(self.chosen)
        fitting = []
        for budget in sorted(self.budgets):
            allowed = sizes.allowed(budget)
            if sizes.least <= allowed:
                fitting.append(budget)
                continue
            cause = f"the budget {budget_name(budget)} is {float(allowed):,.0f} parameters, and all shared there are "
            self.left_out += [(_named(kind, budget), f"{cause}{sizes.least:,}") for kind in wanted]
        return fitting

    def _budgets_of_one_run(self, spec: Spec) -> tuple[float, ...]:
        """Those of which a run of its learner gives a network each."""
        known = None if spec.structure is None else spec.structure.known.budgets
        if spec.structure is None or known is None:
            return ()
        return known.of(spec.structure.settings, sizes_of(spec))

    def _of_one_run(self, known: Budgets, wanted: Sequence[str]) -> Iterator[Row]:
        """Rows of a learner that gives a network for each budget in one run."""
        spec = self.chosen
        if self.budgets:
            fitting = self._that_fit(wanted)
            if not fitting:
                return
            assert spec.structure is not None
            given = {f"structure.{known.key}": f"[{', '.join(map(budget_name, fitting))}]"}
            own = spec.structure.values[known.own]
            if isinstance(own, float) and own not in fitting:
                given[f"structure.{known.own}"] = "none"
            try:
                spec = loads_source(spec.source, given)
            except MtlError as problem:
                self.left_out += [(kind, problem.diagnostics[0].cause) for kind in wanted]
                return
        budgets = self._budgets_of_one_run(spec)
        for budget in budgets:
            yield Row((_named(LEARNED, budget),), "learned", spec, budget, several=True)
        for kind in wanted[1:]:
            yield from self._made_of_it(kind, budgets)

    def _made_of_it(self, kind: str, budgets: Iterable[float | None]) -> Iterator[Row]:
        """The rows that have the structures that were learned with these budgets."""
        for budget in budgets:
            made: Literal["scratch", "random"] = "scratch" if kind == SCRATCH else "random"
            yield Row((_named(kind, budget),), made, self.static, budget, _named(LEARNED, budget))
