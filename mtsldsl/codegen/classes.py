"""The classes of a generated model: one for each structure that a layer, an alternative or a head has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from textwrap import wrap

import attrs

from mtsldsl.codegen.bodies import Attribute, BodyPlan, Statement, plan_body, shape_text, signature
from mtsldsl.codegen.identifiers import Scope
from mtsldsl.codegen.line_breaks import WIDTH
from mtsldsl.codegen.own_modules import OwnClass
from mtsldsl.ir.body import Body
from mtsldsl.ir.cost import body_cost
from mtsldsl.ir.fitting import fits
from mtsldsl.ir.model import Spec
from mtsldsl.ir.wiring import bodies, copies
from mtsldsl.language.naming import OUTPUTS
from mtsldsl.language.operators import OPERATORS
from mtsldsl.records import Record
from mtsldsl.sharing import HEADS, Copy

DEFINED = frozenset(
    operator.definition.split("(")[0].removeprefix("class ").strip()
    for operator in OPERATORS.values()
    if operator.definition
)
"""Classes that operators bring with them."""

SIZES = 3
"""Of so many sizes of images and more the same layer has one class; of fewer each has its own, which says the sizes."""


@attrs.frozen(eq=False, repr=False)
class ClassPlan(Record):
    """One class of the generated module, for a layer or head and all that have the same structure. `argument` is what
    it is made with: the number of outputs, where heads differ in that alone."""

    name: str
    docstring: tuple[str, ...]
    body: BodyPlan
    argument: str = ""


@attrs.frozen(eq=False)
class _Member:
    """A layer, alternative or head that a class is for."""

    name: str
    body: Body
    suffix: str

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """What the modules of the steps are made by."""
        return _modules(self.body)

    @cached_property
    def signature(self) -> tuple[object, ...]:
        """What the body does."""
        return signature(self.body)


class Classes:
    """One class for each structure, layers first; the first layer or task that has it gives the name."""

    def __init__(self, spec: Spec, own: Mapping[str, OwnClass]) -> None:
        self._spec = spec
        each = bodies(spec)
        places: dict[tuple[str, ...], Copy] = {}
        for copy in copies(spec):
            if copy.layer != HEADS:
                places.setdefault(self._place(copy), copy)
        members = [_Member(".".join(place), each[copy], "") for place, copy in places.items()]
        members += [_Member(task.name, task.head, "Head") for task in spec.tasks]
        groups: dict[object, list[_Member]] = {}
        keys = _keys(members)
        for key, member in zip(keys, members, strict=True):
            groups.setdefault(key, []).append(member)
        scope = Scope(DEFINED, frozenset(each.alias for each in own.values()))
        made = {key: _class(scope, group, own) for key, group in groups.items()}
        self.plans = tuple(made.values())
        self._of_place = {place: made[key] for place, key in zip(places, keys, strict=False)}
        self.of_head = {task.name: made[key] for task, key in zip(spec.tasks, keys[len(places) :], strict=True)}
        self.of_head |= {helper.name: self.of_head[helper.task] for helper in spec.sharing.helpers}
        learned = {id(body): body_cost(body).parameters for body in {id(body): body for body in each.values()}.values()}
        self._learned = {copy: learned[id(body)] for copy, body in each.items()}

    def of_copy(self, copy: Copy) -> ClassPlan:
        """The class of a copy of a layer."""
        return self._of_place[self._place(copy)]

    def learned(self, copy: Copy) -> int:
        """The learned parameters of a copy of a layer, or of a head."""
        return self._learned[copy]

    def _place(self, copy: Copy) -> tuple[str, ...]:
        """What has one class: all copies of a layer, an alternative, or the gates of so many alternatives."""
        if copy.gate:
            (task,) = copy.component
            return (copy.layer, "gate", str(len(self._spec.sharing.uses(copy.layer, task))))
        return tuple(part for part in (copy.layer, self._variant(copy), copy.alternative) if part)

    def _variant(self, copy: Copy) -> str | None:
        """The data block for whose inputs a copy is another class than for the first block's."""
        layer = self._spec.layer(copy.layer)
        if not layer.variants:
            return None
        data = self._spec.data_of(next(task for task in self._spec.sharing.tasks if task in copy.component)).name
        return data if data in layer.variants and not fits(layer.body, layer.variants[data]) else None


def _keys(members: Sequence[_Member]) -> list[object]:
    """What the members of a class have in common: all, but for the sizes of images where there are many, and for the
    numbers of outputs of heads where there are many."""
    keys: list[object] = [(member.suffix, member.signature) for member in members]
    for loose in (_without_sizes, _without_outputs):
        found: dict[object, set[object]] = {}
        alike = [loose(member) for member in members]
        for key, member in zip(alike, members, strict=True):
            if key is not None:
                found.setdefault(key, set()).add((member.body.input_shapes, member.body.shape))
        keys = [
            other if other is not None and len(found[other]) >= SIZES else key
            for key, other in zip(keys, alike, strict=True)
        ]
    return keys


