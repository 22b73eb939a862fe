"""The losses of the tasks in a batch, and over a set that is cut into batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import attrs
import torch
from torch import Tensor

from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Named
from mtsldsl.runtime.objectives.by_target import make_loss, make_soft_loss
from mtsldsl.runtime.objectives.losses import Loss, Sums, sum_dtype
from mtsldsl.runtime.objectives.token_answers import channels_first


def task_losses(tasks: Iterable[Task]) -> dict[str, Loss]:
    """The loss function of every task, one and the same for equal targets and losses."""
    return _one_for_equal(tasks, make_loss)


def taught_losses(tasks: Iterable[Task]) -> dict[str, Loss]:
    """The same of the losses against teachers' answers, of those tasks that have one."""
    found = _one_for_equal(tasks, make_soft_loss)
    return {task: loss for task, loss in found.items() if loss is not None}


MadeLoss = TypeVar("MadeLoss", bound=Loss | None)


def _one_for_equal(tasks: Iterable[Task], make: Callable[[Target, Named], MadeLoss]) -> dict[str, MadeLoss]:
    made: list[tuple[Target, Named, MadeLoss]] = []
    found = {}
    for task in tasks:
        known = [loss for target, named, loss in made if (target, named) == (task.target, task.loss)]
        loss = known[0] if known else make(task.target, task.loss)
        if not known:
            made.append((task.target, task.loss, loss))
        found[task.name] = loss
    return found


@attrs.frozen(eq=False)
class Joint:
    """The losses of tasks that were computed at once, and the sums that they are made from: tensors with an entry for
    each task, or those of the one task. They are of the labels, or, where they `teach`, of teachers' answers, and count
    so many times."""

    tasks: tuple[str, ...]
    function: Loss
    sums: Sums
    losses: Tensor
    teach: float | None = None

    @classmethod
    def of(
        cls,
        tasks: tuple[str, ...],
        function: Loss,
        outputs: Sequence[Tensor],
        targets: Sequence[Tensor],
        teach: float | None = None,
        joined: Tensor | None = None,
    ) -> Joint:
        """Of the outputs and targets of the tasks in a batch, which are alike in shape and type; the outputs may be
        `joined` already, one below the other."""
        if len(tasks) == 1:
            sums = function.sums(outputs[0], targets[0])
        else:
            joined = torch.cat(tuple(outputs)) if joined is None else joined
            sums = function.sums(joined, torch.cat(tuple(targets)), len(tasks))
        return cls(tasks, function, sums, function.value(*sums), teach)

    def counted(self) -> Iterator[tuple[str, Tensor]]:
        """Each task with what it adds to the task's loss, a scalar."""
        losses = self.losses if self.teach in (None, 1) else self.teach * self.losses
        return zip(self.tasks, (losses,) if len(self.tasks) == 1 else losses.unbind(), strict=True)

    def sums_of(self, task: str) -> Sums:
        """What the loss of one of the tasks is made from."""
        return self.sums if len(self.tasks) == 1 else tuple(part[self.tasks.index(task)] for part in self.sums)


@attrs.frozen(eq=False)
class BatchLosses:
    """A scalar loss per task, 0 where the batch has nothing for the task, and what it was made from: several of `joint`
    where teachers have a part in it."""

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
        tasks = list(tasks)
        pairs = {task.name: (channels_first(task, outputs[task.name]), batch[task.field_name]) for task in tasks}
        return cls.made(list(_joint(functions, pairs, together=together, joined=joined)), pairs)

    @classmethod
    def made(cls, joint: Sequence[Joint], order: Iterable[str]) -> BatchLosses:
        """The losses that add up to those of the tasks, which come in this order."""
        values: dict[str, Tensor] = {}
        for each in joint:
            for name, value in each.counted():
                values[name] = values[name] + value if name in values else value
        return cls(joint, {name: values[name] for name in order})

    def taught(
        self,
        functions: Mapping[str, Loss],
        pairs: Mapping[str, tuple[Tensor, Tensor]],
        teach: float,
        *,
        together: bool = False,
    ) -> BatchLosses:
        """The same, of some of whose tasks the loss has another part, `teach` times: that of the output against a
        teacher's answer, `pairs`, both with channels first."""
        return self.made([*self.joint, *_joint(functions, pairs, teach, together=together)], self.values)

    def with_sums(self, sums: Sequence[Sums]) -> BatchLosses:
        """The losses that are made of other sums, for each of `joint`."""
        joint = [
            attrs.evolve(each, sums=found, losses=each.function.value(*found))
            for each, found in zip(self.joint, sums, strict=True)
        ]
        return self.made(joint, self.values)

    def labelled(self) -> Mapping[str, Tensor]:
        """Whether the batch has anything for a task that counts, a label or a teacher's answer: booleans on the device,
        which are not waited for, each computed when it is asked for."""
        parts: dict[str, list[Joint]] = {name: [] for name in self.values}
        for each in self.joint:
            for name in each.tasks:
                parts[name].append(each)
        return _Labelled(parts)


