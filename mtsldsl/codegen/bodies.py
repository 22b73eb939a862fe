"""A lowered pipeline as the class a person would write: modules in `__init__`, a straight line in `forward`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from mtsldsl.codegen.identifiers import Scope
from mtsldsl.codegen.own_modules import OwnClass, own_call
from mtsldsl.ir.body import Body, Reference
from mtsldsl.language.constants import Shape
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.own import JOINING, taps_of
from mtsldsl.records import Record

MAXIMAL_LINE = 88
"""A chain of calls goes on in one line up to this column."""

MAXIMAL_CHAIN = 4

TYPED = frozenset(
    (
        *(f"F.{name}" for name in ("adaptive_avg_pool2d", "avg_pool2d", "interpolate")),
        *(f"F.{name}" for name in ("gelu", "leaky_relu", "relu", "silu", "softplus")),
        *(f"torch.{name}" for name in ("cat", "flatten", "mean", "sigmoid", "tanh", "transpose", "unflatten")),
    )
)
"""Functions that torch annotates with the result `Tensor`; what others return needs an annotation of its own."""


@attrs.frozen(eq=False, repr=False)
class Attribute(Record):
    """A module that a class keeps: `self.name = constructor`."""

    name: str
    constructor: str


@attrs.frozen(eq=False, repr=False)
class Statement(Record):
    """`target = expression  # comment`; the target may carry an annotation, and is `return` for a result."""

    target: str
    expression: str
    comment: str = ""

    @property
    def line(self) -> str:
        """The statement as one line."""
        start = "return " if self.target == "return" else f"{self.target} = "
        return start + self.expression + (f"  # {self.comment}" if self.comment else "")


@attrs.frozen(eq=False, repr=False)
class BodyPlan(Record):
    """What a class for a pipeline holds."""

    parameters: tuple[str, ...]
    """Names of the tensors that forward takes."""
    attributes: tuple[Attribute, ...]
    statements: tuple[Statement, ...]
    definitions: tuple[str, ...]
    """Sources of classes that torch does not have."""
    declared: bool = False
    """Whether a module of a person's own is in it, of whose parameters there is only what a spec declares."""


@attrs.frozen(eq=False, repr=False)
class _Chain(Record):
    """Steps that make one statement: each but the first applies to the one before."""

    steps: tuple[int, ...]

    @property
    def first(self) -> int:
        return self.steps[0]

    @property
    def result(self) -> int:
        return self.steps[-1]


def signature(body: Body) -> tuple[object, ...]:
    """Equal for bodies that do the same to inputs of the same shapes, whatever these are called."""
    place: dict[Reference, Reference] = {name: f"input {index}" for index, name in enumerate(body.inputs)}
    steps = tuple(
        (
            step.operator,
            tuple((name, repr(value)) for name, value in sorted(step.arguments.items())),
            tuple(place.get(source, source) for source in step.inputs),
        )
        for step in body.steps
    )
    return body.input_shapes, steps, place.get(body.output, body.output)


def module_names(body: Body) -> dict[int, str]:
    """The attributes that hold the modules of a body's steps, such as `conv1`, by the steps' indices."""
    names: dict[int, str] = {}
    numbers: Counter[str] = Counter()
    for index, step in enumerate(body.steps):
        operator = OPERATORS[step.operator]
        if operator.module is not None:
            numbers[operator.stem] += 1
            names[index] = f"{operator.stem}{numbers[operator.stem]}"
    return names


def plan_body(body: Body, parameters: Sequence[str], own: Mapping[str, OwnClass] = {}) -> BodyPlan:
    """The class of a body whose outside values are called `parameters` in forward; `own` are imported classes."""
    return _Planner(body, tuple(parameters), own).plan()


