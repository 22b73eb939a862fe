"""The tasks: targets, heads, losses and metrics, and whether they fit each other and the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import Span, proposal, suggestion
from mtsldsl.diagnostics.names import meant_by, misspelt
from mtsldsl.ir.blocks import BlockValues, entries_of, read_block
from mtsldsl.ir.body import Body
from mtsldsl.ir.data_blocks import Blocks, data_of_task
from mtsldsl.ir.definitions import Definitions
from mtsldsl.ir.former import without_positive_only
from mtsldsl.ir.model import Data
from mtsldsl.ir.network import Network, Networks
from mtsldsl.ir.problems import BROKEN, Broken, Problems
from mtsldsl.ir.scope import Bound, resolve
from mtsldsl.ir.spec_rules import shape_read_again, wanted_shape
from mtsldsl.ir.task_fields import field_of, field_read, name_of_field
from mtsldsl.ir.task_record import Target, Task, misfit_of_loss, misfit_of_objective
from mtsldsl.ir.values import convert
from mtsldsl.language.constants import Named, Shape
from mtsldsl.language.holding import named
from mtsldsl.language.kinds import Call, Identifier, Many
from mtsldsl.language.naming import refusal
from mtsldsl.language.operators.shapes import times
from mtsldsl.language.schema import LOSSES, METRICS, TARGET, TASK, BlockSchema
from mtsldsl.language.targets import AUTO, TARGETS, TargetRule, reserved_answer
from mtsldsl.methods.registry import run_names
from mtsldsl.syntax import tree


def read_tasks(
    section: tree.Section,
    names: Sequence[str],
    blocks: Blocks,
    networks: Networks,
    definitions: Definitions,
    problems: Problems,
) -> tuple[Task, ...] | Broken:
    """The tasks of those names that one block describes: it is read once, for they differ in name and field alone, or
    for each where the data set says how many classes there are."""
    free = list(filter(_is_free, names))
    data = _data(section, blocks, definitions, problems)
    network = networks.of(data)
    written, _ = _target(section, definitions, problems)
    if not isinstance(written, Broken) and written.arguments.get("channels") == AUTO and len(free) > 1:
        each = [_read_task(section, name, 1, data, network, definitions, problems) for name in free]
        sound = tuple(task for task in each if not isinstance(task, Broken))
        return _reading(sound, data, blocks) if len(sound) == len(each) else BROKEN
    first = _read_task(section, (free or names)[0], len(names), data, network, definitions, problems)
    if isinstance(first, Broken) or isinstance(data, Broken):
        return BROKEN
    given = any(entry.key.text == "field" for entry in section.items if isinstance(entry, tree.Entry))
    alike = (
        attrs.evolve(first, name=name, field=first.field if given else field_of(name, first, data)) for name in free
    )
    return _reading(tuple(alike), data, blocks)


def _reading(tasks: tuple[Task, ...], data: Data | Broken, blocks: Blocks) -> tuple[Task, ...]:
    """The tasks with the name of the data block that they read, where there are several."""
    if isinstance(data, Broken) or not blocks.several:
        return tasks
    return tuple(attrs.evolve(task, data=data.name) for task in tasks)


def _data(section: tree.Section, blocks: Blocks, definitions: Definitions, problems: Problems) -> Data | Broken:
    """The data block that the tasks of a section read."""
    entry = next((item for item in section.items if isinstance(item, tree.Entry) and item.key.text == "data"), None)
    if entry is None:
        return data_of_task(section, None, section.kind.span, blocks, problems)
    span = entry.value.span
    given = convert(Identifier(), Bound(entry.value, definitions.scope, span), "`data`", problems.aside())
    return data_of_task(section, given, span, blocks, problems)


def _read_task(
    section: tree.Section,
    name: str,
    copies: int,
    data: Data | Broken,
    network: Network,
    definitions: Definitions,
    problems: Problems,
) -> Task | Broken:
    """The first task of a block. What can be checked is, also where something else of the task is broken."""
    written, kind = _target(section, definitions, problems)
    section = without_positive_only(section, kind, data, definitions.scope, problems)
    block = read_block(section, _schema(kind), definitions.scope, problems)
    target: Target | Broken = BROKEN
    if kind is not None and not (isinstance(written, Broken) or isinstance(data, Broken)):
        target = _resolved(written, TARGETS[kind], data, name_of_field(name, block), problems)
    outputs = BROKEN if isinstance(target, Broken) else target.channels
    head = BROKEN if isinstance(block["head"], Broken) else network.head(block["head"], outputs, copies)
    if kind is None:
        _check_metrics(block, problems)
        return BROKEN
    rule = TARGETS[kind]
    field = BROKEN if isinstance(data, Broken) else field_read(name, kind, target, data, block, problems)
    fits = False
    if not (isinstance(head, Broken) or isinstance(data, Broken) or isinstance(target, Broken)):
        fits = _check_head(name, target, head, data, field, block.place("head"), problems)
    shape = (
        head.shape if fits and not isinstance(head, Broken) else _NOT_KNOWN if isinstance(data, Broken) else data.shape
    )
    valid = "finite" if isinstance(target, Broken) else target.valid
    metrics = _metrics(rule, valid, shape, block, problems)
    fits &= all(misfit_of_objective(rule.metric(each.name), valid, dense=len(shape) == 3) is None for each in metrics)
    if isinstance(data, Broken) or isinstance(head, Broken) or isinstance(target, Broken) or isinstance(field, Broken):
        return BROKEN
    loss = block["loss"]
    if isinstance(loss, Named):
        fits &= _check_loss(target, loss, problems)
    if not fits or block.broken or not _is_free(name):
        return BROKEN
    loss = loss or named(LOSSES[kind], data_kind(data.kind).default_loss(kind))
    return Task(name, target, head, loss, metrics, block["weight"], field, span=section.span, stop=block["stop"])


def _is_free(name: str) -> bool:
    """Whether a task may have the name; where not, that is reported."""
    return refusal(name, generated=True, taken=run_names()) is None


_NOT_KNOWN: Shape = (1, 1, 1)
"""Stands for the shape of an output where that cannot be told: that of an image, to which every metric applies."""


def _target(section: tree.Section, definitions: Definitions, problems: Problems) -> tuple[Named | Broken, str | None]:
    """The target alone, and its kind, on which the losses and metrics depend that the other keys may have.

    The kind is known also where the arguments are wrong."""
    unheard = Problems(lost=problems.lost)
    values = {entry.key.text: entry.value for entry in entries_of(section, unheard)}
    value = values.get("target")
    if value is None:
        return BROKEN, None
    bound = resolve(Bound(value, definitions.scope, value.span), unheard)
    named = BROKEN if isinstance(bound, Broken) else convert(TARGET, bound, "`target`", unheard)
    written = None if isinstance(bound, Broken) else bound.value
    name = written.function if isinstance(written, tree.Call) else written
    kind = name.text if isinstance(name, tree.Name) else ""
    if kind not in TARGETS:
        kind = meant_by(proposal(kind, TARGETS) or "") or ""
    return named if isinstance(named, Named) else BROKEN, kind or None


def _fitting(calls: dict[str, Call], kind: str, code: str) -> Call:
    """The losses or metrics of a target, and which other targets have those that it has not."""
    own = {rule.name for rule in calls[kind].rules}
    elsewhere: dict[str, list[str]] = {}
    for other, call in calls.items():
        for rule in call.rules:
            if rule.name not in own:
                elsewhere.setdefault(rule.name, []).append(f"`{other}`")
    reasons = {name: f"is for {' and '.join(kinds)} targets" for name, kinds in elsewhere.items()}
    return attrs.evolve(calls[kind], elsewhere=reasons, misfit=code)


def _schema(kind: str | None) -> BlockSchema:
    """The schema of a task with a target of that kind; without one any loss and metric will do."""
    if kind is None:
        loss = Call(tuple(rule for call in LOSSES.values() for rule in call.rules), "losses")
        metric = Call(tuple(rule for call in METRICS.values() for rule in call.rules), "metrics")
    else:
        loss, metric = _fitting(LOSSES, kind, "MTL305"), _fitting(METRICS, kind, "MTL306")
    own: dict[str, Any] = {"loss": loss, "metrics": Many(metric, 1)}
    keys = tuple(attrs.evolve(key, kind=own.get(key.name, key.kind)) for key in TASK.keys or ())
    return attrs.evolve(TASK, keys=keys)


def _resolved(named: Named, rule: TargetRule, data: Data, field: str, problems: Problems) -> Target | Broken:
    channels = named.arguments.get("channels")
    if channels == AUTO:
        channels = data_kind(data.kind).classes(data.options, field)
        if channels is None:
            cause = f"`{data.kind}` does not say how many classes `{field}` has"
            remedy = f"give the number: `{rule.kind}(10)`"
            known = data_kind(data.kind).counted
            if misspelt(field, known):
                remedy = f"{suggestion(field, known, 'fields')} Or {remedy}"
            return problems.add("MTL202", cause, remedy, named.span)
    ignore = named.arguments.get("ignore")
    if ignore == AUTO:
        ignore = data_kind(data.kind).ignore
    assert ignore is None or isinstance(ignore, int)
    answer = reserved_answer(rule.kind, ignore)
    if answer is not None:
        cause = f"`ignore` of `{rule.kind}` cannot be {ignore}, which is {answer}"
        return problems.add("MTL202", cause, "give a number that stands for neither, such as `ignore=-1`", named.span)
    valid = named.arguments.get("valid", AUTO)
    valid = data_kind(data.kind).default_valid(rule.kind) if valid == AUTO else str(valid)
    scale = str(named.arguments.get("scale", "none"))
    size = channels if isinstance(channels, int) else shape_read_again(data, field)[0]
    return Target(rule.kind, size, ignore, valid, scale)


def _check_head(
    name: str,
    target: Target,
    head: Body,
    data: Data,
    field: str | tuple[str, ...] | Broken,
    span: Span,
    problems: Problems,
) -> bool:
    """Whether the head's output is what the target needs."""
    shape = head.shape
    wanted = wanted_shape(target, shape, data, field)
    if shape == wanted:
        return True
    cause = f"the head of `{name}` gives {times(shape)}, where its target needs {times(wanted)}"
    problems.add("MTL303", cause, _head_remedy(shape, wanted, data.input), span)
    return False


