"""What the generated model's `forward` does: a straight line where all tasks share something, else a method for each
set of tasks that share layers, so that sets may be computed one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import attrs

from mtsldsl.codegen.bodies import Statement, shape_text
from mtsldsl.codegen.identifiers import ALL, MANY, Scope, tuple_of, whole
from mtsldsl.codegen.one_task import MEAN_OF, OneTask, alike_tasks, mean_definition
from mtsldsl.ir.model import Spec
from mtsldsl.ir.wiring import Call, Value, inputs_of, inputs_read, needed, needed_layers, together, wired
from mtsldsl.records import Record
from mtsldsl.sharing import HEADS
from mtsldsl.sharing.component import gate_name
from mtsldsl.sharing.partition import in_order

AVERAGED = "averaged"
"""The function of the generated module that means are taken by."""

_AVERAGED = '''\
def averaged(
    copies: nn.ModuleDict, calls: Calls, shape: tuple[int, ...], *inputs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Values of some layer, each under the first of the tasks that it is for: the mean of what copies make of what it
    reads, or zeros of `shape`. `calls` has what it reads of every input, and the copies. What values have in common is
    computed once.{said}"""
    made: dict[tuple[str, tuple[str, ...]], Tensor] = {{}}
    values: dict[str, Tensor] = {{}}
    for value, (reads, names) in calls.items():
        tensors = [tensor[read] for tensor, read in zip(inputs, reads, strict=True)]
        for name in names:
            if (name, reads) not in made:
                made[name, reads] = copies[name](*tensors)
        terms = [made[name, reads] for name in names] or [tensors[0].new_zeros(len(tensors[0]), *shape)]
{weighed}        values[value] = sum(terms[1:], start=terms[0]) / len(terms) if len(terms) > 1 else terms[0]
    return values