class _Planner:
    def __init__(self, body: Body, parameters: tuple[str, ...], own: Mapping[str, OwnClass]) -> None:
        self.body = body
        self.own = own
        self.parameters = parameters
        self.shapes: dict[Reference, Shape] = dict(zip(body.inputs, body.input_shapes, strict=True))
        self.shapes |= {index: step.shape for index, step in enumerate(body.steps)}
        self.alias: dict[Reference, Reference] = {}
        self.inputs: tuple[tuple[Reference, ...], ...] = ()
        self.readers: dict[Reference, list[int]] = {}
        self.places: dict[Reference, int] = {}
        """Which input of its last reader a value is."""
        self.modules = module_names(body)
        self.overwriting: frozenset[int] = frozenset()
        """Steps that are written into the memory of what they read."""
        self.joins: dict[int, tuple[int, int] | None] = {}

    def plan(self) -> BodyPlan:
        attributes, definitions, declared = [], [], False
        for index, step in enumerate(self.body.steps):
            operator = OPERATORS[step.operator]
            shapes = tuple(self.shapes[source] for source in step.inputs)
            if operator.module is not None:
                made = own_call(step.arguments, self.own) if operator.own else operator.module(step.arguments, shapes)
                attributes.append(Attribute(self.modules[index], made))
                declared = declared or operator.own
            if operator.definition:
                definitions.append(operator.definition)
            if operator.own and taps_of(step.arguments):
                definitions.append(JOINING)
        self._resolve()
        statements = self._statements(self._chains())
        sources = tuple(dict.fromkeys(definitions))
        return BodyPlan(self.parameters, tuple(attributes), statements, sources, declared)

    def _resolve(self) -> None:
        """Find out who reads what; a step that only passes its input on is read through."""
        for index, step in enumerate(self.body.steps):
            if len(step.inputs) == 1 and self._expression(index, ("\0",)) == "\0":
                self.alias[index] = self._value(step.inputs[0])
        self.inputs = tuple(tuple(self._value(source) for source in step.inputs) for step in self.body.steps)
        for index, inputs in enumerate(self.inputs):
            if index not in self.alias:
                for place, source in enumerate(inputs):
                    self.readers.setdefault(source, []).append(index)
                    self.places[source] = place
        self.output = self._value(self.body.output)
        self.overwriting = frozenset(index for index in range(len(self.inputs)) if self._may_overwrite(index))

    def _may_overwrite(self, index: int) -> bool:
        """Whether nobody else needs what the step reads, neither another step nor a gradient."""
        source = self.inputs[index][0]
        return (
            isinstance(source, int)
            and OPERATORS[self.body.steps[index].operator].in_place is not None
            and OPERATORS[self.body.steps[source].operator].fresh
            and self.readers[source] == [index]
            and source != self.output
        )

    def _value(self, source: Reference) -> Reference:
        return self.alias.get(source, source)

    def _expression(self, index: int, values: tuple[str, ...]) -> str:
        step = self.body.steps[index]
        operator = OPERATORS[step.operator]
        if index in self.overwriting and operator.in_place is not None:
            return operator.in_place(values[0])
        module = f"self.{self.modules[index]}" if index in self.modules else ""
        return operator.written(step.arguments, module, values, self.shapes[step.inputs[0]])

    def _chains(self) -> list[_Chain]:
        """The statements: a step with weights or several inputs, or one that changes the shape, starts a new one."""
        chains: dict[int, tuple[int, ...]] = {}
        for index in range(len(self.body.steps)):
            if index in self.alias or not (index in self.readers or index == self.output):
                continue
            source = self.inputs[index][0]
            before = chains.get(source) if isinstance(source, int) else None
            if before is not None and isinstance(source, int) and self._continues(index, source, before):
                del chains[source]
                chains[index] = (*before, index)
            else:
                chains[index] = (index,)
        return [_Chain(steps) for steps in chains.values()]

    def _continues(self, index: int, source: int, before: tuple[int, ...]) -> bool:
        step = self.body.steps[index]
        operator = OPERATORS[step.operator]
        shapes = (self.shapes[source],)
        if len(step.inputs) != 1 or shapes[0] != step.shape or operator.flops(step.arguments, shapes, step.shape):
            return False
        if self.readers[source] != [index] or source == self.output or len(before) == MAXIMAL_CHAIN:
            return False
        here = self._expression(index, ("\0",))
        if here.count("\0") != 1 or "(\0)" not in here.replace("\0,", "\0)"):
            return False
        names = tuple("x" if isinstance(value, int) else value for value in self.inputs[before[0]])
        return len(f"        x = {self._chain_text((*before, index), names)}") <= MAXIMAL_LINE

    def _chain_text(self, steps: tuple[int, ...], names: tuple[str, ...]) -> str:
        text = self._expression(steps[0], names)
        for index in steps[1:]:
            text = self._expression(index, (text,))
        return text

    def _statements(self, chains: list[_Chain]) -> tuple[Statement, ...]:
        self._find_joins(chains)
        last_use: dict[Reference, int] = {}
        for place, chain in enumerate(chains):
            last_use |= dict.fromkeys(self.inputs[chain.first], place)
        last_use[self.output] = len(chains)
        ending: dict[int, list[Reference]] = {}
        for value, place in last_use.items():
            ending.setdefault(place, []).append(value)
        names: dict[Reference, str] = dict(zip(self.body.inputs, self.parameters, strict=True))
        live = {name for value, name in names.items() if value in last_use}
        statements: list[Statement] = []
        for place, chain in enumerate(chains):
            sources = self.inputs[chain.first]
            text = self._chain_text(chain.steps, tuple(names[source] for source in sources))
            shape = self.shapes[chain.result]
            comment = "" if shape == self.shapes[sources[0]] else shape_text(shape)
            if chain.result == self.output and place == len(chains) - 1:
                return (*statements, *_result(text, comment, {*live, *self.parameters}))
            live.difference_update(names[value] for value in ending.get(place, ()))
            dying = [names[source] for source in sources if names[source] not in live]
            names[chain.result] = self._name(chain, dying, live)
            if chain.result in last_use:  # only what nobody reads in the end is read by nobody here
                live.add(names[chain.result])
            statements.append(Statement(names[chain.result], text, comment))
        return (*statements, Statement("return", names[self.output]))

    def _name(self, chain: _Chain, dying: list[str], live: set[str]) -> str:
        """The variable of a result: `x` on the main path, `y` beside it or where `x` is a parameter, `shortcut` or
        `branch2` for what joins it. No parameter of forward is given another value."""
        role = self._role(chain, dying)
        own = [name for name in dying if name not in self.parameters]
        for name in (role, "x", *own[:1], "y", "z"):
            if name and name not in live and name not in self.parameters:
                return name
        return Scope(frozenset(live.union(self.parameters))).variable("y")

    def _role(self, chain: _Chain, dying: list[str]) -> str:
        """The name that the place in a join asks for, "" where none does."""
        join = self.joins[chain.result]
        if join is None:
            return ""
        index, position = join
        operands = self.inputs[index]
        if self.body.steps[index].operator == "add" and len(operands) == 2:
            return "shortcut" if position == 1 and self._computed(operands[1], index) else ""
        piped = OPERATORS[self.body.steps[index].operator].piped
        if piped and position == 0:
            return ""  # it is the main path
        if len(operands) == 2 and not all(isinstance(operand, int) for operand in operands):
            return ""
        if len(dying) == 1 and dying[0] != "x":  # a branch from a value of its own keeps that value's name
            return dying[0]
        return f"branch{position if piped else position + 1}"

    def _computed(self, operand: Reference, join: int) -> bool:
        """Whether the operand is made for this join alone."""
        return isinstance(operand, int) and self.readers[operand] == [join]

    def _find_joins(self, chains: list[_Chain]) -> None:
        """For every result the join that it is made for, and its place there: that of its reader where it has one."""
        results = {chain.first: chain.result for chain in chains}
        for chain in reversed(chains):  # readers come later
            self.joins[chain.result] = self._join(chain.result, results)

    def _join(self, value: int, results: Mapping[int, int]) -> tuple[int, int] | None:
        if value == self.output or len(self.readers.get(value, ())) != 1:
            return None
        reader = self.readers[value][0]
        if OPERATORS[self.body.steps[reader].operator].arity is None:
            return reader, self.places[value]
        return self.joins[results[reader]] if self.places[value] == 0 and reader in results else None


def _result(text: str, comment: str, taken: set[str]) -> tuple[Statement, ...]:
    """The last statements: what torch does not annotate gets a name of its own with a type."""
    if text.partition("(")[0] in TYPED:
        return (Statement("return", text, comment),)
    name = Scope(frozenset(taken)).variable("out")
    return Statement(f"{name}: Tensor", text, comment), Statement("return", name)


def shape_text(shape: Shape) -> str:
    """A shape in a comment or docstring: `(64, 72, 96)`."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
