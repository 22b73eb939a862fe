"""Whether one copy of a layer serves inputs of several sizes: then its modules are the same for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mtsldsl.ir.body import Body, Parallel, bodies_of
from mtsldsl.language.operators import OPERATORS
from mtsldsl.sharing import Sharing
from mtsldsl.sharing.cover import Use
from mtsldsl.sharing.row import tasks_of

if TYPE_CHECKING:
    from mtsldsl.ir.model import Data, Layer


def unfit_layers(
    layers: Sequence[Layer], sharing: Sharing, of_task: Mapping[str, Data]
) -> Iterator[tuple[Layer, str, str]]:
    """The layers of which tasks with inputs of other sizes share a copy that cannot serve both, why not, and the
    remedy; of each copy the first two such tasks."""
    for layer in layers:
        if not layer.variants:
            continue
        row = sharing[layer.name]
        for component in row:
            alternative = component.alternative if isinstance(component, Use) else None
            tasks = [task for task in sharing.tasks if task in tasks_of(component)]
            first = of_task[tasks[0]]
            for task in tasks[1:]:
                wrong = _misfit(layer, alternative, first, of_task[task])
                if wrong is not None:
                    names = f"for `data {of_task[task].name}` and for `data {first.name}`"
                    cause = f"`{tasks[0]}` and `{task}` cannot share `{layer.name}`: {wrong} {names}"
                    remedy = f"part them at `{layer.name}`, or pool before it to one size: `adaptive_avg_pool2d(1)`"
                    yield layer, cause, remedy
                    break


def _misfit(layer: Layer, alternative: str | None, first: Data, other: Data) -> str | None:
    """What of a layer has other weights for the samples of another block, in words; None where it fits."""
    one, two = (bodies_of(layer.body_for(data.name))[alternative] for data in (first, other))
    for step, its_module, its_other in zip(one.steps, _modules(one), _modules(two), strict=True):
        if its_module != its_other:
            return f"`{step.operator}` would be `{its_other}` and `{its_module}`"
    return None


def _modules(body: Body) -> Iterator[str]:
    """What the modules of a body are made by, one for each step."""
    for step, shapes in body.steps_with_shapes():
        operator = OPERATORS[step.operator]
        yield operator.module(step.arguments, shapes) if operator.module else repr(sorted(step.arguments.items()))


def fits(first: Body | Parallel, other: Body | Parallel) -> bool:
    """Whether one class of modules serves both, the same layer for inputs of two sizes."""
    pairs = zip(bodies_of(first).values(), bodies_of(other).values(), strict=True)
    return all(list(_modules(one)) == list(_modules(two)) for one, two in pairs)
