"""The exponential running mean of a network's weights, which is evaluated and kept in their place.

Polyak and Juditsky (1992) average what stochastic gradient descent goes through; with a decay, as torch has it in
`torch.optim.swa_utils`. Buffers are averaged with the weights: so the statistics of a batch normalisation are of the
same steps as these. Integers among them, such as counts of batches, are the newest.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mtsldsl.ir import Spec
from mtsldsl.runtime.network.transfer import Members, carry_state


def average_of(model: nn.Module, spec: Spec) -> AveragedModel | None:
    """The mean of a network that has made no step, which holds what the network does; None where a spec has none."""
    decay = spec.train.ema
    if decay is None:
        return None
    running = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=running, use_buffers=True)


@torch.no_grad()
def update(average: AveragedModel, model: nn.Module) -> None:
    """Add the network after a step: decay times the mean so far, and the rest of it; the first step is the mean of
    itself."""
    average.update_parameters(model)
    for mean, newest in zip(average.module.buffers(), model.buffers(), strict=True):
        if not mean.is_floating_point():
            mean.copy_(newest)


@torch.no_grad()
def carry_average(
    old_spec: Spec, new_spec: Spec, old: AveragedModel, new: AveragedModel, new_model: nn.Module, made: Members
) -> None:
    """Go on with the mean of an evolved network: what survives keeps its mean bit for bit, a new copy has that of its
    members' means, as weights are carried. `new` comes as the mean of `new_model` before a learner prepared that: each
    tensor that it has changed since, such as those of copies that were trained, begins anew with what it is."""
    before, after, means = new.module.state_dict(), new_model.state_dict(), new.module.state_dict()
    anew = {name: value for name, value in after.items() if not torch.equal(value, before[name])}
    carry_state(old_spec, new_spec, old.module, new.module, made)
    for name, value in anew.items():
        means[name].copy_(value)
    new.n_averaged.copy_(old.n_averaged)
