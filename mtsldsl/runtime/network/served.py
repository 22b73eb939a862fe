"""The network as it is used: for some of its tasks, with nothing that no output of theirs depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from types import MappingProxyType
from typing import TypeAlias

from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value, inputs_read, upstream, wired
from mtsldsl.runtime.network.execution import Route

InUnits: TypeAlias = Callable[[Tensor], Tensor]
"""Brings what a head gives into the unit of the data."""

AS_THEY_ARE: Mapping[str, InUnits] = MappingProxyType({})


class Served(nn.Module):
    """The copies of layers and heads of `model` that the outputs of `tasks` depend on, under the names that they have
    there.

    forward: the samples `(n, ...)` of the one data block that all these tasks read -> `{task: output}`. Its arguments
    are those of the `inputs` that they read, called as in the spec. Heads that help in training and copies of other
    tasks are left out. Outputs of tasks that are learned in another unit are brought into that of the data by `units`.
    """

    def __init__(
        self, model: nn.Module, spec: Spec, tasks: Sequence[str], units: Mapping[str, InUnits] = AS_THEY_ARE
    ) -> None:
        super().__init__()
        heads = {task: Value.of_head(task) for task in tasks}
        calls = upstream(wired(spec), heads.values())
        for copy in dict.fromkeys(copy for call in calls for copy in call.modules):
            if copy.layer not in self._modules:
                self.add_module(copy.layer, nn.ModuleDict())
            self.get_submodule(copy.layer).add_module(copy.key, model.get_submodule(copy.name))
        route = Route.of(model, calls, heads.values())
        self.inputs = inputs_read(spec, calls)

        signature = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in self.inputs])

        def forward(*samples: Tensor, **by_name: Tensor) -> dict[str, Tensor]:
            named = signature.bind(*samples, **by_name).arguments
            values = route.run({value: named[value.layer] for value in route.known})
            outputs = {task: values[head] for task, head in heads.items()}
            return {task: units[task](each) if task in units else each for task, each in outputs.items()}

        forward.__signature__ = signature  # type: ignore[attr-defined]  # what torch.export looks at
        self.forward = forward
