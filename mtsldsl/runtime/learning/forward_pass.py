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
from mtsldsl.runtime.network.rows_at_once import RowsAtOnce


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
    """Runs the network of a step, and keeps the ways that go through it beside its own."""

    routes: dict[tuple[str, ...], Route] = attrs.field(factory=dict)
    """Those of gated tasks."""
    at_once: dict[tuple[tuple[str, ...], frozenset[str], int], RowsAtOnce | None] = attrs.field(factory=dict)
    """Those of rows, by the tasks, those of them that learn, and the samples; None where it is the network's own."""

    def forget(self) -> None:
        """The network is another one."""
        self.routes.clear()
        self.at_once.clear()

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
        learning: frozenset[str] = frozenset(),
    ) -> Mapping[str, Tensor]:
        """The outputs of tasks; `usable` gives the spec with all that gates may open. Copies of layers of rows that
        tasks `learning` use may be computed at once, unless `each_module` is to be called."""
        if drawn.choices is not None:
            return run_choosing(model, spec, inputs, tasks, drawn.choices)
        if drawn.gates is not None:
            return self._routed(model, usable, as_values(spec, inputs), tasks, drawn.gates, each_module)
        if learning and not each_module:
            key = tasks, learning, len(each_of(inputs)[0])
            if key not in self.at_once:
                self.at_once[key] = RowsAtOnce.of(model, spec, *key)
            if (route := self.at_once[key]) is not None:
                return route(inputs)
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
