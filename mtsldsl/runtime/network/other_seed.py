"""What a network begins with that a learner trains beside the run's own, drawn by another seed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.network.built import build_model, initialise, place
from mtsldsl.runtime.network.transfer import carry_state
from mtsldsl.seeds import torch_seed_of
from mtsldsl.sharing import Copy


def begun_by(spec: Spec, *purpose: object, given: Mapping[str, Tensor] | None = None) -> nn.Module:
    """A network of the spec on the CPU, whose initial weights are drawn for a `purpose`, or without any are those that
    the seed gives; what is frozen is what the seed gives in any case. Weights that are `given` are taken, by name."""
    model = build_model(spec)
    if purpose:
        initialise(model, spec, torch_seed_of(spec.train.seed, *purpose), but=spec.frozen)
    if given:
        model.load_state_dict(dict(given), strict=False)
    return place(model, spec, torch.device("cpu"))


def given_to(spec: Spec, model: nn.Module, other: Spec) -> dict[Copy, dict[str, Tensor]]:
    """The weights of those copies of a network of another sharing that are not what the seed gives, where a network of
    the spec began with those of `model`: of a copy that shares more, the mean of what its tasks have."""
    first, filled = build_model(other), build_model(other)
    carry_state(spec, other, model, filled)
    found = {}
    for copy in copies(other):
        before, state = (each.get_submodule(copy.name).state_dict() for each in (first, filled))
        if not all(torch.equal(value, before[name]) for name, value in state.items()):
            found[copy] = state
    return found
