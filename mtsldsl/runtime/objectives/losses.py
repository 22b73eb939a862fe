"""The losses of every kind of target.

A loss is a function of sums over the entries that count, so that it has one value for a set, however the set was cut
into batches. It takes a prediction and its target, dense `(n, c, h, w)` or plain `(n, c)`, computes in float32 whatever
autocast says, never synchronises with the host, and where nothing is valid it gives 0 with a gradient of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number, numbers
from mtsldsl.runtime.data.masks import aligned, as_float, labels_of, only, valid_entries

Sums: TypeAlias = tuple[Tensor, ...]
"""What is added up over entries. The last one counts them, in all or for each class."""

IGNORED = -100
"""What a class label becomes that does not count."""

LEAST = 1e-3
"""The smallest value that has a logarithm."""

SHORTEST = 1e-4
"""Length that is added in quadrature when a predicted vector is normalised: it bounds the gradient at the zero vector
by its inverse, and turns a vector of length 1 by nothing that float32 could show."""


def _mean(total: Tensor, count: Tensor) -> Tensor:
    return total / count.clamp(min=1)


def total_of(entries: Tensor, tasks: int) -> Tensor:
    """The sum of the entries, or one for each of several tasks."""
    return entries.sum() if tasks == 1 else entries.reshape(tasks, -1).sum(1)


def _count(valid: Tensor, tasks: int) -> Tensor:
    """The number of entries that count, or one for each of several tasks."""
    return valid.count_nonzero() if tasks == 1 else valid.reshape(tasks, -1).sum(1)


def sum_dtype(device: torch.device) -> torch.dtype:
    """The type that sums over a set are kept in: float64, or float32 on Apple GPUs, which have nothing longer."""
    return torch.float32 if device.type == "mps" else torch.float64


@attrs.frozen
class Loss:
    """A loss: `sums(prediction, target)` of a batch, which add up over batches, and its `value` from such sums.

    Where `together`, `sums(prediction, target, tasks)` takes the batches `(tasks * n, …)` of several tasks, one after
    the other, and gives an entry for each, `(tasks,)`; so does `value`.
    """

    sums: Callable[..., Sums]
    value: Callable[..., Tensor] = _mean
    together: bool = True
    linear: bool = True
    """Whether the value is linear in what is summed beside the counts: with the counts of the whole, the values of its
    parts add up to the value of the whole."""

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, a scalar."""
        return self.value(*self.sums(prediction, target))


def cross_entropy(target: Target, loss: Named) -> Loss:
    """Mean cross entropy over the pixels (or samples) that are not ignored, with a `weight` weighted by their
    classes."""
    smoothing = number(loss.arguments, "label_smoothing")
    if loss.arguments["weight"]:
        return _weighted_cross_entropy(target, numbers(loss.arguments, "weight"), smoothing)

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction = as_float(prediction)
        labels, valid = labels_of(target, target_, IGNORED)
        # On CUDA only the losses one by one have a deterministic kernel; elsewhere the sum over pixels is quicker.
        reduction = "none" if prediction.is_cuda or prediction.dim() == 2 else "sum"
        losses = F.cross_entropy(
            prediction, labels, ignore_index=IGNORED, reduction=reduction, label_smoothing=smoothing
        )
        return total_of(losses, tasks), _count(valid, tasks)

    return Loss(sums)


def _weighted_cross_entropy(target: Target, weights: Sequence[float], smoothing: float) -> Loss:
    """As `torch.nn.CrossEntropyLoss(weight, label_smoothing=smoothing)`: divided by the sum of the weights of the
    labels."""

    def of(values: Tensor) -> Tensor:
        return torch.tensor(weights, dtype=values.dtype, device=values.device)

    def sums(prediction: Tensor, target_: Tensor) -> Sums:
        prediction = as_float(prediction)
        labels, _ = labels_of(target, target_, IGNORED)
        losses = F.cross_entropy(
            prediction,
            labels,
            of(prediction),
            ignore_index=IGNORED,
            reduction="none",
            label_smoothing=smoothing,
        )
        members, rest = _members(labels, prediction.shape[1])
        return losses.sum(), members.sum(rest)

    def value(total: Tensor, counts: Tensor) -> Tensor:
        return total / (of(total) * counts).sum().clamp(min=torch.finfo(total.dtype).tiny)

    return Loss(sums, value, together=False)


