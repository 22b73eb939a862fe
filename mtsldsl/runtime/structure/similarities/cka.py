"""How alike two representations of the same samples are: centred kernel alignment (CKA), over all pairs at once.

Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network Representations Revisited, ICML 2019, arXiv 1905.00414.
Debiased by the unbiased estimator of HSIC: Song, Smola, Gretton, Bedo, Borgwardt: Feature Selection via Dependence
Maximization, JMLR 13, 2012.

With K and L the n x n Gram matrices, ~ a zeroed diagonal and 1 the vector of ones,

    HSIC1(K, L) = tr(K~L~) + 1'K~1 1'L~1 / ((n-1)(n-2)) - 2/(n-2) 1'K~L~1        (times 1/(n(n-3)), which cancels)
    CKA(K, L)   = HSIC1(K, L) / sqrt(HSIC1(K, K) HSIC1(L, L))

A feature that says nothing of the samples (a constant one, such as the output of a dead layer) has a kernel of norm
zero, of which no angle can be taken. Its CKA is defined as 0, with itself too: it is never a reason to merge, and it
shows as a 0 on the diagonal of `cka_matrix`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs
import torch
from torch import Tensor

from mtsldsl.ir.wiring import Value
from mtsldsl.methods.similarities import Cka
from mtsldsl.runtime.network.execution import pooled
from mtsldsl.runtime.structure.similarities.compared_features import LEAST_SAMPLES, in_double_precision
from mtsldsl.runtime.structure.view import View

Kernel: TypeAlias = Literal["linear", "rbf"]

_CHEAP = 2e7  # multiplications; below this double precision costs no time that anybody would notice
_BLOCK = 2**22  # kernel values held at once: 32 MiB
_HEIGHT = 64  # rows of a kernel made at once: few, as what is below the diagonal of a block is made in vain
_DEAD = 1e-12  # of the kernel's squared norm: what rounding leaves of a zero
_CANCELLED = 1e-2  # below this part of the kernel's squared norm, single precision has lost the sixth digit of a CKA
_LEAST_SPREAD = 1e-20  # of an activation; the gradient of its similarity is of the order of its inverse


@attrs.frozen(eq=False)
class _Sums:
    """All that HSIC needs of the kernels: `products[i, j]` = tr(K_i K_j) (t, t), row sums and diagonals (t, n)."""

    products: Tensor
    rows: Tensor
    diagonals: Tensor


def seen(view: View, chosen: Cka, values: Sequence[Value]) -> Mapping[Value, Tensor]:
    """The features of copies, averaged over space or tokens."""
    return view.features(values, chosen.samples)


def matrix(chosen: Cka, features: Sequence[Tensor]) -> Tensor:
    """Of features that were seen."""
    return cka_matrix(features, kernel=chosen.kernel, debiased=chosen.debiased)


def cka(x: Any, y: Any, kernel: Kernel = "linear", debiased: bool = True) -> float:
    """CKA of two features of the same samples, `x` (n, d) and `y` (n, e), tensors or arrays.

    Between 0 and 1, but for the debiased estimate, which may fall a little below 0; 0 where either feature is constant.
    The rbf kernel is `exp(-d2 / (2 m))` with m the lower median of all n * n squared distances, those of samples
    to themselves included. Raises MtlError MTL804 for fewer than 4 samples, MTL803 for values that are not finite.
    """
    return float(cka_matrix([x, y], kernel, debiased)[0, 1])


@torch.no_grad()
def cka_matrix(features: Any, kernel: Kernel = "linear", debiased: bool = True) -> Tensor:
    """CKA of every two of t features of the same samples: `features` (t, n, d), or a sequence of t (n, d_i).

    Returns (t, t) float64, symmetric, on the features' device. As `cka` otherwise. Where the features are narrow,
    tr(K_i K_j) is taken as the squared norm of X_i' X_j, so that no n x n matrix is made; else the kernels are made
    once each, block by block, and multiplied all with all.
    """
    if kernel not in ("linear", "rbf"):
        raise ValueError(f"{kernel!r} is not a kernel: choose linear or rbf")
    blocks = _centred([torch.as_tensor(feature) for feature in features])
    samples, width = len(blocks[0]), sum(block.shape[1] for block in blocks)
    narrow = kernel == "linear" and width**2 <= samples * (width + 4 * len(blocks) ** 2)
    cost = samples * width * (width if narrow else samples)

    def sums(exact: bool) -> _Sums:
        return _sums_of_features(blocks, exact) if narrow else _sums_of_kernels(blocks, kernel, exact)

    exact = cost <= _CHEAP or kernel == "rbf" or blocks[0].device.type == "cuda"
    found = sums(exact)
    hsic = _hsic(found, debiased)
    if not exact and bool((hsic.diagonal() < _CANCELLED * found.products.diagonal()).any()):
        found = sums(exact=True)
        hsic = _hsic(found, debiased)
    own = hsic.diagonal()
    alive = own > _DEAD * found.products.diagonal()
    scale = torch.where(alive, own, 1.0).rsqrt() * alive
    matrix = ((hsic + hsic.T) / 2 * torch.outer(scale, scale)).clamp(-1.0, 1.0)
    return matrix.diagonal_scatter(alive.to(matrix.dtype))


def _centred(features: Sequence[Tensor]) -> list[Tensor]:
    """The features in double precision, each centred and scaled to a mean squared row of 1; a constant one is zero.

    Subtracting the first sample before the mean makes constant columns exactly zero and is exact where the spread is
    small beside the mean; kernels of one sample less another are invariant to it.
    """
    blocks = []
    for feature in in_double_precision(features):
        block = feature - feature[:1]
        block -= block.mean(0)
        blocks.append(block)
    energies = torch.stack([block.square().sum() for block in blocks])
    scales = torch.where(energies > 0, len(blocks[0]) / energies, 0.0).sqrt()
    for block, scale in zip(blocks, scales, strict=True):
        block *= scale
    return blocks


def _sums_of_features(blocks: Sequence[Tensor], exact: bool) -> _Sums:
    """Of linear kernels, without making them: tr(K_i K_j) = |X_i' X_j|^2, and rows of centred features sum to zero."""
    sizes = torch.tensor([block.shape[1] for block in blocks], device=blocks[0].device)
    owner = torch.arange(len(blocks), device=sizes.device).repeat_interleave(sizes)
    diagonals = torch.stack([block.square().sum(1) for block in blocks])
    values = torch.cat([block if exact else block.float() for block in blocks], 1)
    products = diagonals.new_zeros(len(blocks), len(blocks))
    start = 0
    for index, block in enumerate(blocks):
        cross = values[:, start : start + block.shape[1]].T @ values[:, start:]
        products[index].index_add_(0, owner[start:], cross.square_().sum(0, dtype=torch.float64))
        start += block.shape[1]
    return _Sums(products + products.triu(1).T, torch.zeros_like(diagonals), diagonals)


