"""Spec to Plan: every decision about the generated code, so that the templates hold layout only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap

import attrs

from mtsldsl.codegen.bodies import BodyPlan, plan_body, shape_text, signature
from mtsldsl.codegen.forward import MANY, ForwardPlan, plan_forward, tuple_of
from mtsldsl.codegen.identifiers import Scope
from mtsldsl.codegen.knobs import (
    Knob,
    MixedPlan,
    augmentations,
    learner_plan,
    mixed_plan,
    optimizer_plan,
    rest_of_knobs,
    scheduler_plan,
    train_imports,
)
from mtsldsl.codegen.line_breaks import WIDTH
from mtsldsl.codegen.own_modules import OwnClass, import_lines, own_classes, own_problems
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.body import Body
from mtsldsl.ir.data_blocks import fits
from mtsldsl.ir.model import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.ir.wiring import bodies, copies, copies_of, gates_of
from mtsldsl.language.operators import OPERATORS
from mtsldsl.records import Record
from mtsldsl.sharing import HEADS, Copy, format_tasks

GENERATOR = 4
"""Raised whenever the same spec gives other code."""

_DEFINED = frozenset(
    operator.definition.split("(")[0].removeprefix("class ").strip()
    for operator in OPERATORS.values()
    if operator.definition
)
"""Classes that operators bring with them."""


@attrs.frozen(eq=False, repr=False)
class ClassPlan(Record):
    """One class of the generated module, for a layer or head and all that have the same structure."""

    name: str
    docstring: tuple[str, ...]
    body: BodyPlan


@attrs.frozen(eq=False, repr=False)
class Container(Record):
    """The copies of a layer, or all heads: `self.name = nn.ModuleDict({key: class(), ...})`."""

    name: str
    entries: tuple[tuple[str, str], ...]
    of_tasks: bool = False
    """Whether they are many, alike, and called as the tasks are, in the constant TASKS."""

    @classmethod
    def of(cls, name: str, entries: tuple[tuple[str, str], ...], tasks: tuple[str, ...]) -> Container:
        """The container of these copies, in a network of these tasks."""
        alike = len({made for _, made in entries}) == 1
        return cls(name, entries, alike and len(entries) > MANY and tuple(key for key, _ in entries) == tasks)

    @property
    def expression(self) -> str:
        """The constructor of the dictionary."""
        if self.of_tasks:
            return f"nn.ModuleDict({{task: {self.entries[0][1]}() for task in TASKS}})"
        entries = ", ".join(f'"{key}": {made}()' for key, made in self.entries)
        return f"nn.ModuleDict({{{entries}}})"


@attrs.frozen(eq=False, repr=False)
class Plan(Record):
    """All that the templates print.

    `optimizer` and `scheduler` are expressions over `parameters` and `optimizer` and the constants in `knobs`,
    `augment` and `learner` are expressions too.
    """

    name: str
    source: str
    digest: str
    imports: tuple[str, ...]
    """Of the person's own modules."""
    definitions: tuple[str, ...]
    classes: tuple[ClassPlan, ...]
    docstring: tuple[str, ...]
    containers: tuple[Container, ...]
    heads: Container
    constants: tuple[tuple[str, str], ...]
    """Of the module, each a name and its value."""
    forward: ForwardPlan
    uses_torch: bool
    uses_functional: bool
    optimizer: str
    scheduler: str
    augment: str
    mixed: MixedPlan | None
    """Where samples come from several sources."""
    learner: str
    knobs: tuple[Knob, ...]
    """Constants of the training script that not every spec has."""
    rest_of_knobs: tuple[str, ...]
    """A comment on what else the spec decides."""
    train_imports: tuple[str, ...]
    generator: int = GENERATOR


