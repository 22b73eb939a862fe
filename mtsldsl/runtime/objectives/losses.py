"""The losses of every kind of target.

`make_loss` gives a function of a prediction and its target, dense `(n, c, h, w)` or plain `(n, c)`, to a scalar. It
computes in float32 whatever autocast says, never synchronises with the host, and where nothing is valid it gives 0
with a gradient of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.objectives.masks import (
    aligned,
    as_float,
    given,
    has_direction,
    labels_of,
    mean_over,
    only,
    positive,
)
from mtsldsl.spec.model import Named, Target

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Prediction and target to a scalar."""

SHORTEST = 1e-4
"""Length that is added in quadrature when a predicted vector is normalised: it bounds the gradient at the zero vector
by its inverse, and turns a vector of length 1 by nothing that float32 could show."""


def make_loss(target: Target, loss: Named) -> Loss:
    """The loss of that name for that kind of target.

    Raises MtlError MTL305 where the name does not fit the kind.
    """
    build = LOSSES[target.kind].get(loss.name)
    if build is None:
        raise MtlError.of(
            "MTL305",
            f"the loss `{loss.name}` does not fit a target of {target.kind}",
            f"use one of {', '.join(LOSSES[target.kind])}",
            loss.span,
        )
    return build(target, loss)


def _number(loss: Named, argument: str, default: float) -> float:
    return float(cast(float, loss.arguments.get(argument, default)))


def _cross_entropy(target: Target, loss: Named) -> Loss:
    """Mean cross entropy over the pixels (or samples) that are not ignored."""
    smoothing = _number(loss, "label_smoothing", 0.0)

    def cross_entropy(prediction: Tensor, target_: Tensor) -> Tensor:
        labels, valid = labels_of(target_, target.ignore)
        # reduction "none" has a deterministic kernel on every device, "mean" divides by zero where all is ignored
        losses = F.cross_entropy(as_float(prediction), labels, reduction="none", label_smoothing=smoothing)
        return mean_over(valid, losses)

    return cross_entropy


def effective_number_weights(labels: Tensor, valid: Tensor, classes: int, beta: float) -> Tensor:
    """Weights `(classes,)` by the effective number of samples, (1 - beta) / (1 - beta^n) (Cui et al. 2019, eq. 4).

    n counts a class's valid labels in this batch. A class without any gets 0; the others average to 1.
    """
    # ignored entries are counted in a bin of their own, which is then left out: selecting them would need their number
    bins = torch.where(valid, labels, classes).flatten()
    counts = torch.zeros(classes + 1, dtype=torch.int64, device=labels.device)
    counts = counts.scatter_add(0, bins, torch.ones_like(bins))[:classes]
    present = counts > 0
    # -expm1(n log beta) is 1 - beta^n without cancellation at small n
    log_beta = math.log(beta) if beta > 0 else -math.inf
    effective = -torch.expm1(counts.clamp(min=1) * log_beta)
    weights = only(present, (1 - beta) / effective)
    return weights * (present.sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny))


def _class_balanced(target: Target, loss: Named) -> Loss:
    """Cross entropy weighted by the effective number of samples of the classes in the batch, divided by the sum of
    the weights of the pixels, as `torch.nn.CrossEntropyLoss(weight)` does: a common factor of the weights cancels."""
    beta = _number(loss, "beta", 0.999)

    def class_balanced(prediction: Tensor, target_: Tensor) -> Tensor:
        prediction = as_float(prediction)
        labels, valid = labels_of(target_, target.ignore)
        weights = effective_number_weights(labels, valid, prediction.shape[1], beta).to(prediction.dtype)
        pixel = only(valid, weights[labels])
        losses = F.cross_entropy(prediction, labels, reduction="none")
        return (pixel * losses).sum() / pixel.sum().clamp(min=torch.finfo(pixel.dtype).tiny)

    return class_balanced


def _value_mask(loss: Named) -> Callable[[Tensor], Tensor]:
    return positive if loss.arguments.get("positive_only", True) else given