def _joint(
    functions: Mapping[str, Loss],
    pairs: Mapping[str, tuple[Tensor, Tensor]],
    teach: float | None = None,
    *,
    together: bool = False,
    joined: Mapping[tuple[str, ...], Tensor] = MappingProxyType({}),
) -> Iterator[Joint]:
    """The losses of outputs against what they should be, by task, those that are computed at once together."""
    sets: dict[Hashable, list[str]] = {}
    for name, (output, target) in pairs.items():
        function = functions[name]
        at_once = together and function.together and output.dim() == 2
        key = (function, output.shape, output.dtype, target.shape, target.dtype) if at_once else name
        sets.setdefault(key, []).append(name)
    for names in sets.values():
        outputs, targets = zip(*(pairs[name] for name in names), strict=True)
        every = tuple(names)
        yield Joint.of(every, functions[names[0]], outputs, targets, teach, joined.get(every))


@attrs.frozen(eq=False)
class _Labelled(Mapping[str, Tensor]):
    _joint: Mapping[str, Sequence[Joint]]

    def __getitem__(self, task: str) -> Tensor:
        first, *others = (each.sums_of(task)[-1].sum() > 0 for each in self._joint[task])
        for other in others:
            first = first | other
        return first

    def __iter__(self) -> Iterator[str]:
        return iter(self._joint)

    def __len__(self) -> int:
        return len(self._joint)


@attrs.define
class LossTotals:
    """What the losses of a set are made from, batch by batch: kept on the device, so that no step waits for it. Those
    of the labels, and of teachers' answers (`taught`), are told apart."""

    _tasks: dict[str, None] = attrs.field(factory=dict)
    _joint: dict[tuple[float | None, tuple[str, ...]], Joint] = attrs.field(factory=dict)
    """By what they are of and by the tasks that are computed at once."""

    @torch.no_grad()
    def add(self, losses: BatchLosses) -> None:
        """Add a batch."""
        self._tasks.update(dict.fromkeys(losses.values))
        totals: list[Tensor] = []
        parts: list[Tensor] = []
        for each in losses.joint:
            key = (each.teach, each.tasks)
            if key not in self._joint:
                sums = tuple(part.detach().to(sum_dtype(part.device), copy=True) for part in each.sums)
                self._joint[key] = attrs.evolve(each, sums=sums, losses=each.losses.detach())
            else:
                totals += self._joint[key].sums
                parts += each.sums
        if totals:
            torch._foreach_add_(totals, parts)

    def parts(self) -> Iterator[tuple[float | None, tuple[str, ...], Sums]]:
        """What it is made of: how often it counts where it is of teachers' answers, the tasks, and their sums."""
        for (teach, tasks), each in self._joint.items():
            yield teach, tasks, each.sums

    def tasks(self) -> tuple[str, ...]:
        """Those that it has losses of, in their order."""
        return tuple(self._tasks)

    def go_on(self, tasks: Iterable[str], parts: Iterable[tuple[float | None, tuple[str, ...], Sums, Loss]]) -> None:
        """Have these tasks and parts, each with its function, before more are added."""
        self._tasks.update(dict.fromkeys(tasks))
        for teach, names, sums, function in parts:
            self._joint[teach, names] = Joint(names, function, sums, function.value(*sums), teach)

    def values(self) -> dict[str, float]:
        """The loss of every task over the set, of its labels, NaN where it has none. Waits for the device."""
        return self._values(self._tasks)

    def soft(self) -> dict[str, float]:
        """The loss against teachers' answers over the set, of the tasks that have one. Waits for the device."""
        taught = {task for (teach, tasks), _ in self._joint.items() if teach is not None for task in tasks}
        return self._values((task for task in self._tasks if task in taught), taught=True)

    def counts(self) -> dict[str, int]:
        """How many entries counted for every task, by the rule of `valid_entries`. Waits for the device."""
        return {name: int(self._of(name)[1][-1].sum()) for name in self._tasks}

    def labelled(self, name: str) -> bool:
        """Whether anything counted for the task. Waits for the device."""
        return name in self._tasks and bool(self._of(name)[1][-1].sum() > 0)

    def _values(self, tasks: Iterable[str], *, taught: bool = False) -> dict[str, float]:
        means = {}
        for name in tasks:
            function, sums = self._of(name, taught=taught)
            means[name] = float(function.value(*sums)) if bool(sums[-1].sum() > 0) else math.nan
        return means

    def _of(self, task: str, *, taught: bool = False) -> tuple[Loss, Sums]:
        found = [each for each in self._joint.values() if task in each.tasks and (each.teach is not None) == taught]
        parts = zip(*(each.sums_of(task) for each in found), strict=True)
        return found[0].function, tuple(torch.stack(part).sum(0) for part in parts)