def plan_spec(spec: Spec) -> Plan:
    """Decide how the code for `spec` reads.

    Raises:
        MtlError: MTL109 where a module of the person's own cannot be imported or made as the spec says.
    """
    found = tuple(own_problems(spec))
    if found:
        raise MtlError(found)
    own = own_classes(spec, _DEFINED)
    optimizer, scheduler = optimizer_plan(spec.train.optimizer), scheduler_plan(spec.train.scheduler)
    learner = learner_plan(spec.structure)
    classes = _Classes(spec, own)
    order = spec.sharing.tasks
    containers = tuple(
        Container.of(
            layer.name,
            tuple(
                (copy.key, classes.of_copy(copy).name)
                for copy in (*copies_of(spec.sharing, layer.name), *gates_of(spec.sharing, layer.name))
            ),
            order,
        )
        for layer in spec.layers
    )
    heads = Container.of(HEADS, tuple((task.name, classes.of_head[task.name].name) for task in spec.tasks), order)
    forward = plan_forward(spec)
    constants = forward.constants
    if any(each.of_tasks for each in (*containers, heads)) and "TASKS" not in dict(constants):
        constants = (("TASKS", tuple_of(order)), *constants)
    plans = classes.plans
    definitions = tuple(dict.fromkeys(text for plan in plans for text in plan.body.definitions))
    mixtures = any(map(spec.backbone.mixes, spec.backbone.layers))
    definitions = (*definitions, *forward.functions(mixtures=mixtures))
    code = [*definitions, *(statement.expression for plan in plans for statement in plan.body.statements)]
    source = source_name(spec.source.name)
    return Plan(
        name=Path(source).stem,
        source=source,
        digest=digest(spec),
        imports=import_lines(own),
        definitions=definitions,
        classes=plans,
        docstring=_describe(spec, classes),
        containers=containers,
        heads=heads,
        constants=constants,
        forward=forward,
        uses_torch=any("torch." in text for text in code),
        uses_functional=any("F." in text for text in code),
        optimizer=optimizer.call,
        scheduler=scheduler.call,
        augment=augmentations(spec.data.augment),
        mixed=mixed_plan(spec),
        learner=learner.call,
        knobs=(*optimizer.knobs, *scheduler.knobs, *learner.knobs),
        rest_of_knobs=tuple(_wrapped(rest_of_knobs(spec), WIDTH - 2)),
        train_imports=train_imports(learner, mixed=len(spec.streams) > 1),
    )


def source_name(name: str) -> str:
    """What the header calls the spec: the file's name, after `specs/` where it lies in a folder of that name.

    So the code is the same from any working folder, and on any machine.
    """
    path = Path(name).absolute()
    shown = f"specs/{path.name}" if path.parent.name == "specs" and not name.startswith("<") else path.name
    return "".join(character if character.isprintable() and character not in '"\\' else "_" for character in shown)


class _Classes:
    """One class for each structure, layers first; the first layer or task that has it gives the name."""

    def __init__(self, spec: Spec, own: Mapping[str, OwnClass]) -> None:
        places = [(copy, _place(spec, copy)) for copy in copies(spec) if copy.layer != HEADS]
        layers: dict[tuple[str, ...], Copy] = {}
        for copy, place in places:
            layers.setdefault(place, copy)
        each = bodies(spec)
        parts = [(".".join(place), each[copy], "") for place, copy in layers.items()]
        parts += [(task.name, task.head, "Head") for task in spec.tasks]
        keys = [(suffix, signature(body)) for _, body, suffix in parts]
        members: dict[tuple[str, object], list[tuple[str, Body]]] = {}
        for key, (name, body, _) in zip(keys, parts, strict=True):
            members.setdefault(key, []).append((name, body))
        scope = Scope(_DEFINED, frozenset(each.alias for each in own.values()))
        made = {
            (suffix, body): _class(scope.class_name(_named_after(group, suffix), suffix), group, own)
            for (suffix, body), group in members.items()
        }
        self.plans = tuple(made.values())
        self._spec = spec
        self._of_place = {place: made[key] for place, key in zip(layers, keys, strict=False)}
        self.of_head = {task.name: made[key] for task, key in zip(spec.tasks, keys[len(layers) :], strict=True)}

    def of_copy(self, copy: Copy) -> ClassPlan:
        """The class of a copy of a layer."""
        return self._of_place[_place(self._spec, copy)]


def _place(spec: Spec, copy: Copy) -> tuple[str, ...]:
    """What has one class: all copies of a layer, an alternative, or the gates of so many alternatives."""
    if copy.gate:
        (task,) = copy.component
        return (copy.layer, "gate", str(len(spec.sharing.uses(copy.layer, task))))
    variant = _variant(spec, copy)
    return tuple(part for part in (copy.layer, variant, copy.alternative) if part)


def _variant(spec: Spec, copy: Copy) -> str | None:
    """The data block for whose inputs a copy is another class than for the first block's."""
    layer = spec.layer(copy.layer)
    if not layer.variants:
        return None
    data = spec.data_of(next(task for task in spec.sharing.tasks if task in copy.component)).name
    return data if data in layer.variants and not fits(layer.body, layer.variants[data]) else None


def _named_after(group: Sequence[tuple[str, Body]], suffix: str) -> str:
    """What a class is called after: its first layer; the tasks of a head, up to two, or else the channels of it."""
    names = [name for name, _ in group]
    if not suffix or len(names) == 1:
        return names[0].replace(".", "_")
    if len(names) == 2:
        return "_".join(names)
    channels = group[0][1].shape[0]
    return f"{_NUMBERS.get(channels, str(channels))}_channel"


_NUMBERS = {
    1: "one",
    2: "two",
    3: "three",
    4: "four",
    5: "five",
    6: "six",
    7: "seven",
    8: "eight",
    9: "nine",
    10: "ten",
}


