"""Where the next step of an optimizer would put some parameters, while neither these nor the optimizer change."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class NextStep:
    """The next step of an optimizer, as often as one likes, each time along other gradients: with its moments, and with
    the options of the group that each of the parameters is in.

    The step is that of the optimizer's own class, on copies of parameters and state. What is hooked onto the optimizer
    is not called.
    """

    def __init__(self, optimizer: Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
        self._parameters = parameters
        self._state = {name: optimizer.state.get(each, {}) for name, each in parameters.items()}
        self._copies = {name: torch.empty_like(each, requires_grad=False) for name, each in parameters.items()}
        copies = {id(each): self._copies[name] for name, each in parameters.items()}
        self._optimizer = copy.copy(optimizer)  # as it is pickled: state and groups, no hooks
        self._optimizer.param_groups = [
            {**group, "params": [copies[id(each)] for each in group["params"] if id(each) in copies]}
            for group in optimizer.param_groups
        ]

    @torch.no_grad()
    def along(self, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those parameters that have a gradient, by name, after the step along these gradients alone; the tensors are
        others after the next call. A parameter without a gradient stays where it is, as torch has it, whatever its
        momentum."""
        state = self._optimizer.state = defaultdict(dict)
        moved = {name: self._copies[name].copy_(self._parameters[name]) for name in gradients}
        for name, each in self._copies.items():
            each.grad = None
            if name in moved:
                # Laid out in memory as the parameter, which fused kernels rely on.
                each.grad = torch.empty_like(each).copy_(gradients[name])
                state[each] = {
                    key: value.clone() if isinstance(value, Tensor) else value
                    for key, value in self._state[name].items()
                }
        self._optimizer.step()
        return moved
