"""Names that one side changed: before a merge, base and the other side call these layers and tasks as it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from mtsldsl.compare.correspondence import signature
from mtsldsl.compare.layer_matching import matched_layers
from mtsldsl.diagnostics import MtlError, Source, Span
from mtsldsl.editing.load import loads_source
from mtsldsl.ir.keep import renamed_keep
from mtsldsl.ir.model import Spec
from mtsldsl.ir.task_record import Task
from mtsldsl.language.beginnings import RANGE
from mtsldsl.language.kinds import LayerName, Tasks
from mtsldsl.methods.registry import decision_rules
from mtsldsl.records import Record
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, apply_edits


@attrs.frozen(eq=False, repr=False)
class Renames(Record):
    """What a side calls otherwise than the base does."""

    layers: Mapping[str, str]
    tasks: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.layers or self.tasks)

    def without(self, other: Renames) -> Renames:
        """Those of names that the other side left alone."""
        return Renames(
            {old: new for old, new in self.layers.items() if old not in other.layers},
            {old: new for old, new in self.tasks.items() if old not in other.tasks},
        )

    def agreed(self, other: Renames) -> Renames:
        """Those that the other side has too."""
        return Renames(dict(self.layers.items() & other.layers.items()), dict(self.tasks.items() & other.tasks.items()))


@attrs.frozen(eq=False, repr=False)
class Alike(Record):
    """Three specs that call alike what only the name of was changed; `notes` say what that did, one sentence each.

    `rivals` are the tasks that both sides renamed, each in its own way: our name, and theirs.
    """

    base: Spec
    ours: Spec
    theirs: Spec
    notes: tuple[str, ...] = ()
    rivals: Mapping[str, str] = attrs.field(factory=dict)


def called_alike(base: Spec, ours: Spec, theirs: Spec) -> Alike:
    """The three specs with the names that a side gave to layers and tasks of the base.

    A name that both sides changed stays as it is on each, and so do all names where a text cannot be renamed so that
    it means the same.
    """
    mine, other = _renames(base, ours), _renames(base, theirs)
    rivals = {new: other.tasks[old] for old, new in mine.tasks.items() if other.tasks.get(old, new) != new}
    agreed, mine, other = mine.agreed(other), mine.without(other), other.without(mine)
    old = _renamed(_renamed(_renamed(base, agreed), mine), other)
    left, right = _renamed(ours, other), _renamed(theirs, mine)
    if old is None or left is None or right is None:
        return Alike(base, ours, theirs, rivals=rivals)
    return Alike(old, left, right, (*_notes("ours", mine), *_notes("theirs", other)), rivals)


def _notes(side: str, renames: Renames) -> Iterator[str]:
    for kind, names in (("layer", renames.layers), ("task", renames.tasks)):
        for old, new in names.items():
            yield f"{kind} `{old}` is `{new}` now, as {side} calls it"


def _renames(base: Spec, side: Spec) -> Renames:
    layers = {old: new for old, new in matched_layers(base, side).items() if old != new}
    return Renames(layers, _renamed_tasks(base, side))


def _renamed_tasks(base: Spec, side: Spec) -> dict[str, str]:
    """The tasks of `base` whose name is gone, each with the new one that is the same but for its name, in order."""
    kept = {task.name for task in base.tasks} & {task.name for task in side.tasks}
    fresh = [task for task in side.tasks if task.name not in kept]
    found = {}
    for task in base.tasks:
        twin = next((each for each in fresh if _alike(task, each)), None) if task.name not in kept else None
        if twin:
            fresh.remove(twin)
            found[task.name] = twin.name
    return found


def _alike(task: Task, other: Task) -> bool:
    said, also = (
        (each.target, signature(each.head), each.loss, each.metrics, each.weight, each.field) for each in (task, other)
    )
    return said == also


def _renamed(spec: Spec | None, renames: Renames) -> Spec | None:
    """The spec with these names in its text; None where that text would not mean the same."""
    if spec is None or not renames:
        return spec
    layers, tasks = spec.backbone.layers, spec.sharing.tasks
    edits = [
        TextEdit(name.span.start, name.span.end, names[name.text])
        for name, names in _places(spec.source, renames)
        if name.text in names
    ]
    try:
        found = loads_source(attrs.evolve(spec.source, text=apply_edits(spec.source.text, edits)))
    except MtlError:
        return None
    new_layers = {layer: renames.layers.get(layer, layer) for layer in layers}
    sharing = spec.sharing.renamed(renames.tasks)
    same = (
        found.backbone.reads == {new_layers[layer]: _all(spec.backbone.inputs(layer), new_layers) for layer in layers}
        and found.sharing.tasks == sharing.tasks
        and all(found.sharing[new_layers[layer]] == sharing[layer] for layer in layers)
        and found.train.keep == renamed_keep(spec.train.keep, renames.tasks)
        and len(found.history) == len(spec.history)
        and [signature(each.body, None) for each in found.layers]
        == [signature(each.body, None) for each in spec.layers]
        and len(tasks) == len(found.tasks)
    )
    return found if same else None


def _all(names: tuple[str, ...], new: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(new[name] for name in names)


def _places(source: Source, renames: Renames) -> Iterator[tuple[tree.Name, Mapping[str, str]]]:
    """The names in a text that may be those of layers or tasks, with the new ones of that kind."""
    from mtsldsl.syntax import parse

    layers, tasks = renames.layers, renames.tasks
    for statement in parse(source).statements:
        if isinstance(statement, tree.Definition):
            hidden = {parameter.name.text for parameter in statement.parameters or ()}
            yield from ((name, layers) for name in _names(statement.value) if name.text not in hidden)
            yield from ((name, tasks) for name in _measured(statement.value))
        elif isinstance(statement, tree.Section):
            if statement.kind.text == "task":
                yield from ((label, tasks) for label in statement.labels)
            for item in statement.items:
                yield from _places_of_item(statement.kind.text, item, layers, tasks)


def _places_of_item(
    kind: str, item: tree.Entry | tree.Call, layers: Mapping[str, str], tasks: Mapping[str, str]
) -> Iterator[tuple[tree.Name, Mapping[str, str]]]:
    if isinstance(item, tree.Call):
        rule = decision_rules().get(item.function.text) if kind == "history" else None
        for place, argument in enumerate(item.arguments if rule else ()):
            assert rule is not None
            key = rule.call.keys[place] if argument.name is None else rule.call.key(argument.name.text)
            if key is not None and isinstance(key.kind, LayerName | Tasks):
                names = layers if isinstance(key.kind, LayerName) else tasks
                yield from ((name, names) for name in _names(argument.value))
    elif kind == "train":
        yield from ((name, tasks) for name in _measured(item.value))
        yield from ((name, layers) for name in _filled(item))
    elif kind in ("backbone", "sharing"):
        yield from ((name, layers) for name in (item.key, item.last) if name)
        yield from ((name, layers if kind == "backbone" else tasks) for name in _names(item.value))
    elif kind == "tuning":
        yield from ((name, layers if name.text in layers else tasks) for name in (item.key, item.last) if name)
    elif kind == "task" and item.key.text == "head":
        yield from ((name, layers) for name in _names(item.value))


def _measured(value: tree.Value) -> Iterator[tree.Name]:
    """The task in a value that is a metric of one, such as `depth.rmse`."""
    while isinstance(value, tree.Group):
        value = value.value
    name = value.function if isinstance(value, tree.Call) else value
    if isinstance(name, tree.Name) and "." in name.text:
        task, span = name.text.partition(".")[0], name.span
        yield tree.Name(task, Span(span.source, span.start, span.start + len(task)))


def _filled(item: tree.Entry) -> Iterator[tree.Name]:
    """The layers between which weights go, as in `init = start("x.safetensors", map=timm, until=enc4)`."""
    if item.key.text == "init" and isinstance(item.value, tree.Call):
        for argument in item.value.arguments:
            if argument.name is not None and argument.name.text in RANGE:
                yield from _names(argument.value)


def _names(value: tree.Value) -> Iterator[tree.Name]:
    """The names among the values of a value."""
    match value:
        case tree.Name(text) if "." in text:  # an output of a layer
            layer, span = text.partition(".")[0], value.span
            yield tree.Name(layer, Span(span.source, span.start, span.start + len(layer)))
        case tree.Name():
            yield value
        case tree.List() | tree.Components():
            for item in value.items:
                yield from _names(item.value if isinstance(item, tree.Component) else item)
        case tree.Call():
            for argument in value.arguments:
                yield from _names(argument.value)
        case tree.Pipeline():
            for stage in value.stages:
                yield from _names(stage)
        case tree.Product():
            yield from _names(value.left)
            yield from _names(value.right)
        case tree.Sum():
            for term in value.terms:
                yield from _names(term)
        case tree.Group():
            yield from _names(value.value)
