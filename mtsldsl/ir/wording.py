"""Parts of a spec in the language's own words, for people who compare them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import attrs

from mtsldsl.diagnostics.printable import printable
from mtsldsl.ir.body import MIXTURE, Body, Parallel
from mtsldsl.ir.cost import body_cost
from mtsldsl.ir.model import Spec
from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Named, Shape
from mtsldsl.language.naming import PARALLEL
from mtsldsl.language.operators import OPERATORS
from mtsldsl.records import Record
from mtsldsl.syntax import parse, tree

_NAME = re.compile(r"[A-Za-z_]\w*")


def shown(value: Any) -> Any:
    """A value of a spec as plain data: numbers, truth values, lists, None, and what has a name as it is written."""
    match value:
        case Named():
            return _named(value)
        case Target():
            ignore = "" if value.ignore is None else f", ignore={value.ignore}"
            valid = "" if value.valid == "finite" else f", valid={value.valid}"
            scale = "" if value.scale == "none" else f", scale={value.scale}"
            said = f"{value.channels}{ignore}{valid}{scale}"
            return value.kind if value.kind == "reconstruct" else f"{value.kind}({said})"
        case Mapping():
            return value.get("")
        case tuple() | list():
            return [shown(each) for each in value]
    return value


def inputs_shown(inputs: Mapping[str, Shape]) -> str:
    """The inputs of a data block as its text has them: `image(3, 64, 64)`, or `[image(3, 64, 64), row(12)]`."""
    each = [f"{name}({', '.join(map(str, shape))})" for name, shape in inputs.items()]
    return each[0] if len(each) == 1 else f"[{', '.join(each)}]"


def worded(value: Any) -> str:
    """A value of `shown` on one line, as a person reads it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(worded, value))}]"
    return printable(str(value))


def with_names(text: str, names: Mapping[str, str]) -> str:
    """The text with each name replaced by another where `names` has one."""
    return _NAME.sub(lambda found: names.get(found.group(), found.group()), text)


def _named(named: Named) -> str:
    """As it was written; a default by its name, which stands for its arguments too."""
    if named.span is None:
        return named.name
    written = " ".join(named.span.text.split())
    return written if written.startswith(named.name) and "#" not in written else _call(named.name, named.arguments)


def _call(name: str, arguments: Mapping[str, Any]) -> str:
    if not arguments:
        return name
    return f"{name}({', '.join(f'{key}={worded(shown(value))}' for key, value in arguments.items())})"


@attrs.frozen(eq=False, repr=False)
class Wording(Record):
    """How the pipelines of one spec may be said, each in several ways, from what a person wrote to what it costs."""

    spec: Spec

    def layer(self, name: str) -> tuple[str, ...]:
        """The ways of saying a layer."""
        layer = self.spec.layer(name)
        mixed = isinstance(layer.body, Parallel) and layer.body.gate == MIXTURE
        return self._ways(self._written.get(("backbone", "", name)), layer.bodies, mixed=mixed)

    def head(self, task: str) -> tuple[str, ...]:
        """The ways of saying a task's head."""
        return self._ways(self._written.get(("task", task, "head")), {None: self.spec.task(task).head})

    @cached_property
    def _written(self) -> dict[tuple[str, str, str], str]:
        """The value of each kind of block, label (empty for the backbone) and key, on one line."""
        found: dict[tuple[str, str, str], str] = {}
        for statement in self._statements():
            if isinstance(statement, tree.Section) and statement.kind.text in ("backbone", "task"):
                labels = [each.text for each in statement.labels] if statement.kind.text == "task" else [""]
                for item in statement.items:
                    if isinstance(item, tree.Entry) and "#" not in item.value.span.text:
                        line = " ".join(item.value.span.text.split())
                        for label in labels:
                            found.setdefault((statement.kind.text, label, item.key.text), line)
        return found

    def _statements(self) -> list[tree.Statement]:
        """Those of the text, and the backbone that it imports."""
        library = self.spec.library
        imported = [library.backbone] if library and library.backbone else []
        return [*parse(self.spec.source).statements, *imported]

    def _ways(self, written: str | None, bodies: Mapping[str | None, Body], *, mixed: bool = False) -> tuple[str, ...]:
        said = {name: _steps(body) or "identity" for name, body in bodies.items()}
        named = ", ".join([*(f"{name}={each}" for name, each in said.items()), *(["gate=mixture"] if mixed else [])])
        steps = said.get(None, f"{PARALLEL}({named})")
        inputs = next(iter(bodies.values())).inputs
        return (
            written or steps,
            steps,
            f"reads {', '.join(inputs)}",
            f"{sum(body_cost(body).parameters for body in bodies.values()):,} parameters",
            f"{steps} of {inputs}",
        )


def _steps(body: Body) -> str:
    return " | ".join(_call(step.operator, _unusual(step.operator, step.arguments)) for step in body.steps)


def _unusual(operator: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are not the operator's defaults."""
    defaults = {rule.name: rule.default for rule in OPERATORS[operator].rules}
    return {key: value for key, value in arguments.items() if value is not None and value != defaults.get(key)}
