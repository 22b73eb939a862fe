"""A task as a frozen record: its target, head, loss and metrics, held against the tables of the language."""

from __future__ import annotations

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.ir.body import Body
from mtsldsl.language.constants import Named
from mtsldsl.language.holding import by_keys, hold, hold_all, of_kind
from mtsldsl.language.kinds import Choice, Identifier, Integer, Many, Maybe, OneOrMany
from mtsldsl.language.naming import refusal
from mtsldsl.language.schema import LOSSES, METRICS, STOP, WEIGHT
from mtsldsl.language.targets import TARGETS, metric_key, reserved_answer
from mtsldsl.language.written import spelled
from mtsldsl.methods.registry import run_names
from mtsldsl.records import Record
from mtsldsl.sharing import Component
from mtsldsl.sharing.component import helping_task


def hold_name(name: object, *, recorded: bool = False) -> None:
    """Raise ValueError where nothing can have the name; those of tasks are `recorded` in runs."""
    if not (isinstance(name, str) and name.isascii() and name.isidentifier()):
        raise ValueError(f"{name!r} is no name")
    reason = refusal(name, generated=True, taken=run_names() if recorded else ())
    if reason is not None:
        raise ValueError(f"{name!r} {reason}")


_UNSAID = {"ignore": None, "valid": "finite", "scale": "none"}
"""What those targets have that cannot say it."""


@attrs.frozen(eq=False, repr=False)
class Target(Record):
    """What a task predicts: `classes(13, ignore=255)`, `values(1)`, `unit_vectors(3)`, `binary(1)`, `reconstruct`.

    `channels` is the size that the head's channel dimension must have. `valid` says which values of a `values` target
    count: every finite one (`finite`), or those above zero alone (`positive`), as measured depths need it; `scale`
    whether a loss sees them as they are (`none`), or with mean 0 and deviation 1 (`standard`)."""

    kind: str = attrs.field(validator=of_kind(Choice(tuple(TARGETS))))
    channels: int = attrs.field(validator=of_kind(Integer(1)))
    ignore: int | None = None
    valid: str = "finite"
    scale: str = "none"

    def __attrs_post_init__(self) -> None:
        keys = TARGETS[self.kind].arguments
        said = {"channels": self.channels, "ignore": self.ignore, "valid": self.valid, "scale": self.scale}
        hold_all(keys, {key.name: said.pop(key.name) for key in keys}, self.kind)
        if any(said[name] != default for name, default in _UNSAID.items() if name in said):
            raise ValueError(f"{self.kind} has no {' and no '.join(said)}")
        if reserved_answer(self.kind, self.ignore) is not None:
            raise ValueError(f"{self.kind} cannot ignore {self.ignore}")


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys((WEIGHT, STOP)))
class Task(Record):
    """One task: its target, head, loss and metrics. `field` names the data set's array, or several columns of a table,
    one for each number of the target; None takes the default. `data` names the block that it reads, where there are
    several."""

    name: str
    target: Target
    head: Body
    loss: Named
    metrics: tuple[Named, ...]
    weight: float = 1.0
    field: str | tuple[str, ...] | None = attrs.field(default=None, validator=of_kind(Maybe(OneOrMany(Identifier()))))
    span: Span | None = attrs.field(default=None, eq=False, repr=False)
    data: str | None = None
    helping: Component = frozenset()
    """Whom it helps, where it stands for the head that a task has in a group which does not serve it."""
    stop: Named = attrs.field(factory=lambda: Named("none"))

    def __attrs_post_init__(self) -> None:
        hold_name(helping_task(self.name) if self.helping else self.name, recorded=True)
        hold(LOSSES[self.target.kind], self.loss, "loss")
        hold(Many(METRICS[self.target.kind], 1), self.metrics, "metrics")
        if len(set(map(metric_key, self.metrics))) < len(self.metrics):
            raise ValueError("a metric is given twice")
        if isinstance(self.field, tuple):
            by_column = TARGETS[self.target.kind].by_column and len({*self.columns}) == self.target.channels
            if not by_column or len(self.columns) != self.target.channels or len(self.columns) < 2:
                raise ValueError("of several columns each number of the target has one of its own")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a table that are its field together, one for each number of the target; none where it is one
        field."""
        return self.field if isinstance(self.field, tuple) else ()

    @property
    def field_name(self) -> str:
        """What samples call its field: of several columns the names of all."""
        return ", ".join(map(spelled, self.columns)) if self.columns else str(self.field)

    @property
    def field_text(self) -> str:
        """Its field as a text of the language has it."""
        return f"[{self.field_name}]" if self.columns else spelled(self.field_name)

    @property
    def by_token(self) -> bool:
        """Whether it has an answer for each token: its head gives (length, channels), where losses, metrics and samples
        have (channels, length). What is to be the input itself is as the input."""
        return len(self.head.shape) == 2 and self.target.kind != "reconstruct"
