"""From what copies of layers give to the losses of their tasks, with all else of the network as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.wiring import Call, Value, upstream, wired
from mtsldsl.runtime.network.execution import Route
from mtsldsl.runtime.network.inputs import as_values, inputs_in
from mtsldsl.runtime.network.places import title
from mtsldsl.runtime.objectives import BatchLosses, Loss, task_losses
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Copy


@attrs.frozen(eq=False)
class Beyond:
    """A copy of a layer, and the way from what it gives to the losses of its tasks."""

    view: View
    value: Value
    copy: Copy
    reads: tuple[Value, ...]
    """What the copy reads, in the order of its module's arguments."""
    beside: tuple[Value, ...]
    """What is read on the way that does not depend on the copy."""
    route: Route
    losses: Mapping[str, Loss]
    """Of the tasks whose heads depend on the copy."""

    @classmethod
    def of(cls, view: View, value: Value, calls: Sequence[Call], losses: Mapping[str, Loss]) -> Beyond:
        """The way from a value that one copy gives, in the network whose calls these are."""
        (call,) = (each for each in calls if each.value == value)
        (copy,) = call.copies
        heads = [Value.of_head(task) for task in sorted(value.tasks)]
        after, way = {value}, list[Call]()
        for each in upstream(calls, heads):
            if not after.isdisjoint(each.reads):
                after.add(each.value)
                way.append(each)
        beside = dict.fromkeys(read for each in way for read in each.reads if read not in after)
        reached = [head for head in heads if head in after]
        own = {task: losses[task] for head in reached for task in head.tasks}
        return cls(view, value, copy, call.reads, tuple(beside), Route.of(view.model, way, reached), own)

    @property
    def module(self) -> nn.Module:
        """The copy itself."""
        return self.view.model.get_submodule(self.copy.name)

    def read(self, part: Seen) -> tuple[Tensor, ...]:
        """What it is called with for a batch."""
        return tuple(part.known[value] for value in self.reads)

    def loss(self, output: Tensor, part: Seen) -> Tensor | None:
        """The sum of the losses of the tasks that have a label in the batch, each with its weight, where the copy gives
        `output`; None where none has."""
        found = self.route.run({**part.known, self.value: output})
        outputs = {task: value for head, value in found.items() for task in head.tasks}
        tasks = [self.view.spec.task(name) for name in outputs]
        losses = BatchLosses.of(tasks, self.losses, outputs, part.batch)
        labelled = losses.labelled()
        terms = [task.weight * losses.values[task.name] for task in tasks if bool(labelled[task.name])]
        return torch.stack(terms).sum() if terms else None

    def require_finite(self, tensors: Iterable[Tensor], what: str) -> None:
        """Raise MtlError MTL803 where a number of these is not finite."""
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            spec = self.view.spec
            raise MtlError.of(
                "MTL803",
                f"{what} at {title(spec, self.copy.name)} is not a finite number, so that no similarity can be told",
                "lower the learning rate, or look at the losses of the epochs before",
                spec.layer(self.copy.layer).span,
            )


@attrs.frozen(eq=False)
class Seen:
    """A batch, and what is known of it: all that the copies of `ways`, whose tasks it serves, read and pass by."""

    batch: Mapping[str, Tensor]
    known: Mapping[Value, Tensor]
    ways: Sequence[Beyond]


def seen(view: View, values: Iterable[Value], samples: int, *, second_half: bool = False) -> Iterator[list[Seen]]:
    """Up to so many training samples of each source, or the second half of these, in batches: at each turn one of every
    source that has any left.

    To be gone through in evaluation mode; what is known has no gradients.
    """
    calls, losses = wired(view.spec), task_losses(view.spec.tasks)
    ways = [Beyond.of(view, value, calls, losses) for value in values]
    of_source: dict[tuple[str, ...], tuple[list[Beyond], Route]] = {}
    for stream in view.spec.streams:
        own = [way for way in ways if way.value.tasks.issubset(stream.tasks)]
        wanted = [read for way in own for read in (*way.reads, *way.beside)]
        of_source[stream.tasks] = own, Route.of(view.model, upstream(calls, wanted), wanted)
    for turn in view.labelled(samples, second_half=second_half):
        found = []
        for tasks, batch in turn:
            own, route = of_source[tasks]
            with torch.no_grad():
                known = route.run(as_values(view.spec, inputs_in(batch, view.spec.data)))
            found.append(Seen(batch, known, own))
        yield found
