"""How much of one task's features a linear read-out of another's explains, in place.

The features are not averaged over space: a row is a pixel, or a token, of a sample (or a sample, where a layer gives no
more). On half of the samples a ridge regression, centred and in closed form, fits the features Y of one task by those X
of the other,

    W = (X'X + r tr(X'X)/c I)^-1 X'Y,    r = 0.001,

and on the other half its R^2 = 1 - sum (Y - Ŷ)^2 / sum (Y - mean Y)^2 is taken, over all channels at once, no less than
0; the similarity is the mean of both ways. Averages over space saturate where features do not agree in place, and tell
little of whether one may stand for the other. Linear maps between representations: Lenc, Vedaldi: Understanding Image
Representations by Measuring Their Equivariance and Equivalence, CVPR 2015, arXiv 1411.5908; regression as an index of
similarity: Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network Representations Revisited, ICML 2019, arXiv
1905.00414, section 3. Features that do not vary explain nothing and have nothing to explain: they have a similarity of
0, with themselves too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from mtsldsl.ir.wiring import Value
from mtsldsl.methods.similarities import Readout
from mtsldsl.runtime.structure.similarities.compared_features import in_double_precision, require_enough
from mtsldsl.runtime.structure.view import View
from mtsldsl.seeds import torch_seed_of

ROWS = 8192
"""Of more rows than that so many are drawn, as many in each sample."""

RIDGE = 1e-3
"""Of the mean variance of the features that are read: enough where channels are alike, little where they are not."""


def seen(view: View, chosen: Readout, values: Sequence[Value]) -> Mapping[Value, Rows]:
    """What copies give, pixel by pixel or token by token."""
    return rows_of(view, values, chosen.samples)


def matrix(_: Readout, features: Sequence[Rows]) -> Tensor:
    """Of rows that were seen."""
    return readout_matrix([each.all for each in features], features[0].fitted)


@attrs.frozen(eq=False)
class Rows:
    """Features of a layer in place (rows, channels), those of the samples that maps are fitted on first."""

    all: Tensor
    fitted: int


def rows_of(view: View, values: Sequence[Value], samples: int) -> Mapping[Value, Rows]:
    """The features of up to so many training samples, of which the first half is for fitting. Those of one layer are
    of the same places of the samples, drawn by the spec's seed and the layer alone, whatever the size of batches."""
    found = view.features(values, samples, _Drawn(view.spec.train.seed))
    for rows in found.values():
        require_enough(len(rows))
    return {value: Rows(rows.flatten(0, 1), len(rows) // 2 * rows.shape[1]) for value, rows in found.items()}


@attrs.define(eq=False)
class _Drawn:
    """Takes rows of activations: (samples, places, channels)."""

    seed: int
    _known: dict[tuple[str, int, int], Tensor] = attrs.field(factory=dict)

    def __call__(self, value: Value, activation: Tensor, first: int, samples: int) -> Tensor:
        rows = rows_in(activation)
        key = value.layer, rows.shape[1], samples
        if key not in self._known:
            self._known[key] = places_of(*key, self.seed)
        return drawn_rows(rows, self._known[key][first : first + len(rows)]).float()


def drawn_rows(rows: Tensor, places: Tensor) -> Tensor:
    """The rows (samples, rows, channels) of the places (samples, count), as memory of their own."""
    return rows.gather(1, places.to(rows.device)[:, :, None].expand(-1, -1, rows.shape[2]))


def places_of(layer: str, most: int, samples: int, seed: int) -> Tensor:
    """For each sample as many of its places, in rising order, as make no more than `ROWS` rows, at least one."""
    count = min(most, max(1, ROWS // samples))
    if count == most:
        return torch.arange(most).expand(samples, most)
    chance = torch.Generator().manual_seed(torch_seed_of("read-out", seed, layer))
    return torch.stack([torch.randperm(most, generator=chance)[:count].sort().values for _ in range(samples)])


def rows_in(activation: Tensor) -> Tensor:
    """An activation (n, c, h, w), (n, length, c) or (n, c) as (n, places, c)."""
    if activation.ndim == 4:
        return activation.flatten(2).mT
    return activation if activation.ndim == 3 else activation[:, None]


@attrs.frozen(eq=False)
class Map:
    """A linear map of features (..., c) to those of another task (..., d): `weight` (c, d), from mean to mean."""

    weight: Tensor
    source: Tensor
    target: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """What it makes of features, in their precision."""
        weight, source, target = (each.to(features) for each in (self.weight, self.source, self.target))
        return (features - source) @ weight + target


def maps(features: Sequence[Tensor]) -> list[list[Map]]:
    """The read-out of each of some features (n, c_i), float64, by each: in row i and column j that of j from i. From
    features that do not vary it is the mean of the others."""
    means = [each.mean(0) for each in features]
    centred = [each - mean for each, mean in zip(features, means, strict=True)]
    found = []
    for source, mean in zip(centred, means, strict=True):
        gram = source.T @ source
        gram.diagonal().add_(RIDGE * gram.diagonal().mean())
        factor, dead = torch.linalg.cholesky_ex(gram)
        weights = [source.T @ target for target in centred]
        if not dead:
            weights = [torch.cholesky_solve(each, factor) for each in weights]
        found.append([Map(weight, mean, other) for weight, other in zip(weights, means, strict=True)])
    return found


def readout(x: Any, y: Any, fitted: int) -> float:
    """The similarity by read-out of two features of the same rows, `x` (n, c) and `y` (n, d), tensors or arrays: the
    first `fitted` rows are for fitting, the others for the R².

    Between 0 and 1. Raises MtlError MTL804 for fewer than 4 rows, MTL803 for values that are not finite, ValueError
    where one part has no rows.
    """
    return float(readout_matrix([x, y], fitted)[0, 1])


@torch.no_grad()
def readout_matrix(features: Sequence[Any], fitted: int) -> Tensor:
    """The same of every two of t features of the same rows (n, c_i).

    Returns (t, t) float64, symmetric, on the features' device. As `readout` otherwise. Costs t Cholesky factors of
    (c, c), and t^2 products of (rows, c) by (rows, c) and (c, c).
    """
    blocks = in_double_precision([torch.as_tensor(feature) for feature in features])
    if not 0 < fitted < len(blocks[0]):
        raise ValueError(f"{fitted} of {len(blocks[0])} rows for fitting leave one part without any")
    held = [block[fitted:] for block in blocks]
    found = torch.zeros(len(blocks), len(blocks), dtype=torch.float64, device=blocks[0].device)
    for i, row in enumerate(maps([block[:fitted] for block in blocks])):
        for j, each in enumerate(row):
            found[i, j] = _explained(held[j], each(held[i]))
    return (found + found.T) / 2


def _explained(target: Tensor, predicted: Tensor) -> Tensor:
    """R^2, from 0 to 1; 0 of what does not vary."""
    whole = (target - target.mean(0)).square().sum()
    left = (target - predicted).square().sum()
    return torch.where(whole > 0, 1 - left / whole, 0.0).clamp(0.0, 1.0)