def _members(labels: Tensor, classes: int) -> tuple[Tensor, list[int]]:
    """Which labels `(n[, h, w])` are of each class, `(n, classes[, h, w])`, and all dimensions but that of the
    classes."""
    numbers_ = torch.arange(classes, device=labels.device).view(-1, *[1] * (labels.dim() - 1))
    return labels.unsqueeze(1) == numbers_, [0, *range(2, labels.dim() + 1)]


def focal(target: Target, loss: Named) -> Loss:
    """Mean of (1 - p)^gamma times the cross entropy, where p is the probability of the label (Lin et al. 2017)."""
    gamma = number(loss.arguments, "gamma")

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        labels, valid = labels_of(target, target_, IGNORED)
        entropies = F.cross_entropy(as_float(prediction), labels, ignore_index=IGNORED, reduction="none")
        return total_of(_focused(entropies, gamma) * entropies, tasks), _count(valid, tasks)

    return Loss(sums)


def _focused(entropies: Tensor, gamma: float) -> Tensor:
    """(1 - exp(-entropy))^gamma, with a gradient that is a number where the entropy is 0."""
    return (-torch.expm1(-entropies)).clamp(min=torch.finfo(entropies.dtype).eps ** 2) ** gamma


def effective_number_weights(counts: Tensor, beta: float) -> Tensor:
    """Weights `(classes,)` by the effective number of samples, (1 - beta) / (1 - beta^n) (Cui et al. 2019, eq. 4), from
    the number n of each class's labels. A class without any gets 0; the others average to 1."""
    present = counts > 0
    # -expm1(n log beta) is 1 - beta^n without cancellation at small n
    log_beta = math.log(beta) if beta > 0 else -math.inf
    effective = -torch.expm1(counts.clamp(min=1) * log_beta)
    weights = only(present, (1 - beta) / effective)
    return weights * (present.sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny))


def class_balanced(target: Target, loss: Named) -> Loss:
    """Cross entropy weighted by the effective number of samples of the classes in the batch (or set), divided by the
    sum of the weights of the pixels, as `torch.nn.CrossEntropyLoss(weight)` does: a common factor of them cancels."""
    beta = number(loss.arguments, "beta")

    def sums(prediction: Tensor, target_: Tensor) -> Sums:
        prediction = as_float(prediction)
        labels, valid = labels_of(target, target_, 0)
        losses = F.cross_entropy(prediction, labels, reduction="none")
        members, rest = _members(labels, prediction.shape[1])
        members = members & valid.unsqueeze(1)
        return only(members, losses.unsqueeze(1)).sum(rest), members.sum(rest)

    def value(totals: Tensor, counts: Tensor) -> Tensor:
        weights = effective_number_weights(counts, beta).to(totals.dtype)
        return (weights * totals).sum() / (weights * counts).sum().clamp(min=torch.finfo(totals.dtype).tiny)

    return Loss(sums, value, together=False)


