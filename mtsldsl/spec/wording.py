"""Parts of a spec in the language's own words, for people who compare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.spec.cost import body_cost
from mtsldsl.spec.model import Body, Named, Spec, Target
from mtsldsl.spec.operators import OPERATORS
from mtsldsl.syntax import parse, tree


def shown(value: Any) -> Any:
    """A value of a spec as plain data: numbers, truth values, lists, None, and what has a name as it is written."""
    match value:
        case Named():
            return _named(value)
        case Target():
            ignore = "" if value.ignore is None else f", ignore={value.ignore}"
            return value.kind if value.kind == "reconstruct" else f"{value.kind}({value.channels}{ignore})"
        case Mapping():
            return value.get("")
        case tuple() | list():
            return [shown(each) for each in value]
    return value


def worded(value: Any) -> str:
    """A value of `shown` on one line, as a person reads it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(worded, value))}]"
    return str(value)


def _named(named: Named) -> str:
    """As it was written, where that is known; otherwise with all its arguments."""
    written = " ".join(named.span.text.split()) if named.span else ""
    if written.startswith(named.name) and "#" not in written:
        return written
    return _call(named.name, named.arguments)


def _call(name: str, arguments: Mapping[str, Any]) -> str:
    if not arguments:
        return name
    return f"{name}({', '.join(f'{key}={worded(shown(value))}' for key, value in arguments.items())})"


@attrs.frozen
class Wording:
    """How the pipelines of one spec may be said, each in several ways, from what a person wrote to what it costs."""

    spec: Spec

    def layer(self, name: str) -> tuple[str, ...]:
        """The ways of saying a layer."""
        return self._ways(self._written("backbone", (), name), self.spec.layer(name).body)

    def head(self, task: str) -> tuple[str, ...]:
        """The ways of saying a task's head."""
        return self._ways(self._written("task", (task,), "head"), self.spec.task(task).head)

    def _written(self, kind: str, labels: tuple[str, ...], key: str) -> str | None:
        try:
            statements = parse(self.spec.source).statements
        except MtlError:  # a spec that was made from several texts
            return None
        for statement in statements:
            if isinstance(statement, tree.Section) and statement.kind.text == kind:
                if tuple(label.text for label in statement.labels) != labels:
                    continue
                for item in statement.items:
                    if isinstance(item, tree.Entry) and item.key.text == key and "#" not in item.value.span.text:
                        return " ".join(item.value.span.text.split())
        return None

    def _ways(self, written: str | None, body: Body) -> tuple[str, ...]:
        steps = " | ".join(_call(step.operator, _unusual(step.operator, step.arguments)) for step in body.steps)
        return (
            written or steps or "identity",
            steps or "identity",
            f"reads {', '.join(body.inputs)}",
            f"{body_cost(body).parameters:,} parameters",
            f"{steps} of {body.inputs}",
        )


def _unusual(operator: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are not the operator's defaults."""
    defaults = {rule.name: rule.default for rule in OPERATORS[operator].rules}
    return {key: value for key, value in arguments.items() if value is not None and value != defaults.get(key)}
