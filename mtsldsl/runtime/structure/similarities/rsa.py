"""How alike two representations order the same samples: representational similarity analysis (RSA).

Dwivedi, Roig: Representation Similarity Analysis for Efficient Task Taxonomy and Transfer Learning, CVPR 2019, arXiv
1904.11740; for branching Vandenhende, Georgoulis, De Brabandere, Van Gool: Branched Multi-Task Networks, BMVC 2020,
arXiv 1904.02920.

    RDM_ij    = 1 - Pearson(x_i, x_j)            over the channels of samples i and j, averaged over space
    RSA(X, Y) = Spearman(RDM(X), RDM(Y))         over the pairs i < j; equal numbers have their mean rank

A sample whose channels are all equal has no correlation with any: 0 is taken, a dissimilarity of 1. Where all pairs are
equally dissimilar, as those of a dead layer or of features with one channel are, there are no ranks to correlate: the
RSA is defined as 0, with itself too, so that it is never a reason to share, and shows as a 0 on the diagonal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtsldsl.ir.wiring import Value
from mtsldsl.methods.similarities import Rsa
from mtsldsl.runtime.structure.similarities.compared_features import in_double_precision
from mtsldsl.runtime.structure.view import View

_DECIMALS = 12
"""Of a correlation: what rounding leaves behind these does not part equal ones."""


def seen(view: View, chosen: Rsa, values: Sequence[Value]) -> Mapping[Value, Tensor]:
    """The features of copies, averaged over space or tokens."""
    return view.features(values, chosen.samples)


def matrix(_: Rsa, features: Sequence[Tensor]) -> Tensor:
    """Of features that were seen."""
    return rsa_matrix(features)


def rsa(x: Any, y: Any) -> float:
    """RSA of two features of the same samples, `x` (n, d) and `y` (n, e), tensors or arrays.

    Between -1 and 1; 0 where either has no dissimilarities to rank. Raises MtlError MTL804 for fewer than 4 samples,
    MTL803 for values that are not finite.
    """
    return float(rsa_matrix([x, y])[0, 1])


@torch.no_grad()
def rsa_matrix(features: Any) -> Tensor:
    """RSA of every two of t features of the same samples: `features` (t, n, d), or a sequence of t (n, d_i).

    Returns (t, t) float64, symmetric, on the features' device. As `rsa` otherwise. Holds t n (n - 1) / 2 ranks.
    """
    blocks = in_double_precision([torch.as_tensor(feature) for feature in features])
    ranks = torch.stack([_unit(_ranks(_dissimilarities(block))) for block in blocks])
    matrix = (ranks @ ranks.T).clamp(-1.0, 1.0)
    alive = ranks.any(1)
    return ((matrix + matrix.T) / 2).diagonal_scatter(alive.to(matrix.dtype))


def _dissimilarities(features: Tensor) -> Tensor:
    """1 - Pearson of every two rows of features (n, d), those above the diagonal: (n (n - 1) / 2,)."""
    rows = _unit(features)
    count = len(rows)
    above = torch.triu_indices(count, count, 1, device=rows.device)
    return 1 - (rows @ rows.T)[above[0], above[1]].round(decimals=_DECIMALS)


def _ranks(values: Tensor) -> Tensor:
    """The ranks of values (m,), from 1; equal ones have the mean of theirs."""
    _, places, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ranks: Tensor = counts.cumsum(0).double() - (counts - 1) / 2
    return ranks[places]


def _unit(rows: Tensor) -> Tensor:
    """Rows (..., d) less their means, of length 1; those that are constant are zero.

    Subtracting the first entry before the mean makes constant rows exactly zero.
    """
    rows = rows - rows[..., :1]
    rows = rows / rows.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    constant = (rows == 0).all(-1, keepdim=True)
    rows = rows - rows.mean(-1, keepdim=True)
    lengths: Tensor = rows.norm(dim=-1, keepdim=True)
    return rows.masked_fill(constant, 0.0) / lengths.masked_fill(constant, 1.0)
