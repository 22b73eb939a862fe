"""What a task may predict, and which losses, metrics and data fields fit it: one table, read by the checks, the
compiler and the runtime. `mtsldsl.runtime.objectives` implements every name in it."""

from __future__ import annotations

from typing import cast

import attrs

from mtsldsl.language.constants import Named
from mtsldsl.language.kinds import Choice, Integer, Key, Many, Maybe, Real, Told
from mtsldsl.records import Record

AUTO = "auto"
"""The default of `ignore` and `valid`: as the data set has it."""

F1_BEST = "f1_best"
"""The metric that is taken at the threshold which is best on validation."""

UNCHOSEN = 0.5
"""Its threshold where none was chosen, as validation has no label to choose by."""

_FRACTION = Real(0, 1, open_maximum=True)


@attrs.frozen(eq=False, repr=False)
class ObjectiveRule(Record):
    """A loss or metric: its arguments with defaults, and for a metric which direction is better."""

    name: str
    arguments: tuple[Key, ...] = ()
    higher_is_better: bool = False
    dense_only: bool = False
    """Needs an output per pixel."""
    sample_only: bool = False
    """Keeps too much of each answer to have one per pixel."""
    positive_only: bool = False
    """Takes logarithms of the values."""


@attrs.frozen(eq=False, repr=False)
class TargetRule(Record):
    """A kind of target: what a spec may say of it, and its losses, of which the first is the default one.

    `default_metrics` are those that a task has without a line of its own; `default_for_samples` takes their place where
    there is one answer for a whole sample, `default_for_positive` where only values above 0 count."""

    kind: str
    summary: str
    arguments: tuple[Key, ...]
    losses: tuple[ObjectiveRule, ...]
    metrics: tuple[ObjectiveRule, ...]
    default_metrics: tuple[str, ...]
    default_for_samples: tuple[str, ...] = ()
    default_for_positive: tuple[str, ...] = ()
    whole: bool = False
    """Whether its channels are one answer together; else metrics are taken by channel."""
    by_column: bool = False
    """Whether each of its channels may be a column of a table."""

    def loss(self, name: str) -> ObjectiveRule | None:
        """The loss of that name, None where it does not fit this kind."""
        return next((rule for rule in self.losses if rule.name == name), None)

    def metric(self, name: str) -> ObjectiveRule | None:
        """The metric of that name, None where it does not fit this kind."""
        return next((rule for rule in self.metrics if rule.name == name), None)

    def defaults(self, valid: str, *, dense: bool) -> tuple[str, ...]:
        """The metrics of a task that names none; `dense` where it has an answer for each pixel."""
        if valid == "positive" and self.default_for_positive:
            return self.default_for_positive
        return self.default_metrics if dense or not self.default_for_samples else self.default_for_samples


def _better_high(name: str, *arguments: Key, dense_only: bool = False, sample_only: bool = False) -> ObjectiveRule:
    return ObjectiveRule(name, arguments, True, dense_only, sample_only)


def _better_low(name: str, *arguments: Key, positive_only: bool = False) -> ObjectiveRule:
    return ObjectiveRule(name, arguments, positive_only=positive_only)


_GAMMA = Key("gamma", Real(0), "how much less an answer counts that is right already", 2.0)
_SMOOTH = Key("smooth", Real(0, open_minimum=True), "added to both sums", 1.0)
_CALIBRATION = _better_low("calibration_error", Key("n_bins", Integer(1, 1000), "bins", 15))


