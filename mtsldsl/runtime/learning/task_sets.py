"""The sets of tasks that share no layer, which a step may compute one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from torch import nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies, together, wired

LEAST = 30_000_000
"""Floating-point operations of a set of tasks in a step, some milliseconds, below which it is not computed apart."""


@attrs.frozen(eq=False)
class TaskSets:
    """The sets of tasks of a network that share no layer, each with the parameters that its outputs depend on, and the
    operations that a step takes for each of them on average."""

    model: nn.Module
    parameters: Mapping[tuple[str, ...], Sequence[nn.Parameter]]
    work: float

    @classmethod
    def of(cls, model: nn.Module, spec: Spec) -> TaskSets:
        """The sets of the network of a spec."""
        found = {}
        for tasks in together(wired(spec), spec.sharing.tasks):
            trained = frozenset(spec.trained_with(tasks))
            read = [copy.name for copy in copies(spec) if copy.component <= trained]
            found[tasks] = [each for name in read for each in model.get_submodule(name).parameters()]
        # The gradients take twice a forward pass.
        return cls(model, found, 3 * spec.data.batch * spec.cost().flops / len(found))