def _errors(prediction: Tensor, target: Tensor, mask: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Prediction minus target, 0 where the target does not count, and the mask."""
    prediction, target = aligned(prediction, target)
    valid = mask(target)
    return only(valid, prediction) - only(valid, target), valid


def _absolute(mask: Callable[[Tensor], Tensor]) -> Loss:
    def l1(prediction: Tensor, target: Tensor) -> Tensor:
        error, valid = _errors(prediction, target, mask)
        return mean_over(valid, error.abs())

    return l1


def _squared(mask: Callable[[Tensor], Tensor]) -> Loss:
    def mse(prediction: Tensor, target: Tensor) -> Tensor:
        error, valid = _errors(prediction, target, mask)
        return mean_over(valid, error.square())

    return mse


def _root_mean_squared(mask: Callable[[Tensor], Tensor]) -> Loss:
    """The root over the whole batch. Its gradient is bounded by 1/sqrt(entries) everywhere but undefined at 0, where
    0 is taken; an epsilon under the root would do without the two `where`, and shift every value."""
    squared = _squared(mask)

    def rmse(prediction: Tensor, target: Tensor) -> Tensor:
        mse = squared(prediction, target)
        above = mse > 0
        return torch.where(above, torch.where(above, mse, 1.0).sqrt(), 0.0)

    return rmse


def unit(vectors: Tensor) -> Tensor:
    """The vectors `(n, c[, h, w])` at length 1 along dimension 1; the zero vector stays, with a finite gradient."""
    return vectors * (vectors.square().sum(dim=1, keepdim=True) + SHORTEST**2).rsqrt()


def _directions(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    prediction, target = aligned(prediction, target)
    valid = has_direction(target)
    return unit(only(valid, prediction)), only(valid, target), valid


def _cosine(_: Target, __: Named) -> Loss:
    """One minus the mean cosine between predicted and given vectors, over those that are given."""

    def cosine(prediction: Tensor, target: Tensor) -> Tensor:
        predicted, wanted, valid = _directions(prediction, target)
        return mean_over(valid, 1 - (predicted * unit(wanted)).sum(dim=1, keepdim=True))

    return cosine


def _unit_l1(_: Target, __: Named) -> Loss:
    """Mean absolute difference per component of unit vectors; the prediction is normalised first."""

    def l1(prediction: Tensor, target: Tensor) -> Tensor:
        predicted, wanted, valid = _directions(prediction, target)
        return mean_over(valid, (predicted - wanted).abs().mean(dim=1, keepdim=True))

    return l1


def _bce(target: Target, _: Named) -> Loss:
    """Mean binary cross entropy of logits."""

    def bce(prediction: Tensor, target_: Tensor) -> Tensor:
        prediction, truth = aligned(prediction, target_)
        valid = given(truth, target.ignore)
        losses = F.binary_cross_entropy_with_logits(prediction, only(valid, truth), reduction="none")
        return mean_over(valid, losses)

    return bce


def _balanced_bce(target: Target, loss: Named) -> Loss:
    """Binary cross entropy of logits, positives weighted w and negatives 1 - w, averaged over all valid entries."""
    weight = _number(loss, "positive_weight", 0.95)

    def balanced_bce(prediction: Tensor, target_: Tensor) -> Tensor:
        prediction, truth = aligned(prediction, target_)
        valid = given(truth, target.ignore)
        truth = only(valid, truth)
        losses = F.binary_cross_entropy_with_logits(prediction, truth, reduction="none")
        return mean_over(valid, losses * (weight * truth + (1 - weight) * (1 - truth)))

    return balanced_bce


LOSSES: Mapping[str, Mapping[str, Callable[[Target, Named], Loss]]] = {
    "classes": {"cross_entropy": _cross_entropy, "class_balanced": _class_balanced},
    "values": {
        "l1": lambda _, loss: _absolute(_value_mask(loss)),
        "mse": lambda _, loss: _squared(_value_mask(loss)),
        "rmse": lambda _, loss: _root_mean_squared(_value_mask(loss)),
    },
    "unit_vectors": {"cosine": _cosine, "l1": _unit_l1},
    "binary": {"balanced_bce": _balanced_bce, "bce": _bce},
    "reconstruct": {"mse": lambda _, __: _squared(given), "l1": lambda _, __: _absolute(given)},
}
"""For each kind of target its losses, each made from the target and the loss with its arguments."""
