"""Which weights are kept: of the epoch `best`, `last`, or the best by one metric of one task; or a mean of the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from mtsldsl.diagnostics import Span, suggestion
from mtsldsl.diagnostics.names import meant_by
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort
from mtsldsl.ir.scope import Bound
from mtsldsl.ir.task_record import Task
from mtsldsl.ir.values import call_arguments
from mtsldsl.ir.wording import shown
from mtsldsl.language.constants import Named
from mtsldsl.language.kinds import AVERAGE, EPOCHS
from mtsldsl.language.schema import METRICS
from mtsldsl.language.targets import TARGETS, metric_key
from mtsldsl.records import Record
from mtsldsl.syntax import tree


@attrs.frozen(eq=False, repr=False)
class Tasks(Record):
    """The tasks of a text: the `names` that are sure, and those that could be read."""

    names: Sequence[str]
    read: Sequence[Task]

    def named(self, name: str) -> Task | None:
        """The task of that name, where it could be read."""
        return next((task for task in self.read if task.name == name), None)


def renamed_keep(keep: str | Named, names: Mapping[str, str]) -> str | Named:
    """What is kept where tasks have other names."""
    if isinstance(keep, Named):
        return keep
    task, dot, key = keep.partition(".")
    return f"{names.get(task, task)}{dot}{key}" if dot else keep


def read_keep(found: Bound, tasks: Tasks, problems: Problems) -> str | Named | Broken:
    """What is kept: `best`, `last`, `<task>.<key>` with the key that the metric is reported under, or a mean."""
    value = found.value
    name = value.function if isinstance(value, tree.Call) else value
    assert isinstance(name, tree.Name)
    first, dot, second = name.text.partition(".")
    inside = found.span == value.span  # otherwise it is the value of a constant, and reported where that is used
    span = name.span if inside else found.span
    if not dot and name.text == AVERAGE.name:
        given = value.arguments if isinstance(value, tree.Call) else ()
        arguments = call_arguments(AVERAGE, given, found.scope, span, problems)
        return BROKEN if isinstance(arguments, Broken) else Named(AVERAGE.name, arguments, found.span)
    if not dot:
        return _whole(name.text, found, tasks, span, problems)
    start, end = (span.start + len(first), span.end - len(second)) if inside else (span.end, span.start)
    if first not in tasks.names:
        if problems.may_be_lost(first, tasks.names, Sort.TASK):
            return BROKEN
        remedy = suggestion(first, tasks.names, "tasks")
        problems.add("MTL402", f"there is no task `{first}`", remedy, Span(span.source, span.start, start))
        first = meant_by(remedy) or ""
    task = tasks.named(first)
    return BROKEN if task is None else _measured(task, second, found, Span(span.source, end, span.end), problems)


def _whole(name: str, found: Bound, tasks: Tasks, span: Span, problems: Problems) -> str | Broken:
    """What a name without a dot means."""
    if name in EPOCHS:
        if isinstance(found.value, tree.Name):
            return name
        return problems.add("MTL205", f"`{name}` takes no arguments", f"write `{name}` alone", found.span)
    task = tasks.named(name)
    if task is not None:
        cause = f"`keep` names the task `{name}`, and none of its metrics"
        return problems.add("MTL206", cause, f"write {_either(task, task.metrics)}", span)
    if name in tasks.names:
        return BROKEN
    measured = [f"`{each.name}.{name}`" for each in tasks.read if any(one.name == name for one in each.metrics)]
    if measured:
        cause = f"`keep` names the metric `{name}`, and not the task that it is of"
        return problems.add("MTL206", cause, f"write {_listed(measured)}", span)
    known = [*EPOCHS, AVERAGE.name, *(f"{task.name}.{metric.name}" for task in tasks.read for metric in task.metrics)]
    remedy = suggestion(name, dict.fromkeys(known), "choices")
    broken = problems.add("MTL206", f"`keep` cannot be `{name}`", remedy, span)
    right = meant_by(remedy)
    return right if right in EPOCHS else broken


def _measured(task: Task, name: str, found: Bound, span: Span, problems: Problems) -> str | Broken:
    """What a metric of a task means, by its name and arguments."""
    own = [metric for metric in task.metrics if metric.name == name]
    if not own:
        remedy = _remedy(task, name)
        problems.add("MTL206", f"`{task.name}` is not measured by `{name}`", remedy, span)
        right = meant_by(remedy)
        own = [metric for metric in task.metrics if metric.name == right]
        if not own:
            return BROKEN
    chosen: Named | None = own[0] if len(own) == 1 else None
    if isinstance(found.value, tree.Call):
        rule = METRICS[task.target.kind].rule(own[0].name)
        assert rule is not None
        given = call_arguments(rule, found.value.arguments, found.scope, span, problems)
        if isinstance(given, Broken):
            return BROKEN
        chosen = next((metric for metric in own if metric.arguments == given), None)
        if chosen is None:
            asked = found.value.span.text.partition(".")[2]
            cause = f"`{task.name}` is not measured by `{asked}`"
            remedy = f"write {_either(task, own)}, or add `{asked}` to its `metrics`"
            return problems.add("MTL206", cause, remedy, span)
    elif chosen is None:
        cause = f"`{task.name}` is measured by `{name}` in {len(own)} ways"
        return problems.add("MTL206", cause, f"write {_either(task, own)}", span)
    return f"{task.name}.{metric_key(chosen)}"


def _remedy(task: Task, name: str) -> str:
    """What to do about a metric that is none of the task's."""
    reported = [metric for metric in task.metrics if metric_key(metric) == name]
    if reported:
        return f"write {_either(task, reported)}"
    if TARGETS[task.target.kind].metric(name):
        return f"add `{name}` to its `metrics`, or write {_either(task, task.metrics)}"
    return suggestion(name, dict.fromkeys(metric.name for metric in task.metrics), f"metrics of `{task.name}`")


def _either(task: Task, metrics: Sequence[Named]) -> str:
    return _listed([f"`{task.name}.{shown(metric)}`" for metric in metrics])


def _listed(ways: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(ways[:-1]), ways[-1])))
