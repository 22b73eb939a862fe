"""Statistics of batch normalisations, estimated anew.

After a transfer they belong to no network: the average of some networks' activations is not what their averaged weights
compute, and what stands behind a merged layer never saw its output. Up to half of what a merge seems to cost can be
that alone (REPAIR: Jordan et al. 2022, arXiv 2211.08403).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import attrs
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mtsldsl.runtime.data import Samples, batches
from mtsldsl.runtime.evaluation import autocast
from mtsldsl.runtime.locate import located
from mtsldsl.runtime.objectives.totals import sum_dtype
from mtsldsl.runtime.structure.execution import evaluating
from mtsldsl.spec import Spec

BATCHES = 25
"""Training batches that statistics are estimated from, or all of an epoch where it has fewer."""


@attrs.define
class _Moments:
    """Of the input of a batch normalisation by channel, about a fixed point near the mean, for precision."""

    origin: Tensor
    total: Tensor
    squares: Tensor
    count: int = 0

    def add(self, values: Tensor) -> None:
        """Add a batch `(n, channels, …)`."""
        rest = [dimension for dimension in range(values.dim()) if dimension != 1]
        apart = values.float() - self.origin.view(1, -1, *[1] * (values.dim() - 2))
        self.total += apart.sum(rest, dtype=self.total.dtype)
        self.squares += apart.square().sum(rest, dtype=self.squares.dtype)
        self.count += values.numel() // values.shape[1]


@torch.no_grad()
def reestimate(model: nn.Module, spec: Spec, samples: Samples, device: torch.device) -> None:
    """Give every batch normalisation of the network the mean and variance (E[x²] - mean²) of its input over BATCHES
    fixed batches of training, each normalised by its own statistics meanwhile, all else being as in evaluation.

    The network's modes and the count of batches it has seen stay as they were, as do normalisations that are not run
    and those that stay in evaluation mode when the network is put into training.
    """
    with evaluating(model):
        model.train()  # what stays in evaluation mode even so is frozen by its own module
        norms = [
            module
            for module in model.modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats and module.training
        ]
        model.eval()
        seen = [norm.num_batches_tracked.clone() for norm in norms]  # type: ignore[union-attr]
        moments = [_moments(norm) for norm in norms]
        handles = [norm.register_forward_pre_hook(_adding(own)) for norm, own in zip(norms, moments, strict=True)]
        for norm in norms:
            norm.train()
        try:
            for image in _fixed(spec, samples, device) if norms else ():
                with located(model, spec), autocast(spec, device):
                    model(image)
        finally:
            for handle in handles:
                handle.remove()
    for norm, own, batches_seen in zip(norms, moments, seen, strict=True):
        norm.num_batches_tracked.copy_(batches_seen)  # type: ignore[union-attr]
        mean = own.total / max(own.count, 1)
        norm.running_mean.copy_(own.origin + mean)  # type: ignore[union-attr]
        if own.count:
            norm.running_var.copy_(own.squares / own.count - mean.square())  # type: ignore[union-attr]


def _moments(norm: _BatchNorm) -> _Moments:
    origin = norm.running_mean.float().clone()  # type: ignore[union-attr]
    zero = torch.zeros_like(origin, dtype=sum_dtype(origin.device))
    return _Moments(origin, zero, zero.clone())


def _adding(moments: _Moments) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def add(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        moments.add(inputs[0])

    return add


def _fixed(spec: Spec, samples: Samples, device: torch.device) -> Iterable[Tensor]:
    """The inputs of the same training batches each time, augmented as in training."""
    of_epoch = batches(
        samples,
        spec.data.batch,
        seed=spec.train.seed,
        shuffle=True,
        augment=spec.data.augment,
        device=device,
        drop_last=True,
    )
    return (batch[spec.data.input] for batch in islice(of_epoch, BATCHES))