def _wanted(target: Target, prediction: Tensor, target_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The prediction, the target with the prediction where it does not count, so that nothing is wrong there, and the
    mask of the entries that do."""
    prediction, target_ = aligned(prediction, target_)
    valid = valid_entries(target, target_)
    return prediction, torch.where(valid, target_, prediction.detach()), valid


def absolute(target: Target, _: Named) -> Loss:
    """Mean absolute error over the entries that count."""

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, wanted, valid = _wanted(target, prediction, target_)
        return total_of(F.l1_loss(prediction, wanted, reduction="none"), tasks), _count(valid, tasks)

    return Loss(sums)


def squared(target: Target, _: Named) -> Loss:
    """Mean squared error over the entries that count."""

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, wanted, valid = _wanted(target, prediction, target_)
        return total_of(F.mse_loss(prediction, wanted, reduction="none"), tasks), _count(valid, tasks)

    return Loss(sums)


def huber(target: Target, loss: Named) -> Loss:
    """Mean of half the squared error up to `delta`, and of delta (|error| - delta / 2) beyond (Huber 1964), as
    `torch.nn.HuberLoss`."""
    delta = number(loss.arguments, "delta")

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, wanted, valid = _wanted(target, prediction, target_)
        return total_of(F.huber_loss(prediction, wanted, reduction="none", delta=delta), tasks), _count(valid, tasks)

    return Loss(sums)


def scale_invariant_log(target: Target, loss: Named) -> Loss:
    """The mean of d^2 less `variance_focus` times the square of the mean of d, where d is the difference of the
    logarithms (Eigen et al. 2014, eq. 4), over the whole batch (or set).

    Below LEAST the logarithm goes on as a straight line of slope 1, so that an answer of 0 or less is led back.
    """
    focus = number(loss.arguments, "variance_focus")

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, target_ = aligned(prediction, target_)
        valid = valid_entries(target, target_)
        apart = only(valid, _logarithm(prediction) - _logarithm(only(valid, target_)))
        return total_of(apart.square(), tasks), total_of(apart, tasks), _count(valid, tasks)

    def value(squares: Tensor, total: Tensor, count: Tensor) -> Tensor:
        return _mean(squares, count) - focus * _mean(total, count).square()

    return Loss(sums, value, linear=False)


def _logarithm(values: Tensor) -> Tensor:
    return values.clamp(min=LEAST).log() + (values - LEAST).clamp(max=0.0)


def root_mean_squared(target: Target, loss: Named) -> Loss:
    """The root over the whole batch (or set). Its gradient is bounded by 1/sqrt(entries) everywhere but undefined at 0,
    where 0 is taken; an epsilon under the root would do without the two `where`, and shift every value."""

    def value(total: Tensor, count: Tensor) -> Tensor:
        mse = _mean(total, count)
        above = mse > 0
        return torch.where(above, torch.where(above, mse, 1.0).sqrt(), 0.0)

    return Loss(squared(target, loss).sums, value, linear=False)


def stretch_of(vectors: Tensor) -> Tensor:
    """What vectors `(n, c[, h, w])` are to be multiplied with for length 1, `(n, 1[, h, w])`; finite for the zero
    vector, and so is its gradient."""
    return (vectors.square().sum(dim=1, keepdim=True) + SHORTEST**2).rsqrt()


def stretched(values: Tensor, vectors: Tensor) -> Tensor:
    """The values over the lengths of the vectors; over SHORTEST more in the gradient alone, which that bounds."""
    stretch, square = stretch_of(vectors), vectors.detach().square().sum(dim=1, keepdim=True)
    exact = torch.where(square > 0, square.rsqrt(), 0.0)
    return values * stretch + values.detach() * (exact - stretch.detach())


def _directions(target: Target, prediction: Tensor, target_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Predicted and given vectors, 0 where the target does not count, and the mask `(n, 1[, h, w])`. Sums over their
    three components are many times as quick where these lie far apart in memory, as torch lays out by default."""
    prediction, target_ = aligned(prediction.contiguous(), target_.contiguous())
    valid = valid_entries(target, target_)
    return prediction, only(valid, target_), valid


def cosine(target: Target, _: Named) -> Loss:
    """One minus the mean cosine between predicted and given vectors, over those that are given."""

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, wanted, valid = _directions(target, prediction, target_)
        along = (prediction * wanted).sum(dim=1, keepdim=True) * stretch_of(wanted)
        return total_of(only(valid, 1 - stretched(along, prediction)), tasks), _count(valid, tasks)

    return Loss(sums)


def unit_l1(target: Target, _: Named) -> Loss:
    """Mean absolute difference per component of unit vectors; the prediction is normalised first."""

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, wanted, valid = _directions(target, prediction, target_)
        error = (stretched(prediction, prediction) - wanted).abs().mean(dim=1, keepdim=True)
        return total_of(only(valid, error), tasks), _count(valid, tasks)

    return Loss(sums)


def bce(target: Target, _: Named) -> Loss:
    """Mean binary cross entropy of logits."""

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, truth = aligned(prediction, target_)
        valid = valid_entries(target, truth)
        entropies = entropies_of(prediction, only(valid, truth), valid.to(prediction.dtype))
        return total_of(entropies, tasks), _count(valid, tasks)

    return Loss(sums)


def balanced_bce(target: Target, loss: Named) -> Loss:
    """Binary cross entropy of logits, positives weighted w and negatives 1 - w, averaged over all valid entries."""
    weight = number(loss.arguments, "positive_weight")

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, truth = aligned(prediction, target_)
        valid = valid_entries(target, truth)
        truth = only(valid, truth)
        # (1 - w) (1 - t) + w t
        weights = only(valid, (1 - weight) + (2 * weight - 1) * truth)
        return total_of(entropies_of(prediction, truth, weights), tasks), _count(valid, tasks)

    return Loss(sums)


def binary_focal(target: Target, loss: Named) -> Loss:
    """Mean of (1 - p)^gamma times the binary cross entropy of logits, where p is the probability of the answer; a yes
    weighs `alpha`, a no 1 - alpha (Lin et al. 2017, eq. 5)."""
    gamma, alpha = number(loss.arguments, "gamma"), number(loss.arguments, "alpha")

    def sums(prediction: Tensor, target_: Tensor, tasks: int = 1) -> Sums:
        prediction, truth = aligned(prediction, target_)
        valid = valid_entries(target, truth)
        truth = only(valid, truth)
        weights = only(valid, (1 - alpha) + (2 * alpha - 1) * truth)
        entropies = entropies_of(prediction, truth, valid.to(prediction.dtype))
        return total_of(weights * _focused(entropies, gamma) * entropies, tasks), _count(valid, tasks)

    return Loss(sums)


def dice(target: Target, loss: Named) -> Loss:
    """One minus the mean over the classes of the batch (or set) of (2 |p y| + smooth) / (|p| + |y| + smooth), where |p|
    sums the probabilities of a class over what is labelled, and |y| counts its labels (Milletari et al. 2016, with
    plain sums below)."""
    smooth = number(loss.arguments, "smooth")

    def sums(prediction: Tensor, target_: Tensor) -> Sums:
        probabilities = as_float(prediction).softmax(dim=1)
        labels, valid = labels_of(target, target_, IGNORED)
        members, rest = _members(labels, prediction.shape[1])
        hits, found = only(members, probabilities), only(valid.unsqueeze(1), probabilities)
        return hits.sum(rest), found.sum(rest), members.sum(rest)

    def value(hits: Tensor, found: Tensor, counts: Tensor) -> Tensor:
        return _overlap(hits, found, counts, counts > 0, smooth)

    return Loss(sums, value, together=False, linear=False)


def binary_dice(target: Target, loss: Named) -> Loss:
    """The same of the yes of each answer, `(n, c[, h, w])`, as the mean over those c that have labels."""
    smooth = number(loss.arguments, "smooth")

    def sums(prediction: Tensor, target_: Tensor) -> Sums:
        prediction, truth = aligned(prediction, target_)
        valid = valid_entries(target, truth)
        rest = [0, *range(2, prediction.dim())]
        truth, found = only(valid, truth), only(valid, prediction.sigmoid())
        return (truth * found).sum(rest), found.sum(rest), truth.sum(rest), valid.sum(rest)

    def value(hits: Tensor, found: Tensor, truth: Tensor, counts: Tensor) -> Tensor:
        return _overlap(hits, found, truth, counts > 0, smooth)

    return Loss(sums, value, together=False, linear=False)


def _overlap(hits: Tensor, found: Tensor, truth: Tensor, counted: Tensor, smooth: float) -> Tensor:
    apart = 1 - (2 * hits + smooth) / (found + truth + smooth)
    return only(counted, apart).sum() / counted.sum().clamp(min=1)


def entropies_of(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """The weighted binary cross entropies."""
    return F.binary_cross_entropy_with_logits(logits, truth, weights, reduction="none")