def _sums_of_kernels(blocks: Sequence[Tensor], kernel: Kernel, exact: bool) -> _Sums:
    """Of any kernels, a few of their rows at a time and, as they are symmetric, from the diagonal to the right only."""
    count, samples = len(blocks), len(blocks[0])
    values = [block if exact else block.float() for block in blocks]
    bandwidths = [_bandwidth(block) for block in values] if kernel == "rbf" else []
    products = blocks[0].new_zeros(count, count)
    rows, diagonals = blocks[0].new_zeros(count, samples), blocks[0].new_zeros(count, samples)
    start = 0
    while start < samples:
        height = min(max(1, _BLOCK // (count * (samples - start))), _HEIGHT, samples - start)
        stop = start + height
        part = blocks[0].new_empty(count, height, samples - start)
        for index, value in enumerate(values):
            if kernel == "rbf":
                part[index] = (_distances(value[start:stop], value[start:]) / (-2 * bandwidths[index])).exp()
            else:
                part[index] = value[start:stop] @ value[start:].T
        diagonals[:, start:stop] = part.diagonal(0, 1, 2)
        rows[:, start:stop] += part.sum(2)
        rows[:, stop:] += part[:, :, height:].sum(1)
        part[:, :, height:] *= 2**0.5  # each stands for itself and its mirror image
        products.addmm_(part.flatten(1), part.flatten(1).T)
        start = stop
    return _Sums(products, rows, diagonals)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances (n, m) of the rows of centred `x` (n, d) and `y` (m, d); no rounding is left of zero."""
    norms = x.square().sum(1)[:, None] + y.square().sum(1)
    distances = norms - 2 * (x @ y.T)
    return distances.masked_fill_(distances <= 1e-13 * norms, 0.0)


def _bandwidth(x: Tensor) -> Tensor:
    """The lower median of all squared distances; for 0 the least number, with which the kernel is an equality."""
    return _distances(x, x).flatten().median().clamp_min(torch.finfo(torch.float64).tiny)


def _hsic(sums: _Sums, debiased: bool) -> Tensor:
    """HSIC of every two kernels (t, t), without the factor that cancels in CKA."""
    count = sums.rows.shape[1]
    if not debiased:
        totals = sums.rows.sum(1)
        return sums.products - (2 / count) * (sums.rows @ sums.rows.T) + torch.outer(totals, totals) / count**2
    rows = sums.rows - sums.diagonals
    totals = rows.sum(1)
    traces = sums.products - sums.diagonals @ sums.diagonals.T
    pairs = torch.outer(totals, totals) / ((count - 1) * (count - 2))
    return traces + pairs - (2 / (count - 2)) * (rows @ rows.T)


def alignment_loss(activations: Sequence[Tensor], weight: float) -> Tensor:
    """`weight * (1 - mean CKA of every two)`: what pulls the tasks' copies of a layer together (arXiv 2305.00441).

    The CKA is the debiased linear one of the pooled activations of one batch. `activations` are each (n, c, h, w),
    (n, length, c) or (n, c); the result is a scalar. A dead copy counts as CKA 0 and gets a gradient of zero. A batch
    of fewer than 4 samples, of which no CKA can be estimated, and fewer than two activations give 0. Nothing here waits
    for the device.

    The sum over all pairs is the squared norm of the sum of the normalised kernels, less the kernels' own.
    """
    count, samples = len(activations), len(activations[0]) if activations else 0
    if count < 2 or samples < LEAST_SAMPLES:
        return torch.zeros((), device=activations[0].device if activations else None)
    with torch.autocast(activations[0].device.type, enabled=False):
        features = [pooled(activation) for activation in activations]
        if len({feature.shape for feature in features}) == 1:
            kernels = _unit_kernels(torch.stack(features))
        else:
            kernels = torch.cat([_unit_kernels(feature[None]) for feature in features])
        together = kernels.sum(0).square().sum()
        alone = kernels.detach().square().sum()  # the number of live kernels: a constant
        return weight - (together - alone) * (weight / (count * (count - 1)))


def _unit_kernels(features: Tensor) -> Tensor:
    """The U-centred linear kernels (t, n, n) of features (t, n, d), each of norm 1, or 0 where the feature is constant.

    HSIC1 is the inner product of U-centred kernels: Szekely, Rizzo, Annals of Statistics 42(6), 2014.
    """
    samples = features.shape[1]
    with torch.no_grad():
        shift = features[:, :1]
        scale = (features - shift).abs().amax((1, 2), keepdim=True).clamp_min(_LEAST_SPREAD)
    values = (features - shift) / scale
    values = values - values.mean(1, keepdim=True)
    kernels = values @ values.mT
    with torch.no_grad():
        energy = kernels.square().sum((1, 2), keepdim=True)
        others = 1 - torch.eye(samples, device=features.device)
    kernels = kernels * others
    rows = kernels.sum(2, keepdim=True) / (samples - 2)
    half = rows - rows.sum(1, keepdim=True) / (2 * (samples - 1))
    kernels = (kernels - half - half.mT) * others
    norms = kernels.square().sum((1, 2), keepdim=True)
    alive = norms > _DEAD * energy
    return kernels * (torch.where(alive, norms, 1.0).rsqrt() * alive)