TARGETS: dict[str, TargetRule] = {
    rule.kind: rule
    for rule in (
        TargetRule(
            "classes",
            "one class of some, for the sample or each of its pixels or tokens",
            (
                Key("channels", Told(Integer(2)), "number of classes; `auto` where the data set says it"),
                Key(
                    "ignore",
                    Maybe(Integer()),
                    "label that is left out of loss and metrics",
                    AUTO,
                    "255 where the data set has such pixels, else none",
                ),
            ),
            losses=(
                _better_low(
                    "cross_entropy",
                    Key("label_smoothing", _FRACTION, "label smoothing", 0.0),
                    Key("weight", Many(Real(0)), "factor of each class", (), "1 for each class"),
                ),
                _better_low("class_balanced", Key("beta", _FRACTION, "beta", 0.999)),
                _better_low("focal", _GAMMA),
                _better_low("dice", _SMOOTH),
            ),
            metrics=(
                _better_high("miou", dense_only=True),
                _better_high("pixel_accuracy", dense_only=True),
                _better_high("accuracy"),
                _better_low("error"),
                _better_high("macro_f1"),
                _better_high("auroc", sample_only=True),
                _better_high("average_precision", sample_only=True),
                _CALIBRATION,
            ),
            default_metrics=("miou", "pixel_accuracy"),
            default_for_samples=("accuracy", "macro_f1"),
            whole=True,
        ),
        TargetRule(
            "values",
            "real values",
            (
                Key("channels", Integer(1), "number of values", 1),
                Key(
                    "valid",
                    Choice(("finite", "positive")),
                    "which values count in loss and metrics: every finite number, or those above 0 alone",
                    AUTO,
                    "`positive` for the depth of `scenes` and `nyuv2`, else `finite`",
                ),
                Key(
                    "scale",
                    Choice(("none", "standard")),
                    "what the loss sees: the values, or with the mean and deviation of the training labels 0 and 1",
                    "none",
                ),
            ),
            losses=(
                _better_low("l1"),
                _better_low("mse"),
                _better_low("rmse"),
                _better_low("huber", Key("delta", Real(0, open_minimum=True), "error from which it is linear", 1.0)),
                _better_low(
                    "silog",
                    Key("variance_focus", Real(0, 1), "how much of a factor common to all values is forgiven", 0.85),
                    positive_only=True,
                ),
            ),
            metrics=(
                _better_low("rmse"),
                _better_low("rmse_log", positive_only=True),
                _better_low("silog", positive_only=True),
                _better_low("abs_rel"),
                _better_high("delta1"),
                _better_low("mae"),
                _better_high("r2"),
            ),
            default_metrics=("rmse", "mae", "r2"),
            default_for_positive=("rmse", "abs_rel"),
            by_column=True,
        ),
        TargetRule(
            "unit_vectors",
            "directions in space",
            (Key("channels", Integer(3, 3), "always 3", 3),),
            losses=(_better_low("cosine"), _better_low("l1")),
            metrics=(
                _better_low("mean_angle"),
                _better_low("median_angle"),
                _better_high("within", Key("degrees", Real(0, 180, open_minimum=True), "degrees", 11.25)),
            ),
            default_metrics=("mean_angle", "within"),
            whole=True,
        ),
        TargetRule(
            "binary",
            "yes or no",
            (
                Key("channels", Integer(1), "number of answers", 1),
                Key("ignore", Maybe(Integer()), "number that stands for no answer", None, "none"),
            ),
            losses=(
                _better_low("bce"),
                _better_low("balanced_bce", Key("positive_weight", Real(0, 1), "positive weight", 0.95)),
                _better_low("focal", _GAMMA, Key("alpha", Real(0, 1), "weight of a yes; a no weighs the rest", 0.25)),
                _better_low("dice", _SMOOTH),
            ),
            metrics=(
                _better_high("f1", Key("threshold", Real(0, 1), "threshold", 0.5)),
                _better_high(F1_BEST),
                _better_low("bce"),
                _better_high("accuracy"),
                _better_high("auroc"),
                _better_high("average_precision"),
                _CALIBRATION,
            ),
            default_metrics=("f1", "bce"),
            by_column=True,
        ),
        TargetRule(
            "reconstruct",
            "the input itself",
            (),
            losses=(_better_low("mse"), _better_low("l1")),
            metrics=(_better_low("mse"), _better_low("mae")),
            default_metrics=("mse",),
        ),
    )
}


def metric_rule(key: str) -> ObjectiveRule | None:
    """The metric that is reported under a key, None where there is none of that name."""
    rules = {rule.name: rule for kind in TARGETS.values() for rule in kind.metrics}
    return rules.get(key) or rules.get(key.rpartition("_")[0])


def reserved_answer(kind: str, number: int | None) -> str | None:
    """What a number means in a target of that kind, so that it cannot be `ignore`; None where it is free."""
    return ("no", "yes")[number] if kind == "binary" and number in (0, 1) else None


def metric_key(metric: Named) -> str:
    """The name under which a metric is reported: its own, with the argument where it is not the default.

    `within` always carries its angle: `within(11.25)` is `within_11.25`."""
    rule = next(rule for kind in TARGETS.values() for rule in kind.metrics if rule.name == metric.name)
    resolved = [(metric.arguments[key.name], key.default) for key in rule.arguments]
    shown = [cast(float, value) for value, default in resolved if metric.name == "within" or value != default]
    return "_".join([metric.name, *(_short(value) for value in shown)])


def _short(value: float) -> str:
    """The number in few digits, or in all that tell it from others."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
