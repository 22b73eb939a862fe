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
        self._copies = {name: torch.empty_like(each, requires_grad=False) for name, each in parameters.items()}
        copies = {id(each): self._copies[name] for name, each in parameters.items()}
        self._optimizer = copy.copy(optimizer)  # as it is pickled: state and groups, no hooks
        self._optimizer.param_groups = [
            {**group, "params": [copies[id(each)] for each in group["params"] if id(each) in copies]}
            for group in optimizer.param_groups
        ]
        self._state = {}
        self._reset: list[tuple[Tensor, Tensor]] = []
        """Each copy, and what it is a copy of."""
        for name, parameter in parameters.items():
            state = optimizer.state.get(parameter, {})
            own = {key: torch.empty_like(each) if isinstance(each, Tensor) else each for key, each in state.items()}
            self._state[name] = own
            self._reset.append((self._copies[name], parameter.detach()))
            self._reset += [(own[key], each) for key, each in state.items() if isinstance(each, Tensor)]

    @torch.no_grad()
    def along(self, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those parameters that have a gradient, by name, after the step along these gradients alone; the tensors are
        others after the next call, and the gradients may be. A parameter without a gradient stays where it is, as torch
        has it, whatever its momentum."""
        if self._reset:
            torch._foreach_copy_([own for own, _ in self._reset], [of for _, of in self._reset])
        self._optimizer.state = defaultdict(dict)
        for name, each in self._copies.items():
            each.grad = None
            if name in gradients:
                each.grad = _laid_out_as(each, gradients[name])
                self._optimizer.state[each] = dict(self._state[name])
        self._optimizer.step()
        return {name: self._copies[name] for name in gradients}


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with its numbers in memory as the parameter has them, which fused kernels rely on."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
