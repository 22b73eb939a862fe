"""The network as it is used: for some of its tasks, with nothing that no output of theirs depends on."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter, Signature

from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value, upstream, wired
from mtsldsl.runtime.network.execution import Route


class Served(nn.Module):
    """The copies of layers and heads of `model` that the outputs of `tasks` depend on, under the names that they have
    there.

    forward: the samples `(n, ...)` of the one data block that all these tasks read -> `{task: output}`. Its argument is
    called as the input in the spec. Heads that help in training and copies of other tasks are left out.
    """

    def __init__(self, model: nn.Module, spec: Spec, tasks: Sequence[str]) -> None:
        super().__init__()
        heads = {task: Value.of_head(task) for task in tasks}
        calls = upstream(wired(spec), heads.values())
        for copy in dict.fromkeys(copy for call in calls for copy in call.modules):
            layer, _, name = copy.name.partition(".")
            if layer not in self._modules:
                self.add_module(layer, nn.ModuleDict())
            self.get_submodule(layer).add_module(name, model.get_submodule(copy.name))
        route = Route.of(model, calls, heads.values())

        def forward(samples: Tensor) -> dict[str, Tensor]:
            values = route.run(dict.fromkeys(route.known, samples))
            return {task: values[head] for task, head in heads.items()}

        argument = Parameter(spec.data_of(tasks[0]).input, Parameter.POSITIONAL_OR_KEYWORD)
        forward.__signature__ = Signature([argument])  # type: ignore[attr-defined]  # what torch.export looks at
        self.forward = forward
