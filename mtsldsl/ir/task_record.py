"""A task as a frozen record: its target, head, loss and metrics, held against the tables of the language."""

from __future__ import annotations

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.diagnostics.counted import counted
from mtsldsl.ir.body import Body
from mtsldsl.language.constants import Named
from mtsldsl.language.holding import LABEL, PLACE, by_keys, hold, hold_all, of_kind, of_record
from mtsldsl.language.kinds import Choice, Identifier, Integer, Many, Maybe, OneOrMany
from mtsldsl.language.naming import refusal
from mtsldsl.language.schema import LOSSES, METRICS, STOP, WEIGHT
from mtsldsl.language.targets import TARGETS, ObjectiveRule, metric_key, reserved_answer
from mtsldsl.language.written import is_word, spelled
from mtsldsl.methods.registry import run_names
from mtsldsl.records import Record
from mtsldsl.sharing import Component
from mtsldsl.sharing.component import helping_task


def hold_name(name: object, *, recorded: bool = False) -> None:
    """Raise ValueError where nothing can have the name; those of tasks are `recorded` in runs."""
    if not (isinstance(name, str) and is_word(name)):
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


def misfit_of_objective(rule: ObjectiveRule | None, valid: str, *, dense: bool) -> str | None:
    """Why a loss or metric does not fit the answers of a task, None where it does."""
    if rule is None:
        return None
    if rule.dense_only and not dense:
        return "needs an output for each pixel"
    if rule.sample_only and dense:
        return "needs one answer for the whole sample: it keeps the scores of all classes"
    if rule.positive_only and valid != "positive":
        return "takes logarithms, so that only values above 0 may count"
    return None


def misfit_of_loss(target: Target, loss: Named) -> tuple[str, str, str] | None:
    """Why a loss does not fit the values, or the number of classes, of its target, None where it does: the code of the
    report, why not, and the remedy."""
    reason = misfit_of_objective(TARGETS[target.kind].loss(loss.name), target.valid, dense=True)
    if reason is not None:
        return "MTL305", f"`{loss.name}` {reason}", f"write `{target.kind}({target.channels}, valid=positive)`"
    weight = loss.arguments.get("weight", ())
    if isinstance(weight, tuple) and weight and len(weight) != target.channels:
        cause = f"`weight` has {counted(len(weight), 'number')}, and there are {target.channels} classes"
        return "MTL202", cause, "give one for each class, in their order"
    return None


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys((WEIGHT, STOP)))
class Task(Record):
    """One task: its target, head, loss and metrics. `field` names the data set's array, or several columns of a table,
    one for each number of the target; None takes the default. `data` names the block that it reads, where there are
    several."""

    name: str
    target: Target = attrs.field(validator=of_record(Target))
    head: Body = attrs.field(validator=of_record(Body))
    loss: Named
    metrics: tuple[Named, ...]
    weight: float = 1.0
    field: str | tuple[str, ...] | None = attrs.field(default=None, validator=of_kind(Maybe(OneOrMany(Identifier()))))
    span: Span | None = attrs.field(default=None, eq=False, repr=False, validator=PLACE)
    data: str | None = attrs.field(default=None, validator=LABEL)
    helping: Component = attrs.field(default=frozenset(), validator=of_record(frozenset))
    """Whom it helps, where it stands for the head that a task has in a group which does not serve it."""
    stop: Named = attrs.field(factory=lambda: Named("none"))

    def __attrs_post_init__(self) -> None:
        helped = self.helping and isinstance(self.name, str)
        hold_name(helping_task(self.name) if helped else self.name, recorded=True)
        hold(LOSSES[self.target.kind], self.loss, "loss")
        hold(Many(METRICS[self.target.kind], 1), self.metrics, "metrics")
        if len(set(map(metric_key, self.metrics))) < len(self.metrics):
            raise ValueError("a metric is given twice")
        if misfit := misfit_of_loss(self.target, self.loss):
            raise ValueError(f"{misfit[1]}; {misfit[2]}")
        for metric in self.metrics:
            rule, dense = TARGETS[self.target.kind].metric(metric.name), len(self.head.shape) == 3
            if reason := misfit_of_objective(rule, self.target.valid, dense=dense):
                raise ValueError(f"`{metric.name}` {reason}")
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
