"""Methods of the generated model that compute the output of one task, where tasks read samples of their own: what tasks
share is weights alone, so there is a table of who uses what in place of a call for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from mtsldsl.codegen.bodies import Statement, shape_text
from mtsldsl.codegen.identifiers import ALL, Scope, tuple_of, whole
from mtsldsl.ir.model import Spec
from mtsldsl.ir.wiring import Call, copies_of, needed
from mtsldsl.records import Record
from mtsldsl.sharing import HEADS
from mtsldsl.sharing.component import gate_name

MEAN_OF = "mean_of"
"""The function of the generated module that means for one task are taken by."""

_MEAN_OF = '''\
def mean_of(
    copies: nn.ModuleDict,
    names: nn.ModuleDict | tuple[str, ...],
    shape: tuple[int, ...],
    *inputs: Tensor,{parameter}
) -> Tensor:
    """The mean of what the copies of these names make of the inputs, or zeros of `shape` without any.{said}"""
{body}'''

_ADDED = """\
    total: Tensor | None = None
    for name in names:
        term: Tensor = copies[name](*inputs)
        total = term if total is None else total + term
    if total is None:
        return inputs[0].new_zeros(len(inputs[0]), *shape)
    return total / len(names) if len(names) > 1 else total
"""
"""Each is added while it is in the cache, and no list keeps all of them."""

_SAID = """\
 With a
    gate, their sum, each times the share that it gives.
    """

_WEIGHED = """\
    terms: list[Tensor] = [copies[name](*inputs) for name in names]
    if not terms:
        return inputs[0].new_zeros(len(inputs[0]), *shape)
    if gate in copies:
        shares = copies[gate](inputs[0]).softmax(1)
        weights = shares.reshape(len(shares), -1, *[1] * len(shape)).unbind(1)
        terms = [weight * term for weight, term in zip(weights, terms, strict=True)]
        return sum(terms[1:], start=terms[0])
    return sum(terms[1:], start=terms[0]) / len(terms) if len(terms) > 1 else terms[0]
"""


def mean_definition(*, mixtures: bool) -> str:
    """The text of the function; with `mixtures` also sums that the task weighs."""
    return _MEAN_OF.format(
        parameter='\n    gate: str = "",' if mixtures else "",
        said=_SAID if mixtures else "",
        body=_WEIGHED if mixtures else _ADDED,
    )


@attrs.frozen(eq=False, repr=False)
class _Line(Record):
    """A layer as one task computes it: what it reads, how many there are of what it calls, and the shape of it."""

    layer: str
    reads: tuple[str, ...]
    averages: bool
    mixes: bool
    shape: tuple[int, ...]


@attrs.frozen(eq=False, repr=False)
class Alike(Record):
    """Tasks whose outputs are computed by the same lines, from copies that a table names: for each line the keys of
    the copies by task."""

    lines: tuple[_Line, ...]
    tasks: tuple[str, ...]
    keys: tuple[Mapping[str, tuple[str, ...]], ...] = attrs.field(hash=False)


def alike_tasks(spec: Spec, network: Sequence[Call], tasks: Sequence[str]) -> Iterator[Alike]:
    """The tasks, those together that are computed alike."""
    found: dict[tuple[_Line, ...], list[tuple[str, list[tuple[str, ...]]]]] = {}
    for task in tasks:
        lines, keys = [], []
        for call in needed(network, (task,)):
            routed = bool(call.layer != HEADS and spec.backbone.alternatives(call.layer))
            reads = tuple(value.layer for value in call.reads)
            shape = () if call.layer == HEADS else call.shape
            lines.append(_Line(call.layer, reads, routed, routed and spec.backbone.mixes(call.layer), shape))
            keys.append(tuple(copy.key for copy in call.copies))
        found.setdefault(tuple(lines), []).append((task, keys))
    for form, members in found.items():
        names = tuple(task for task, _ in members)
        by_line = tuple({task: keys[place] for task, keys in members} for place in range(len(form)))
        yield Alike(form, names, by_line)


@attrs.define
class OneTask:
    """Prints the lines of tasks that are computed alike; `tables` become constants of the module."""

    spec: Spec
    inputs: Mapping[str, str]
    """What those of the network are called."""
    scope: Scope
    names: Scope
    tables: list[tuple[str, str]] = attrs.field(factory=list)

    def statements(self, alike: Alike) -> tuple[tuple[tuple[Statement, ...], ...], str]:
        """The statements of the layers, in groups of one, and the expression of the output."""
        variables = dict(self.inputs)
        *layers, head = zip(alike.lines, alike.keys, strict=True)
        groups = []
        for line, keys in layers:
            expression = self._expression(line, keys, alike.tasks, variables)
            variables[line.layer] = self.scope.variable(line.layer)
            groups.append((Statement(variables[line.layer], expression, shape_text(line.shape)),))
        return tuple(groups), self._expression(*head, alike.tasks, variables)

    def _expression(
        self, line: _Line, keys: Mapping[str, tuple[str, ...]], tasks: Sequence[str], variables: Mapping[str, str]
    ) -> str:
        reads = ", ".join(variables[name] for name in line.reads)
        if not line.averages:
            return f"self.{line.layer}[{self._key(line.layer, keys, tasks)}]({reads})"
        everything = tuple(copy.key for copy in copies_of(self.spec.sharing, line.layer))
        every = keys[tasks[0]] == everything and not line.mixes  # gates stand among the copies too
        if len(set(keys.values())) == 1:
            names = f"self.{line.layer}" if every else tuple_of(keys[tasks[0]])
        else:
            rows = ", ".join(f'"{task}": {tuple_of(keys[task])}' for task in tasks)
            names = f"{self._table(line.layer, 'dict[str, tuple[str, ...]]', rows)}[task]"
        key = gate_name("{task}")
        gate = f', gate=f"{key}"' if line.mixes else ""
        shape = f"({', '.join(map(str, line.shape))}{',' if len(line.shape) == 1 else ''})"
        return f"{MEAN_OF}(self.{line.layer}, {names}, {shape}, {reads}{gate})"

    def _key(self, layer: str, keys: Mapping[str, tuple[str, ...]], tasks: Sequence[str]) -> str:
        """The key of the one copy of a layer that a task uses."""
        if all(keys[task] == (task,) for task in tasks):
            return "task"
        if len(set(keys.values())) == 1:
            key = keys[tasks[0]][0]
            return ALL if key == whole(self.spec.sharing.tasks) else f'"{key}"'
        rows = ", ".join(f'"{task}": "{keys[task][0]}"' for task in tasks)
        return f"{self._table(layer, 'dict[str, str]', rows)}[task]"

    def _table(self, layer: str, kind: str, rows: str) -> str:
        name = self.names.variable(f"{layer}_of").upper()
        self.tables.append((f"{name}: {kind}", f"{{{rows}}}"))
        return name
