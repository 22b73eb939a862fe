"""Spec to Plan: every decision about the generated code, so that the templates hold layout only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from mtsldsl.codegen.bodies import shape_text
from mtsldsl.codegen.classes import DEFINED, Classes, ClassPlan, count, wrapped
from mtsldsl.codegen.forward import ForwardPlan, plan_forward
from mtsldsl.codegen.identifiers import ALL, MANY, tuple_of, whole
from mtsldsl.codegen.knobs import (
    Knob,
    Made,
    MixedPlan,
    augmentations,
    learner_plan,
    may_stop,
    mixed_plan,
    optimizer_plan,
    rest_of_knobs,
    scheduler_plan,
    train_imports,
)
from mtsldsl.codegen.line_breaks import WIDTH
from mtsldsl.codegen.own_modules import import_lines, own_classes
from mtsldsl.diagnostics.counted import counted
from mtsldsl.ir.cost import own_steps
from mtsldsl.ir.model import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.ir.wiring import copies_of, gates_of
from mtsldsl.language.literals import literal
from mtsldsl.language.naming import OUTPUTS
from mtsldsl.records import Record
from mtsldsl.sharing import HEADS, Copy, format_tasks
from mtsldsl.sharing.component import component_expression, owner
from mtsldsl.sharing.partition import in_order

GENERATOR = 6
"""Raised whenever the same spec gives other code."""


@attrs.frozen(eq=False, repr=False)
class Container(Record):
    """The copies of a layer, or all heads: `self.name = nn.ModuleDict({key: class(), ...})`."""

    name: str
    entries: tuple[tuple[str, str], ...]
    of_tasks: bool = False
    """Whether they are many, alike, and called as the tasks are, in the constant TASKS."""
    of_outputs: str = ""
    """What makes one of them, where they are many heads that differ in their `outputs` alone."""
    outputs: tuple[str, ...] = ()
    made_by: str = ""
    """The function that makes its copies, where many layers have the same."""
    all_tasks: str | None = None
    """The key of what serves all tasks, where that is long."""

    @classmethod
    def of(cls, name: str, entries: tuple[tuple[str, str], ...], tasks: tuple[str, ...]) -> Container:
        """The container of these copies, in a network of these tasks."""
        alike = len({made for _, made in entries}) == 1
        of_tasks = alike and len(entries) > MANY and tuple(key for key, _ in entries) == tasks
        return cls(name, entries, of_tasks, all_tasks=whole(tasks))

    @property
    def expression(self) -> str:
        """The constructor of the dictionary."""
        if self.made_by:
            return f"{self.made_by}()"
        if self.of_outputs:
            return f"nn.ModuleDict({{task: {self.of_outputs} for task, {OUTPUTS} in {OUTPUTS.upper()}.items()}})"
        if self.of_tasks:
            return f"nn.ModuleDict({{task: {self.entries[0][1]} for task in TASKS}})"
        keys = (ALL if key == self.all_tasks else f'"{key}"' for key, _ in self.entries)
        entries = ", ".join(f"{key}: {made}" for key, (_, made) in zip(keys, self.entries, strict=True))
        return f"nn.ModuleDict({{{entries}}})"


@attrs.frozen(eq=False, repr=False)
class Plan(Record):
    """All that the templates print.

    `optimizer` is an expression over `parameters` and the constants in `knobs`, `augment` and `learner` are expressions
    too.
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
    frozen: bool
    """Whether parts learn nothing: those in the constant FROZEN."""
    makers: tuple[tuple[str, str, str], ...]
    """Functions that make the copies of several layers: name, docstring, expression."""
    forward: ForwardPlan
    given: str
    """What a batch gives to it, as an expression."""
    uses_torch: bool
    uses_functional: bool
    optimizer: str
    scheduler: Made
    augment: str
    mixed: MixedPlan | None
    """Where samples come from several sources."""
    learner: str
    knobs: tuple[Knob, ...]
    """Constants of the training script that not every spec has."""
    rest_of_knobs: tuple[str, ...]
    """A comment on what else the spec decides."""
    train_imports: tuple[str, ...]
    tasks_stop: bool
    """Whether tasks may learn no more before the run ends."""
    generator: int = GENERATOR


