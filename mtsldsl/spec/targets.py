"""What a task may predict, and which losses, metrics and data fields fit it: one table, read by the checks, the
compiler and the runtime. `mtsldsl.runtime.objectives` implements every name in it."""

from __future__ import annotations

import attrs

from mtsldsl.spec.model import Constant


@attrs.frozen
class ObjectiveRule:
    """A loss or metric: its arguments with defaults, and for a metric which direction is better."""

    name: str
    arguments: tuple[tuple[str, Constant], ...] = ()
    higher_is_better: bool = False
    dense_only: bool = False
    """Needs an output per pixel."""


@attrs.frozen
class TargetRule:
    """A kind of target. The first loss and the first metrics are the defaults; `channels` is fixed where set."""

    kind: str
    channels: int | None
    losses: tuple[ObjectiveRule, ...]
    metrics: tuple[ObjectiveRule, ...]
    default_metrics: tuple[str, ...]

    def loss(self, name: str) -> ObjectiveRule | None:
        """The loss of that name, None where it does not fit this kind."""
        return next((rule for rule in self.losses if rule.name == name), None)

    def metric(self, name: str) -> ObjectiveRule | None:
        """The metric of that name, None where it does not fit this kind."""
        return next((rule for rule in self.metrics if rule.name == name), None)


def _better_high(name: str, *, dense_only: bool = False, **arguments: Constant) -> ObjectiveRule:
    return ObjectiveRule(name, tuple(arguments.items()), higher_is_better=True, dense_only=dense_only)


def _better_low(name: str, *, dense_only: bool = False, **arguments: Constant) -> ObjectiveRule:
    return ObjectiveRule(name, tuple(arguments.items()), higher_is_better=False, dense_only=dense_only)


TARGETS: dict[str, TargetRule] = {
    rule.kind: rule
    for rule in (
        TargetRule(
            "classes",
            None,
            losses=(_better_low("cross_entropy", label_smoothing=0.0), _better_low("class_balanced", beta=0.999)),
            metrics=(
                _better_high("miou", dense_only=True),
                _better_high("pixel_accuracy", dense_only=True),
                _better_high("accuracy"),
                _better_low("error"),
                _better_high("macro_f1"),
            ),
            default_metrics=("miou", "pixel_accuracy"),
        ),
        TargetRule(
            "values",
            None,
            losses=(
                _better_low("l1", positive_only=True),
                _better_low("mse", positive_only=True),
                _better_low("rmse", positive_only=True),
            ),
            metrics=(
                _better_low("rmse"),
                _better_low("abs_rel"),
                _better_high("delta1"),
                _better_low("mae"),
                _better_high("r2"),
            ),
            default_metrics=("rmse", "abs_rel"),
        ),
        TargetRule(
            "unit_vectors",
            3,
            losses=(_better_low("cosine"), _better_low("l1")),
            metrics=(
                _better_low("mean_angle"),
                _better_low("median_angle"),
                _better_high("within", degrees=11.25),
            ),
            default_metrics=("mean_angle", "within"),
        ),
        TargetRule(
            "binary",
            None,
            losses=(_better_low("balanced_bce", positive_weight=0.95), _better_low("bce")),
            metrics=(_better_high("f1", threshold=0.5), _better_low("bce"), _better_high("accuracy")),
            default_metrics=("f1", "bce"),
        ),
        TargetRule(
            "reconstruct",
            None,
            losses=(_better_low("mse"), _better_low("l1")),
            metrics=(_better_low("mse"), _better_low("mae")),
            default_metrics=("mse",),
        ),
    )
}

FIELDS: dict[str, dict[str, str]] = {
    "scenes": {"classes": "label", "values": "depth", "unit_vectors": "normal", "binary": "edge"},
    "nyuv2": {"classes": "label", "values": "depth", "unit_vectors": "normal", "binary": "edge"},
}
"""The field that a data set has for each kind of target. A data set that is not listed names its fields by task.
`reconstruct` reads the input itself."""

FIELD_CHANNELS: dict[str, int] = {"depth": 1, "normal": 3, "edge": 1}
"""The channels of the fields of the data sets in FIELDS; labels are class numbers and have none."""

DEFAULT_IGNORE: dict[str, int] = {"scenes": 255, "nyuv2": 255}
"""The label of pixels without one, in data sets that have such."""