def _without_sizes(member: _Member) -> object:
    """What is equal for bodies whose modules are made alike, whatever the height and width of their images."""
    body = member.body
    if any(OPERATORS[step.operator].own for step in body.steps):
        return None
    channels = tuple(shape[0] if len(shape) == 3 else shape for shape in body.input_shapes)
    return member.suffix, channels, member.modules, member.signature[1:]


def _without_outputs(member: _Member) -> object:
    """What is equal for heads that differ in the number of outputs of their last module alone; None for others."""
    found = _last_module(member)
    if found is None:
        return None
    modules = list(member.modules)
    modules[found] = _with_argument(modules[found], member.body.shape[0])
    _, steps, output = member.signature
    assert isinstance(steps, tuple)
    kept = tuple(step if place != found else (step[0], step[2]) for place, step in enumerate(steps))
    return member.suffix, member.body.input_shapes, tuple(modules), kept, output


def _last_module(member: _Member) -> int | None:
    """The last step of a head, where a module makes the outputs and is given their number."""
    body = member.body
    if member.suffix != "Head":
        return None
    place = len(body.steps) - 1
    if place < 0 or body.output != place or OPERATORS[body.steps[place].operator].own:
        return None
    made = member.modules[place]
    return place if made and _with_argument(made, body.shape[0]) != made else None


def _with_argument(made: str, outputs: int) -> str:
    """`nn.Linear(768, 26)` as `nn.Linear(768, outputs)`."""
    return made.replace(f", {outputs})", f", {OUTPUTS})").replace(f", {outputs}, ", f", {OUTPUTS}, ")


def _modules(body: Body) -> tuple[str, ...]:
    """What the modules of the steps are made by."""
    made = []
    for step, shapes in body.steps_with_shapes():
        operator = OPERATORS[step.operator]
        made.append(operator.module(step.arguments, shapes) if operator.module and not operator.own else "")
    return tuple(made)


def _class(scope: Scope, members: Sequence[_Member], own: Mapping[str, OwnClass]) -> ClassPlan:
    body = members[0].body
    suffix = members[0].suffix
    name = scope.class_name(_named_after(members), suffix)
    plan = plan_body(body, _parameters([member.body.inputs for member in members]), own)
    learned = {body_cost(member.body).parameters for member in members}
    counted = count(min(learned)) if len(learned) == 1 else f"{min(learned):,} to {max(learned):,} parameters"
    counted += " as far as declared" if plan.declared else ""
    names = [member.name for member in members]
    shown = ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:2])} and {len(names) - 2} more"
    argument = OUTPUTS if len({member.body.shape[0] for member in members}) > 1 and suffix else ""
    several = len({member.body.input_shapes for member in members}) > 1
    if several:
        plan = attrs.evolve(plan, statements=tuple(attrs.evolve(each, comment="") for each in plan.statements))
    if argument:
        plan = _with_outputs(plan, body.shape[0])
    shapes = [shape_text(shape) for shape in body.input_shapes]
    given = [f"{name} {shape}" for name, shape in zip(plan.parameters, shapes, strict=True)]
    result = f"({argument},)" if argument and len(body.shape) == 1 else shape_text(body.shape)
    mapping = f"{shapes[0] if len(shapes) == 1 else ', '.join(given)} -> {result}"
    mapping += " and images of other sizes" if several else ""
    docstring: tuple[str, ...] = (f"{shown}: {mapping}, {counted}.",)
    if len(docstring[0]) > WIDTH - 10:  # the indent and the quotes
        docstring = (f"{shown}: {counted}.", "", *wrapped(mapping, WIDTH - 4), "")
    return ClassPlan(name, docstring, plan, argument)


def _with_outputs(plan: BodyPlan, outputs: int) -> BodyPlan:
    """The plan of a class that is made with its number of outputs."""
    last = plan.attributes[-1]
    attributes = (*plan.attributes[:-1], Attribute(last.name, _with_argument(last.constructor, outputs)))
    statements = tuple(
        Statement(each.target, each.expression, each.comment.replace(f"({outputs},)", f"({OUTPUTS},)"))
        for each in plan.statements
    )
    return attrs.evolve(plan, attributes=attributes, statements=statements)


def _named_after(group: Sequence[_Member]) -> str:
    """What a class is called after: its first layer; the tasks of a head, up to two, or else the channels of it."""
    names = [member.name for member in group]
    if not group[0].suffix or len(names) == 1:
        return names[0].replace(".", "_")
    if len(names) == 2:
        return "_".join(names)
    channels = {member.body.shape[0] for member in group}
    if len(channels) > 1:
        return "task"
    return f"{_NUMBERS.get(min(channels), str(min(channels)))}_channel"


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


def _parameters(inputs: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Names of forward's parameters: the layers' own where all members read the same ones, else `x` and `skip`."""
    number = len(inputs[0])
    if number == 1:
        return ("x",)
    scope = Scope()
    if len(set(inputs)) == 1:
        return tuple(scope.variable(name) for name in inputs[0])
    return ("x", "skip") if number == 2 else ("x", *(f"skip{place}" for place in range(1, number)))


def count(parameters: int) -> str:
    """So many parameters, in words."""
    return "1 parameter" if parameters == 1 else f"{parameters:,} parameters" if parameters else "no parameters"


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines."""
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)