'''

_SAID = " A task with a gate gets their sum instead, each times the share that the gate gives it."

_WEIGHED = """\
        if f"{gate}" in copies:
            shares = copies[f"{gate}"](tensors[0]).softmax(1)
            weights = shares.reshape(len(shares), -1, *[1] * len(shape)).unbind(1)
            terms = [weight * term for weight, term in zip(weights, terms, strict=True)]
            values[value] = sum(terms[1:], start=terms[0])
            continue
"""


def averaged_definition(*, mixtures: bool) -> str:
    """The text of the function that means are taken by; with `mixtures` also sums that tasks weigh."""
    weighed = _WEIGHED.format(gate=gate_name("{value}")) if mixtures else ""
    return _AVERAGED.format(said=_SAID if mixtures else "", weighed=weighed)


@attrs.frozen(eq=False, repr=False)
class Pass(Record):
    """A method that computes the outputs of some tasks.

    `statements` are in groups, one a layer; `result` is the expression that is returned. Where `by_task`, the method
    takes the task's name and gives its output: all `tasks` read their own copies in the same way.
    """

    name: str
    tasks: tuple[str, ...]
    by_task: bool
    statements: tuple[tuple[Statement, ...], ...]
    result: str
    out: str
    """What a single output is called."""
    inputs: tuple[str, ...]
    """Those of the network that it reads."""
    tables: tuple[tuple[str, str], ...] = ()
    """Constants of the module that it reads: what values of a layer read and what they are made by."""
    uses: tuple[tuple[str, str], ...] = ()
    """Those of a method for one task: which copies it uses."""
    said: str = ""
    """What its docstring says."""
    helping: tuple[tuple[str, str], ...] = ()
    """Heads that help in training, each with its name and the expression that is its output."""

    @property
    def constant(self) -> str:
        """The constant that holds the tasks of a method that takes their names."""
        return self.name.removeprefix("forward_").upper()

    @property
    def spaced(self) -> bool:
        """Whether a layer may have several copies, so that an empty line stands between layers."""
        return any(len(group) > 1 for group in self.statements)


@attrs.frozen(eq=False, repr=False)
class ForwardPlan(Record):
    """The inputs' names in it, and its passes: one of no name where `forward` itself is a straight line."""

    inputs: tuple[str, ...]
    tasks: tuple[str, ...]
    passes: tuple[Pass, ...]
    said: str = "those sets of them that share layers with no others"
    """Which tasks may be asked for."""
    helpers: tuple[str, ...] = ()
    """Heads that have outputs too while the network is trained."""

    @property
    def constants(self) -> tuple[tuple[str, str], ...]:
        """What `forward` reads, each a constant of the module with its value: names of tasks, and tables."""
        tables = tuple((f"{name}: Calls", rows) for each in self.passes for name, rows in each.tables)
        used = tuple(row for each in self.passes for row in each.uses)
        if tables:
            tables = (("Calls", "dict[str, tuple[tuple[str, ...], tuple[str, ...]]]"), *tables)
        if not self.apart:
            return tables
        tables = (*tables, *used)
        found = [(each.constant, each.tasks) for each in self.passes if each.by_task]
        helpers = [("HELPERS", self.helpers)] if self.helpers else []
        listed = [("TASKS", self.tasks), *helpers, *(found if len(self.passes) > 1 else ())]
        return (*((name, tuple_of(tasks)) for name, tasks in listed), *tables)

    def functions(self, *, mixtures: bool) -> Iterator[str]:
        """The definitions of what takes means; with `mixtures` also of sums that tasks weigh."""
        if any(each.tables for each in self.passes):
            yield averaged_definition(mixtures=mixtures)
        if any(MEAN_OF in each.expression for one in self.passes for group in one.statements for each in group):
            yield mean_definition(mixtures=mixtures)

    @property
    def apart(self) -> bool:
        """Whether tasks may be computed apart."""
        return bool(self.passes[0].name)


def plan_forward(spec: Spec) -> ForwardPlan:
    """How the network of `spec` is called."""
    network = wired(spec)
    order = spec.sharing.tasks
    if len(spec.sharing.sources) > 1:
        return _by_source(spec, network)
    sets = together(network, order)
    tables = Scope()
    if len(sets) == 1:
        scope = Scope(frozenset(("tasks", "copy", AVERAGED)))
        inputs = _variables(spec, scope)
        found = _pass(spec, network, sets[0], "", inputs, scope, tables)
        return ForwardPlan(tuple(inputs.values()), order, (attrs.evolve(found, inputs=tuple(inputs.values())),))
    taken = frozenset(("task", "tasks", "copy", "outputs", AVERAGED))
    inputs = _variables(spec, Scope(taken))
    taken |= frozenset(inputs.values())
    alone: dict[object, Pass] = {}
    shared: list[Pass] = []
    methods = Scope(frozenset((*spec.backbone.layers, HEADS)))
    for tasks in sets:
        scope = Scope(taken)
        alone_here = len(tasks) == 1 and len(spec.trained_with(tasks)) == 1
        if not alone_here or any(map(spec.backbone.alternatives, needed_layers(network, tasks))):
            name = methods.variable(_name(tasks))
            found = _pass(spec, network, tasks, name, inputs, scope, tables)
            shared.append(attrs.evolve(found, said="The outputs of tasks that share layers with no others."))
            continue
        found = _pass(spec, network, tasks, "", inputs, scope, tables, by_task=True)
        form = tuple(tuple((each.target, each.expression) for each in group) for group in found.statements)
        key = form, found.result
        known = alone.get(key)
        name = known.name if known else methods.variable("forward_alone")
        said = "The output of a task that shares no layer with others."
        alone[key] = attrs.evolve(found, name=name, tasks=(*(known.tasks if known else ()), *tasks), said=said)
    helpers = tuple(each.name for each in spec.sharing.helpers)
    return ForwardPlan(tuple(inputs.values()), order, (*alone.values(), *shared), helpers=helpers)


def _variables(spec: Spec, scope: Scope) -> dict[str, str]:
    """What the inputs are called in the code."""
    return {name: scope.variable(name) for name in spec.data.inputs}


def _by_source(spec: Spec, network: Sequence[Call]) -> ForwardPlan:
    """The passes of a network whose tasks read samples of several sources: one for each source of several tasks, and
    one for all single tasks that are computed alike."""
    taken = frozenset(("task", "tasks", "copy", "outputs", AVERAGED, MEAN_OF))
    inputs = _variables(spec, Scope(taken))
    taken |= frozenset(inputs.values())
    tables, methods = Scope(), Scope(frozenset((*spec.backbone.layers, HEADS)))
    passes = []
    lone = [stream.tasks[0] for stream in spec.streams if len(stream.tasks) == 1]
    for alike in alike_tasks(spec, network, lone):
        scope = Scope(taken)
        printer = OneTask(spec, inputs, scope, tables)
        statements, result = printer.statements(alike)
        name = methods.variable("forward_one")
        said = "The output of one task."
        out = scope.variable("out")
        uses = tuple(printer.tables)
        read = tuple(inputs[each] for each in inputs if any(each in line.reads for line in alike.lines))
        passes.append(Pass(name, alike.tasks, True, statements, result, out, read, uses=uses, said=said))
    for stream in spec.streams:
        if len(stream.tasks) > 1:
            name = methods.variable(f"forward_{stream.name}")
            found = _pass(spec, network, stream.tasks, name, inputs, Scope(taken), tables)
            passes.append(attrs.evolve(found, said=f"The outputs of the tasks that read the samples of {stream.name}."))
    variables = tuple(inputs.values())
    return ForwardPlan(variables, spec.sharing.tasks, tuple(passes), "those that read the samples of one source")


def _name(tasks: Sequence[str]) -> str:
    joined = "_".join(("forward", *tasks))
    return joined if len(joined) <= 48 else f"forward_{tasks[0]}_and_{len(tasks) - 1}_more"


def _pass(
    spec: Spec,
    network: Sequence[Call],
    tasks: Sequence[str],
    name: str,
    inputs: Mapping[str, str],
    scope: Scope,
    tables: Scope,
    *,
    by_task: bool = False,
) -> Pass:
    """The calls of all copies that these tasks need, one group a layer, and their outputs."""
    names = {value: inputs[value.layer] for value in inputs_of(spec)}
    printer = _Printer(spec, names, scope, tables, by_task=by_task)
    called = needed(network, spec.trained_with(tasks))
    *layers, (_, heads) = ((layer, list(calls)) for layer, calls in groupby(called, key=lambda call: call.layer))
    statements = tuple(printer.layer(layer, calls) for layer, calls in layers)
    result = printer.result([call for call in heads if call.value.tasks.issubset(tasks)])
    helping = tuple(printer.helping(call) for call in heads if not call.value.tasks.issubset(tasks))
    out, constants = scope.variable("out"), tuple(printer.constants)
    read = tuple(inputs[each] for each in inputs_read(spec, called))
    return Pass(name, tuple(tasks), by_task, statements, result, out, read, constants, helping=helping)


@attrs.define
class _Printer:
    """Prints the calls of one pass; `names` has what each value is called, `dictionaries` the layers whose values are
    together in a dictionary, by the copies' keys, `averages` the variables of those that are so by the first of the
    tasks, as layers of alternatives and what lies below them are. `constants` are the tables of these."""

    spec: Spec
    names: dict[Value, str]
    scope: Scope
    tables: Scope
    by_task: bool = attrs.field(kw_only=True)
    dictionaries: set[str] = attrs.field(factory=set)
    averages: dict[str, str] = attrs.field(factory=dict)
    constants: list[tuple[str, str]] = attrs.field(factory=list)

    def layer(self, layer: str, calls: Sequence[Call]) -> tuple[Statement, ...]:
        """The statements that call the copies of a layer: one each, or one for all where they are many."""
        shape = shape_text(calls[0].shape)
        if self.spec.backbone.alternatives(layer) or self.spec.backbone.below_alternatives(layer):
            expression = self._averaged(layer, calls)
            variable = self.averages[layer] = self.scope.variable(layer)
            self.names |= {call.value: f'{variable}["{self._first(call.value)}"]' for call in calls}
            return (Statement(self.averages[layer], expression, shape),)
        if (alike := self._alike(layer, calls)) is not None:
            variable = self.scope.variable(layer)
            self.names |= {call.value: f'{variable}["{_key(call)}"]' for call in calls}
            self.dictionaries.add(layer)
            return (Statement(variable, alike, shape),)
        group: list[Statement] = []
        for call in calls:
            members = in_order(call.value.tasks, self.spec.sharing.tasks)
            self.names[call.value] = self.scope.variable(layer if len(calls) == 1 else _copy_name(layer, members))
            group.append(Statement(self.names[call.value], self._call(call), "" if group else shape))
        return tuple(group)

    def result(self, heads: Sequence[Call]) -> str:
        """What the outputs of these heads are returned as."""
        if self.by_task:
            return self._call(heads[0])
        read = {tuple(value.layer for value in call.reads) for call in heads}
        if len(read) == 1 and any(layer in self.averages for layers in read for layer in layers):
            return self._averaged(HEADS, heads)
        entries = ", ".join(f'"{_key(call)}": {self._call(call)}' for call in heads)
        return self._alike(HEADS, heads) or f"{{{entries}}}"

    def helping(self, call: Call) -> tuple[str, str]:
        """The name of a head that helps, and its output."""
        return _key(call), self._call(call)

    def _call(self, call: Call) -> str:
        key = "task" if self.by_task else self._quoted(_key(call))
        return f"self.{call.layer}[{key}]({', '.join(self.names[value] for value in call.reads)})"

    def _averaged(self, layer: str, calls: Sequence[Call]) -> str:
        """The values of these calls as a dictionary by the first of the tasks of each, which it is called after."""
        if (one := self._mapped(calls)) is not None:
            return one
        arguments = []
        for reads in zip(*(call.reads for call in calls), strict=True):
            if reads[0].layer in self.averages:
                arguments.append(self.averages[reads[0].layer])
            else:
                named = {self._first(value): self.names[value] for value in dict.fromkeys(reads)}
                entries = ", ".join(f'"{key}": {name}' for key, name in named.items())
                arguments.append(f"{{{entries}}}")
        rows = [
            f'"{self._first(call.value)}": ({tuple_of(list(map(self._first, call.reads)))}, '
            f"{self._tuple_of([copy.key for copy in call.copies])})"
            for call in calls
        ]
        table = self.tables.variable(f"{layer}_calls").upper()
        self.constants.append((table, f"{{{', '.join(rows)}}}"))
        shape = f"({', '.join(map(str, calls[0].shape))}{',' if len(calls[0].shape) == 1 else ''})"
        return f"{AVERAGED}(self.{layer}, {table}, {shape}, {', '.join(arguments)})"

    def _mapped(self, calls: Sequence[Call]) -> str | None:
        """The calls as one expression, where one copy makes of every value of another layer one of its own."""
        reads = [call.reads[0] for call in calls]
        alike = all(len(call.reads) == 1 and call.copies == calls[0].copies for call in calls)
        same = all(self._first(value) == self._first(call.value) for value, call in zip(reads, calls, strict=True))
        if not alike or not same or len(calls[0].copies) != 1 or reads[0].layer not in self.averages:
            return None
        if len(calls) < sum(value.layer == reads[0].layer for value in self.names):
            return None  # some value is not needed of this layer
        copy = f"self.{calls[0].layer}[{self._quoted(calls[0].copies[0].key)}]"
        return f"{{tasks: {copy}(value) for tasks, value in {self.averages[reads[0].layer]}.items()}}"

    def _tuple_of(self, keys: Sequence[str]) -> str:
        return f"({', '.join(map(self._quoted, keys))}{',' if len(keys) == 1 else ''})"

    def _quoted(self, key: str) -> str:
        return ALL if key == whole(self.spec.sharing.tasks) else f'"{key}"'

    def _first(self, value: Value) -> str:
        return in_order(value.tasks, self.spec.sharing.tasks)[0]

    def _alike(self, layer: str, calls: Sequence[Call]) -> str | None:
        """The calls of all copies of a layer as one expression, where they are many and read alike: the same value, or
        that of the same tasks."""
        copies = len(self.spec.tasks) if layer == HEADS else len(self.spec.sharing[layer])
        if len(calls) <= MANY or len(calls) != copies:
            return None
        arguments = []
        for reads in zip(*(call.reads for call in calls), strict=True):
            if len(set(reads)) == 1:
                arguments.append(self.names[reads[0]])
                continue
            variable = self.names[reads[0]].partition("[")[0]
            named = (f'{variable}["{_key(call)}"]' for call in calls)
            if reads[0].layer not in self.dictionaries or [self.names[value] for value in reads] != list(named):
                return None  # tasks of other sources may be in the copy of the one layer alone
            arguments.append(f"{variable}[tasks]")
        return f"{{tasks: copy({', '.join(arguments)}) for tasks, copy in self.{layer}.items()}}"


def _key(call: Call) -> str:
    """The name of the one copy that a call is of, among those of its layer."""
    (copy,) = call.copies
    return copy.key


def _copy_name(layer: str, tasks: Sequence[str]) -> str:
    """The variable of one copy among several: `enc1_segment_edge`."""
    joined = "_".join([layer, *tasks])
    return joined if len(joined) <= 48 or len(tasks) == 1 else f"{layer}_{tasks[0]}_and_{len(tasks) - 1}_more"
