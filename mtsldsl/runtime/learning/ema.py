"""The mean of a network's weights over steps, which is evaluated and kept in their place: as torch has it in
`torch.optim.swa_utils`.

Polyak and Juditsky (1992) average what stochastic gradient descent goes through. With `ema` the mean has a decay, and
begins with the run. Buffers are averaged with the weights: so the statistics of a batch normalisation are of the same
steps as these. Integers among them, such as counts of batches, are the newest. With `keep = average(part)` every one of
the last steps counts the same (Izmailov et al. 2018, arXiv 1803.05407). Buffers are the newest there, and the
statistics of batch normalisations are estimated anew for the mean.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mtsldsl.ir import Spec
from mtsldsl.runtime.network.module_state import give_extra_states, give_state
from mtsldsl.runtime.network.transfer import Members, carry_state


def average_of(model: nn.Module, spec: Spec) -> AveragedModel | None:
    """The mean of no step yet, which holds what the network does; None where a spec has none."""
    decay = spec.train.ema
    if spec.train.average is not None:
        return AveragedModel(model)
    if decay is None:
        return None
    running = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch gives it no types
    return AveragedModel(model, multi_avg_fn=running, use_buffers=True)


def counts(spec: Spec, step: int, steps: int) -> bool:
    """Whether the network after a step, counted from 1, of so many in all is part of the mean: after each with a decay,
    else after the last part of them, rounded up to a whole step."""
    part = spec.train.average
    return part is None or step > steps - math.ceil(Fraction(repr(part)) * steps)


def standing(model: nn.Module, average: AveragedModel | None) -> nn.Module:
    """What is evaluated and kept: the mean once it has a step, else the network itself."""
    return average.module if average is not None and average.n_averaged > 0 else model


@torch.no_grad()
def update(average: AveragedModel, model: nn.Module) -> None:
    """Add the network after a step; the first is the mean of itself. With a decay the mean is decay times what it was,
    and the rest of the network."""
    average.update_parameters(model)
    for mean, newest in zip(average.module.buffers(), model.buffers(), strict=True):
        if not mean.is_floating_point():
            mean.copy_(newest)
    give_extra_states(average.module, model)


@torch.no_grad()
def carry_average(
    old_spec: Spec, new_spec: Spec, old: AveragedModel, new: AveragedModel, new_model: nn.Module, made: Members
) -> None:
    """Go on with the mean of an evolved network: what survives keeps its mean bit for bit, a new copy has that of its
    members' means, as weights are carried. `new` comes as the mean of `new_model` before a learner prepared that: each
    tensor that it has changed since, such as those of copies that were trained, begins anew with what it is: as if it
    had been that after every step so far."""
    before, after = new.module.state_dict(), new_model.state_dict()
    anew = {name: value for name, value in after.items() if not torch.equal(value, before[name])}
    carry_state(old_spec, new_spec, old.module, new.module, made)
    give_state(new.module, anew, whole=False)
    new.n_averaged.copy_(old.n_averaged)
