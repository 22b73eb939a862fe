"""The losses of what a network answers against what its teachers answer (Hinton, Vinyals and Dean 2015, arXiv
1503.02531, at a temperature of 1).

Every entry of an answer counts, also where there is no label. `sums(prediction, answer)` takes the outputs of two
heads, `(n, c[, h, w])`, the second of a teacher. Each loss is smallest where both are the same, and its gradient is 0
there. Where an answer is not a finite number, neither is the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.data.masks import as_float
from mtsldsl.runtime.objectives.losses import Loss, Sums, entropies_of, stretch_of, stretched, total_of

SoftLoss: TypeAlias = Callable[[Named], Loss]
"""The loss against a teacher's answers of a task that has this loss of its labels."""


def _mean_of(entries: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """The mean of so many entries, which do not depend on what is answered."""

    def sums(prediction: Tensor, answer: Tensor, tasks: int = 1) -> Sums:
        found = entries(as_float(prediction), as_float(answer))
        count = torch.full((() if tasks == 1 else (tasks,)), found.numel() // tasks, device=found.device)
        return total_of(found, tasks), count

    return Loss(sums)


def cross_entropy(_: Named) -> Loss:
    """Mean cross entropy with the probabilities that the teacher gives the classes."""

    def entropies(prediction: Tensor, answer: Tensor) -> Tensor:
        return F.cross_entropy(prediction, answer.softmax(dim=1), reduction="none")

    return _mean_of(entropies)


def absolute(_: Named) -> Loss:
    """Mean absolute difference."""
    return _mean_of(lambda prediction, answer: F.l1_loss(prediction, answer, reduction="none"))


def cosine(_: Named) -> Loss:
    """One minus the mean cosine between the two vectors."""

    def apart(prediction: Tensor, answer: Tensor) -> Tensor:
        prediction, answer = prediction.contiguous(), answer.contiguous()
        along = (prediction * answer).sum(dim=1, keepdim=True) * stretch_of(answer)
        return 1 - stretched(along, prediction)

    return _mean_of(apart)


def bce(loss: Named) -> Loss:
    """Mean binary cross entropy with the teacher's probability of yes, p. A loss of the labels that weighs yes by w and
    no by 1 - w, as `balanced_bce` and `focal` do, weighs here by p w + (1 - p) (1 - w)."""
    key = _WEIGHT.get(loss.name)
    weight = None if key is None else number(loss.arguments, key)

    def entropies(prediction: Tensor, answer: Tensor) -> Tensor:
        truth = answer.sigmoid()
        weights = torch.ones_like(truth) if weight is None else (1 - weight) + (2 * weight - 1) * truth
        return entropies_of(prediction, truth, weights)

    return _mean_of(entropies)


_WEIGHT = {"balanced_bce": "positive_weight", "focal": "alpha"}
"""The argument of a loss that weighs a yes."""