def _class(name: str, members: Sequence[tuple[str, Body]], own: Mapping[str, OwnClass]) -> ClassPlan:
    body = members[0][1]
    plan = plan_body(body, _parameters([member.inputs for _, member in members]), own)
    learned = _count(plan.learned) + (" as far as declared" if plan.declared else "")
    shapes = [shape_text(shape) for shape in body.input_shapes]
    given = [f"{name} {shape}" for name, shape in zip(plan.parameters, shapes, strict=True)]
    mapping = f"{shapes[0] if len(shapes) == 1 else ', '.join(given)} -> {shape_text(body.shape)}"
    names = [member for member, _ in members]
    shown = ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:2])} and {len(names) - 2} more"
    docstring: tuple[str, ...] = (f"{shown}: {mapping}, {learned}.",)
    if len(docstring[0]) > WIDTH - 10:  # the indent and the quotes
        docstring = (f"{shown}: {learned}.", "", *_wrapped(mapping, WIDTH - 4), "")
    return ClassPlan(name, docstring, plan)


def _parameters(inputs: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Names of forward's parameters: the layers' own where all members read the same ones, else `x` and `skip`."""
    number = len(inputs[0])
    if number == 1:
        return ("x",)
    scope = Scope()
    if len(set(inputs)) == 1:
        return tuple(scope.variable(name) for name in inputs[0])
    return ("x", "skip") if number == 2 else ("x", *(f"skip{place}" for place in range(1, number)))


_LONGEST_EXAMPLE = 60
"""Letters of the name of a copy that is shown."""


def _describe(spec: Spec, classes: _Classes) -> tuple[str, ...]:
    """The model's docstring: what it maps to what, then layers with their copies, and heads."""
    layers = [
        [(copy, classes.of_copy(copy).body.learned) for copy in copies_of(spec.sharing, name)]
        for name in spec.backbone.layers
    ]
    heads = [(task.name, classes.of_head[task.name].body.learned, shape_text(task.head.shape)) for task in spec.tasks]
    gates = [
        [classes.of_copy(copy).body.learned for copy in gates_of(spec.sharing, name)] for name in spec.backbone.layers
    ]
    total = sum(learned for made in layers for _, learned in made) + sum(learned for _, learned, _ in heads)
    total += sum(map(sum, gates))
    tasks = "1 task" if len(heads) == 1 else f"{len(heads)} tasks"
    rows = [("layer", "parameters", "copies and the tasks they serve")]
    for name, made, weighing in zip(spec.backbone.layers, layers, gates, strict=True):
        alike = len({learned for _, learned in made}) == 1
        size = f"{len(made)} x {made[0][1]:,}" if alike and len(made) > 1 else f"{sum(n for _, n in made):,}"
        rows.append((name, size, " | ".join(_served(copy, spec.sharing.tasks) for copy, _ in made) or "none"))
        if weighing:
            rows.append(
                ("", f"{sum(weighing):,}", f"in {len(weighing)} gates, one for each task that weighs alternatives")
            )
    bottom = [("task", "parameters", "output of its head")]
    bottom += [(name, f"{learned:,}", shape) for name, learned, shape in heads]
    first = max(len(row[0]) for row in (*rows, *bottom))
    second = max(len(row[1]) for row in (*rows, *bottom))
    given = " or ".join(dict.fromkeys(shape_text(data.shape) for data in spec.blocks))
    lines = [f"{spec.data.input} {given} -> the outputs of {tasks}; {_count(total)}.", ""]
    for table in (rows, bottom):
        lines += [line for row in table for line in _row(row, first, second)]
        lines.append("")
    names = [made[0][0].name for made in layers if made]
    short = next((f", such as `{name}`" for name in names if len(name) <= _LONGEST_EXAMPLE), "")
    called = "`<layer>.<tasks>`"
    if any(each.alternatives for each in spec.layers):
        called += " or `<layer>.<alternative>`"
    lines += [
        "Made by itself it has random weights of torch; mtsldsl.build_model gives all copies of a layer the same ones.",
        f"In its state a copy is called {called}{short}.",
        "",
    ]
    return tuple(lines[:-1])


def _served(copy: Copy, tasks: Sequence[str]) -> str:
    served = format_tasks(copy.component, tasks)
    return f"{copy.alternative}: {served}" if copy.alternative else served


def _row(row: tuple[str, str, str], first: int, second: int) -> list[str]:
    """A row of the table, its last column wrapped."""
    start = f"{row[0]:<{first}}  {row[1]:>{second}}  "
    room = max(WIDTH - 4 - len(start), 20)
    head, *rest = _wrapped(row[2], room)
    return [start + head, *(" " * len(start) + line for line in rest)]


def _count(parameters: int) -> str:
    return "1 parameter" if parameters == 1 else f"{parameters:,} parameters" if parameters else "no parameters"


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)