def plan_spec(spec: Spec) -> Plan:
    """Decide how the code for `spec` reads."""
    own = own_classes(spec, DEFINED)
    optimizer, scheduler = optimizer_plan(spec.train.optimizer, spec.rates), scheduler_plan(spec.train.scheduler)
    learner = learner_plan(spec.structure)
    classes = Classes(spec, own)
    order = spec.sharing.tasks
    containers = tuple(
        Container.of(
            layer.name,
            tuple(
                (copy.key, f"{classes.of_copy(copy).name}()")
                for copy in (*copies_of(spec.sharing, layer.name), *gates_of(spec.sharing, layer.name))
            ),
            order,
        )
        for layer in spec.layers
    )
    containers, makers = _made_alike(containers)
    heads = _heads(spec, classes)
    forward = plan_forward(spec)
    constants = _constants(spec, containers, heads, forward)
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
        frozen=bool(spec.frozen),
        makers=makers,
        forward=forward,
        given=_given(spec),
        uses_torch=any("torch." in text for text in code),
        uses_functional=any("F." in text for text in code),
        optimizer=optimizer.call,
        scheduler=scheduler,
        augment=augmentations(spec.data.augment),
        mixed=mixed_plan(spec),
        learner=learner.call,
        knobs=(*optimizer.knobs, *scheduler.knobs, *learner.knobs),
        rest_of_knobs=tuple(wrapped(rest_of_knobs(spec), WIDTH - 2)),
        tasks_stop=any(map(may_stop, spec.tasks)),
        train_imports=train_imports(
            learner,
            mixed=len(spec.streams) > 1,
            rates=bool(spec.rates),
            warmup=spec.train.warmup > 0,
            steps=scheduler.of_steps,
        ),
    )


def _given(spec: Spec) -> str:
    """The inputs of a batch: one tensor, or a tuple of all."""
    each = [f"batch[{literal(name)}]" for name in spec.data.inputs]
    return each[0] if len(each) == 1 else f"({', '.join(each)})"


def _heads(spec: Spec, classes: Classes) -> Container:
    """All heads: many that differ in their number of outputs alone are made from a table of these."""
    order = spec.sharing.tasks
    made = classes.of_head
    entries = tuple(
        (task.name, f"{made[task.name].name}({task.head.shape[0] if made[task.name].argument else ''})")
        for task in spec.trained
    )
    container = Container.of(HEADS, entries, order)
    if MANY < len(entries) == len(order) and len(set(made.values())) == 1 and made[order[0]].argument:
        outputs = tuple(str(task.head.shape[0]) for task in spec.tasks)
        return attrs.evolve(container, of_outputs=f"{made[order[0]].name}({OUTPUTS})", outputs=outputs)
    return container


_FEWEST, _LONG = 3, 80
"""So many layers and more whose copies are made by the same expression, of so many letters, have a function for it."""


def _made_alike(
    containers: tuple[Container, ...],
) -> tuple[tuple[Container, ...], tuple[tuple[str, str, str], ...]]:
    """The containers, and functions for what several of them are made by."""
    by_expression: dict[str, list[str]] = {}
    for container in containers:
        by_expression.setdefault(container.expression, []).append(container.name)
    makers = {
        expression: f"copies_of_{names[0].lower()}"
        for expression, names in by_expression.items()
        if len(names) >= _FEWEST and len(expression) > _LONG
    }
    found = tuple(attrs.evolve(each, made_by=makers.get(each.expression, "")) for each in containers)
    return found, tuple(
        (name, f"The copies of {', '.join(by_expression[expression])}.", expression)
        for expression, name in makers.items()
    )


def _constants(
    spec: Spec, containers: Sequence[Container], heads: Container, forward: ForwardPlan
) -> tuple[tuple[str, str], ...]:
    """The constants of the module: who the tasks are, where that is said in several places, and tables of calls."""
    constants, order = forward.constants, spec.sharing.tasks
    if spec.frozen:
        heads_of = [name for each in spec.trained if owner(name := Copy.head(each.name).name) in spec.frozen]
        frozen = [*(name for name in spec.backbone.layers if name in spec.frozen), *heads_of]
        constants = (("FROZEN", tuple_of(frozen)), *constants)
    if (heads.of_outputs or any(each.of_tasks for each in (*containers, heads))) and "TASKS" not in dict(constants):
        constants = (("TASKS", tuple_of(order)), *constants)
    if heads.of_outputs:
        table = ", ".join(f'"{task}": {number}' for task, number in zip(order, heads.outputs, strict=True))
        rest = tuple(pair for pair in constants if pair[0] != "TASKS")
        constants = ((OUTPUTS.upper(), f"{{{table}}}"), ("TASKS", f"tuple({OUTPUTS.upper()})"), *rest)
    if any(key == whole(order) for each in containers for key, _ in each.entries):
        place = next((place for place, (name, _) in enumerate(constants) if name == "TASKS"), None)
        if place is None:
            place, constants = 0, (("TASKS", tuple_of(order)), *constants)
        constants = (*constants[: place + 1], (ALL, component_expression("TASKS")), *constants[place + 1 :])
    return constants