def _head_remedy(shape: Shape, wanted: Shape, image: str) -> str:
    if len(shape) != len(wanted):
        return f"end it with {('features', 'tokens', 'an image')[len(wanted) - 1]} of {times(wanted)}"
    if len(shape) == 2:
        return (
            f"end it with `linear({wanted[1]})`, or where a sample has one answer with `mean_tokens | "
            f"linear({wanted[1]})`"
        )
    parts = []
    if shape[0] != wanted[0]:
        parts.append(f"give its last layer {wanted[0]} {'channel' if wanted[0] == 1 else 'channels'}")
    if shape[1:] != wanted[1:]:
        parts.append(f"end it with `resize_as({image})`")
    return " and ".join(parts)


def _metrics(rule: TargetRule, valid: str, shape: Shape, block: BlockValues, problems: Problems) -> tuple[Named, ...]:
    """The metrics as given or by default, each once, none that needs pixels where there are none."""
    dense = len(shape) == 3
    given = block["metrics"]
    if isinstance(given, Broken):
        return ()
    if given is None:
        return tuple(named(METRICS[rule.kind], name) for name in rule.defaults(valid, dense=dense))
    chosen = _check_metrics(block, problems)
    for metric in chosen:
        reason = misfit_of_objective(rule.metric(metric.name), valid, dense=dense)
        if reason is not None:
            others = [
                f"`{other.name}`" for other in rule.metrics if misfit_of_objective(other, valid, dense=dense) is None
            ]
            problems.add("MTL306", f"`{metric.name}` {reason}", f"use one of {', '.join(others)}", metric.span)
    return tuple(chosen)


def _check_loss(target: Target, given: Named, problems: Problems) -> bool:
    """Whether a loss fits the values, or the number of classes, of its target."""
    misfit = misfit_of_loss(target, given)
    if misfit is None:
        return True
    problems.add(*misfit, given.span)
    return False


def _check_metrics(block: BlockValues, problems: Problems) -> list[Named]:
    """The metrics that are given, each once; those given twice are reported."""
    given = block["metrics"]
    seen: list[Named] = []
    for metric in () if given is None or isinstance(given, Broken) else given:
        if metric in seen:
            problems.add("MTL108", f"the metric `{metric.name}` is given twice", "leave one of them out", metric.span)
        else:
            seen.append(metric)
    return seen
