"""Features that are compared: of the same samples, enough of them, and finite."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtsldsl.diagnostics import MtlError

LEAST_SAMPLES = 4
"""The unbiased estimator of HSIC divides by n - 3; fewer samples have no ranks to speak of."""


def in_double_precision(features: Sequence[Tensor]) -> list[Tensor]:
    """Features (n, d_i) of the same samples in float64, on their device, or on the CPU where that has none.

    Raises ValueError where they are none, or not of the same samples, MtlError MTL804 for too few samples, MTL803 for
    values that are not finite.
    """
    if not features:
        raise ValueError("there are no features to compare")
    if any(feature.ndim != 2 or len(feature) != len(features[0]) for feature in features):
        raise ValueError(f"features must all be (n, d) of the same n, not {[tuple(f.shape) for f in features]}")
    require_enough(len(features[0]))
    device = features[0].device if features[0].device.type != "mps" else torch.device("cpu")  # mps has no float64
    blocks = [feature.to(device).double() for feature in features]
    sizes = torch.stack([(block - block[:1]).square().sum() for block in blocks])
    if not bool(sizes.isfinite().all()):
        raise MtlError.of(
            "MTL803",
            "a feature holds values that are not finite numbers, so that its similarity has no meaning",
            "lower the learning rate, or look at the losses of the epochs before",
        )
    return blocks


def require_enough(samples: int) -> None:
    """Raise MtlError MTL804 where there are too few samples."""
    if samples < LEAST_SAMPLES:
        raise MtlError.of(
            "MTL804",
            f"the similarity of features cannot be estimated from {samples} samples",
            f"use {LEAST_SAMPLES} samples or more; some hundreds give a steady estimate",
        )