def source_name(name: str) -> str:
    """What the header calls the spec: the file's name, after `specs/` where it lies in a folder of that name.

    So the code is the same from any working folder, and on any machine.
    """
    path = Path(name).absolute()
    shown = f"specs/{path.name}" if path.parent.name == "specs" and not name.startswith("<") else path.name
    return "".join(character if character.isprintable() and character not in '"\\' else "_" for character in shown)


_LONGEST_EXAMPLE = 60
"""Letters of the name of a copy that is shown."""


def _describe(spec: Spec, classes: Classes) -> tuple[str, ...]:
    """The model's docstring: what it maps to what, then layers with their copies, and heads."""
    layers = [
        [(copy, classes.learned(copy)) for copy in copies_of(spec.sharing, name)] for name in spec.backbone.layers
    ]
    heads = [(task.name, classes.learned(Copy.head(task.name)), shape_text(task.head.shape)) for task in spec.tasks]
    helpers = [(each.name, classes.learned(Copy.head(each.name))) for each in spec.sharing.helpers]
    gates = [[classes.learned(copy) for copy in gates_of(spec.sharing, name)] for name in spec.backbone.layers]
    total = sum(learned for made in layers for _, learned in made) + sum(learned for _, learned, _ in heads)
    total += sum(map(sum, gates)) + sum(learned for _, learned in helpers)
    tasks = "1 task" if len(heads) == 1 else f"{len(heads)} tasks"
    rows = [("layer", "parameters", "copies and the tasks they serve")]
    for name, made, weighing in zip(spec.backbone.layers, layers, gates, strict=True):
        alike = len({learned for _, learned in made}) == 1
        size = f"{len(made)} x {made[0][1]:,}" if alike and len(made) > 1 else f"{sum(n for _, n in made):,}"
        rows.append((name, size, _served([copy for copy, _ in made], spec.sharing.tasks) or "none"))
        if weighing:
            served = counted(len(weighing), "gate")
            rows.append(
                (
                    "",
                    f"{sum(weighing):,}",
                    f"in {served}, one for each task that weighs alternatives",
                )
            )
    bottom = [("task", "parameters", "output of its head")]
    if len(heads) > MANY and not helpers and classes.of_head[heads[0][0]].argument:
        bottom = [
            ("heads", f"{sum(learned for _, learned, _ in heads):,}", f"one of each task, as {OUTPUTS.upper()} says")
        ]
    else:
        bottom += [(name, f"{learned:,}", shape) for name, learned, shape in heads]
    bottom += [(name, f"{learned:,}", "helps in training, and has no output afterwards") for name, learned in helpers]
    first = max(len(row[0]) for row in (*rows, *bottom))
    second = max(len(row[1]) for row in (*rows, *bottom))
    given = " and ".join(
        f"{name} {' or '.join(dict.fromkeys(shape_text(data.inputs[name]) for data in spec.blocks))}"
        for name in spec.data.inputs
    )
    declared = " as far as declared" if next(own_steps(spec), None) else ""
    begin = f"{given} -> the outputs of {tasks}; {count(total)}{declared}."
    lines = [*(wrapped(begin, WIDTH - 7) if len(spec.data.inputs) > 1 else [begin]), ""]
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


def _served(copies: Sequence[Copy], tasks: Sequence[str]) -> str:
    """Whom the copies of a layer serve; alternatives that serve the same tasks are named together."""
    by_tasks: dict[str, list[str]] = {}
    for copy in copies:
        by_tasks.setdefault(_tasks(copy, tasks), []).append(copy.alternative or "")
    parts = []
    for served, alternatives in by_tasks.items():
        if len(tasks) > MANY and alternatives[0]:
            parts.append(f"{', '.join(alternatives)}: {served}")
        else:
            parts += [f"{name}: {served}" if name else served for name in alternatives]
    return " | ".join(parts)


def _tasks(copy: Copy, tasks: Sequence[str]) -> str:
    """The tasks that a copy serves; of many the first alone."""
    if len(copy.component) <= MANY:
        return format_tasks(copy.component, tasks)
    if len(copy.component) == len(tasks):
        return f"all {len(tasks)} tasks"
    first = in_order(copy.component, tasks)[:2]
    return f"{' + '.join(first)} and {len(copy.component) - 2} more"


def _row(row: tuple[str, str, str], first: int, second: int) -> list[str]:
    """A row of the table, its last column wrapped."""
    start = f"{row[0]:<{first}}  {row[1]:>{second}}  "
    room = max(WIDTH - 4 - len(start), 20)
    head, *rest = wrapped(row[2], room)
    return [start + head, *(" " * len(start) + line for line in rest)]
