"""The forward pass of a step: that of the network itself, or with what a learner draws for the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value, upstream, wired
from mtsldsl.runtime.learning.step import Gates, Penalty, Position
from mtsldsl.runtime.network.choosing import Choices, run_choosing
from mtsldsl.runtime.network.execution import Route
from mtsldsl.runtime.network.inputs import Inputs, as_values, each_of


@attrs.frozen(eq=False)
class Drawn:
    """What a learner draws for a step, the same whenever it is asked: gates, or what copies choose to read."""

    gates: Gates | None
    choices: Choices | None

    @classmethod
    def of(cls, learner: Penalty, tasks: tuple[str, ...], position: Position) -> Drawn:
        """For these tasks."""
        return cls(learner.gates(tasks, position), learner.choices(position) if learner.choosing else None)


@attrs.define
class ForwardPass:
    """Runs the network of a step, and keeps the ways that gated tasks go through it."""

    routes: dict[tuple[str, ...], Route] = attrs.field(factory=dict)

    def outputs(
        self,
        model: nn.Module,
        spec: Spec,
        usable: Callable[[], Spec],
        inputs: Inputs,
        tasks: tuple[str, ...],
        drawn: Drawn,
        *,
        each_module: bool = False,
    ) -> Mapping[str, Tensor]:
        """The outputs of tasks; `usable` gives the spec with all that gates may open."""
        if drawn.choices is not None:
            return run_choosing(model, spec, inputs, tasks, drawn.choices)
        if drawn.gates is not None:
            return self._routed(model, usable, as_values(spec, inputs), tasks, drawn.gates, each_module)
        whole = len(tasks) == len(spec.tasks)
        found: Mapping[str, Tensor] = model(*each_of(inputs)) if whole else model(*each_of(inputs), tasks)
        return found

    def _routed(
        self,
        model: nn.Module,
        usable: Callable[[], Spec],
        inputs: Mapping[Value, Tensor],
        tasks: tuple[str, ...],
        gates: Gates,
        each_module: bool,
    ) -> Mapping[str, Tensor]:
        """Every alternative is computed that a task may use, as those that are shut have a gradient too."""
        if tasks not in self.routes:
            heads = [Value.of_head(task) for task in tasks]
            self.routes[tasks] = Route.of(model, upstream(wired(usable(), apart=gates), heads), heads, gates)
        route = self.routes[tasks]
        found = route.run(inputs, gates, each_module=each_module)
        return dict(zip(tasks, found.values(), strict=True))
