"""The losses of the tasks in a batch, and over a set that is cut into batches."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs
import torch
from torch import Tensor

from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Named
from mtsldsl.runtime.objectives.by_target import make_loss
from mtsldsl.runtime.objectives.losses import Loss, Sums, sum_dtype
from mtsldsl.runtime.objectives.token_answers import channels_first


def task_losses(tasks: Iterable[Task]) -> dict[str, Loss]:
    """The loss function of every task, one and the same for equal targets and losses."""
    made: list[tuple[Target, Named, Loss]] = []
    found = {}
    for task in tasks:
        loss = next((loss for target, named, loss in made if (target, named) == (task.target, task.loss)), None)
        if loss is None:
            loss = make_loss(task.target, task.loss)
            made.append((task.target, task.loss, loss))
        found[task.name] = loss
    return found


@attrs.frozen(eq=False)
class Joint:
    """The losses of tasks that were computed at once, and the sums that they are made from: tensors with an entry for
    each task, or those of the one task."""

    tasks: tuple[str, ...]
    function: Loss
    sums: Sums
    losses: Tensor

    @classmethod
    def of(
        cls,
        tasks: tuple[str, ...],
        function: Loss,
        outputs: Sequence[Tensor],
        targets: Sequence[Tensor],
        joined: Tensor | None = None,
    ) -> Joint:
        """Of the outputs and targets of the tasks in a batch, which are alike in shape and type; the outputs may be
        `joined` already, one below the other."""
        if len(tasks) == 1:
            sums = function.sums(outputs[0], targets[0])
        else:
            joined = torch.cat(tuple(outputs)) if joined is None else joined
            sums = function.sums(joined, torch.cat(tuple(targets)), len(tasks))
        return cls(tasks, function, sums, function.value(*sums))

    def values(self) -> Sequence[Tensor]:
        """The loss of each task, a scalar."""
        return (self.losses,) if len(self.tasks) == 1 else self.losses.unbind()

    def sums_of(self, task: str) -> Sums:
        """What the loss of one of the tasks is made from."""
        return self.sums if len(self.tasks) == 1 else tuple(part[self.tasks.index(task)] for part in self.sums)


@attrs.frozen(eq=False)
class BatchLosses:
    """A scalar loss per task, 0 where the batch has no label of the task, and what it was made from."""

    joint: Sequence[Joint]
    values: Mapping[str, Tensor]

    @classmethod
    def of(
        cls,
        tasks: Iterable[Task],
        functions: Mapping[str, Loss],
        outputs: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
        *,
        together: bool = False,
        joined: Mapping[tuple[str, ...], Tensor] = MappingProxyType({}),
    ) -> BatchLosses:
        """The losses of the tasks' outputs in a batch, a tensor per field. Outputs of some tasks may be `joined`
        already, one below the other.

        With `together` those of tasks with equal targets and losses are computed at once where a sample has a row of
        numbers and no image of them; then the graph of one holds the outputs of the others, with a gradient of 0.
        """
        sets: dict[Hashable, list[tuple[str, Tensor, Tensor]]] = {}
        order = []
        for task in tasks:
            name, function = task.name, functions[task.name]
            output, target = channels_first(task, outputs[name]), batch[task.field_name]
            at_once = together and function.together and output.dim() == 2
            key = (function, output.shape, output.dtype, target.shape, target.dtype) if at_once else name
            sets.setdefault(key, []).append((name, output, target))
            order.append(name)
        joint = []
        for found in sets.values():
            names, predictions, targets = zip(*found, strict=True)
            joint.append(Joint.of(names, functions[names[0]], predictions, targets, joined.get(names)))
        values = {name: value for each in joint for name, value in zip(each.tasks, each.values(), strict=True)}
        return cls(joint, {name: values[name] for name in order})

    def with_sums(self, sums: Sequence[Sums]) -> BatchLosses:
        """The losses that are made of other sums, for each of `joint`."""
        joint = [
            attrs.evolve(each, sums=found, losses=each.function.value(*found))
            for each, found in zip(self.joint, sums, strict=True)
        ]
        values = {name: value for each in joint for name, value in zip(each.tasks, each.values(), strict=True)}
        return BatchLosses(joint, {name: values[name] for name in self.values})

    def labelled(self) -> Mapping[str, Tensor]:
        """Whether the batch has anything for a task that counts: booleans on the device, which are not waited for, each
        computed when it is asked for."""
        return _Labelled({name: each for each in self.joint for name in each.tasks})


@attrs.frozen(eq=False)
class _Labelled(Mapping[str, Tensor]):
    _joint: Mapping[str, Joint]

    def __getitem__(self, task: str) -> Tensor:
        return self._joint[task].sums_of(task)[-1].sum() > 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._joint)

    def __len__(self) -> int:
        return len(self._joint)


@attrs.define
class LossTotals:
    """What the losses of a set are made from, batch by batch: kept on the device, so that no step waits for it."""

    _tasks: dict[str, None] = attrs.field(factory=dict)
    _joint: dict[tuple[str, ...], Joint] = attrs.field(factory=dict)
    """By the tasks that are computed at once."""

    @torch.no_grad()
    def add(self, losses: BatchLosses) -> None:
        """Add a batch."""
        self._tasks.update(dict.fromkeys(losses.values))
        totals: list[Tensor] = []
        parts: list[Tensor] = []
        for each in losses.joint:
            if each.tasks not in self._joint:
                sums = tuple(part.detach().to(sum_dtype(part.device), copy=True) for part in each.sums)
                self._joint[each.tasks] = attrs.evolve(each, sums=sums, losses=each.losses.detach())
            else:
                totals += self._joint[each.tasks].sums
                parts += each.sums
        if totals:
            torch._foreach_add_(totals, parts)

    def values(self) -> dict[str, float]:
        """The loss of every task over the set, NaN where it has no label. Waits for the device."""
        means = {}
        for name in self._tasks:
            function, sums = self._of(name)
            means[name] = float(function.value(*sums)) if bool(sums[-1].sum() > 0) else math.nan
        return means

    def counts(self) -> dict[str, int]:
        """How many entries counted for every task, by the rule of `valid_entries`. Waits for the device."""
        return {name: int(self._of(name)[1][-1].sum()) for name in self._tasks}

    def labelled(self, name: str) -> bool:
        """Whether anything counted for the task. Waits for the device."""
        return name in self._tasks and bool(self._of(name)[1][-1].sum() > 0)

    def _of(self, task: str) -> tuple[Loss, Sums]:
        found = [each for each in self._joint.values() if task in each.tasks]
        parts = zip(*(each.sums_of(task) for each in found), strict=True)
        return found[0].function, tuple(torch.stack(part).sum(0) for part in parts)
