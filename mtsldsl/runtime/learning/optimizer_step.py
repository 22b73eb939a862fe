"""Where the next step of an optimizer would put some parameters, while neither these nor the optimizer change."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mtsldsl.runtime.network.optimizer_state import parameter_state


def stepped(
    optimizer: Optimizer, parameters: Mapping[str, nn.Parameter], gradients: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Those parameters that have a gradient, by name, after a step of the optimizer along these gradients alone: with
    its moments of them, and with the options of the group that each is in. A parameter without a gradient stays where
    it is, as torch has it, whatever its momentum.

    The step is that of the optimizer's own class, on copies of parameters and state. What is hooked onto the optimizer
    is not called.
    """
    moved = {name: parameters[name].detach().clone() for name in gradients}
    for name, gradient in gradients.items():
        # Laid out in memory as the parameter, which fused kernels rely on.
        moved[name].grad = torch.empty_like(moved[name]).copy_(gradient)
    ahead = copy.copy(optimizer)  # as it is pickled: state and groups, no hooks
    state = parameter_state(optimizer, {name: parameters[name] for name in gradients})
    ahead.state = defaultdict(dict, {moved[name]: each for name, each in state.items()})
    copies = {id(parameters[name]): each for name, each in moved.items()}
    ahead.param_groups = [
        {**group, "params": [copies[id(each)] for each in group["params"] if id(each) in copies]}
        for group in optimizer.param_groups
    ]
    ahead.step()
    return moved
