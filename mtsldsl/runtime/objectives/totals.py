"""The losses of the tasks in a batch, and over a set that is cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import attrs
import torch
from torch import Tensor

from mtsldsl.ir.model import Task
from mtsldsl.runtime.objectives.by_target import make_loss
from mtsldsl.runtime.objectives.losses import Loss, Sums, sum_dtype


def task_losses(tasks: Iterable[Task]) -> dict[str, Loss]:
    """The loss function of every task. Raises MtlError MTL305 where one does not fit its target."""
    return {task.name: make_loss(task.target, task.loss) for task in tasks}


@attrs.frozen(eq=False)
class BatchLosses:
    """A scalar loss per task, 0 where the batch has no label of the task, and the sums that it was made from."""

    functions: Mapping[str, Loss]
    sums: Mapping[str, Sums]
    values: Mapping[str, Tensor]

    @classmethod
    def of(
        cls,
        tasks: Iterable[Task],
        functions: Mapping[str, Loss],
        outputs: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
    ) -> BatchLosses:
        """The losses of the tasks' outputs in a batch, a tensor per field."""
        sums = {task.name: functions[task.name].sums(outputs[task.name], batch[str(task.field)]) for task in tasks}
        return cls(functions, sums, {name: functions[name].value(*parts) for name, parts in sums.items()})

    def labelled(self) -> Mapping[str, Tensor]:
        """Whether the batch has anything for a task that counts: booleans on the device, which are not waited for, each
        computed when it is asked for."""
        return _Labelled(self.sums)


@attrs.frozen(eq=False)
class _Labelled(Mapping[str, Tensor]):
    _sums: Mapping[str, Sums]

    def __getitem__(self, task: str) -> Tensor:
        return self._sums[task][-1].sum() > 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._sums)

    def __len__(self) -> int:
        return len(self._sums)


@attrs.define
class LossTotals:
    """What the losses of a set are made from, batch by batch: kept on the device, so that no step waits for it."""

    _functions: dict[str, Loss] = attrs.field(factory=dict)
    _sums: dict[str, Sums] = attrs.field(factory=dict)

    @torch.no_grad()
    def add(self, losses: BatchLosses) -> None:
        """Add a batch."""
        self._functions.update(losses.functions)
        for name, parts in losses.sums.items():
            if name not in self._sums:
                self._sums[name] = tuple(part.detach().to(sum_dtype(part.device), copy=True) for part in parts)
            else:
                for total, part in zip(self._sums[name], parts, strict=True):
                    total.add_(part)

    def values(self) -> dict[str, float]:
        """The loss of every task over the set, NaN where it has no label. Waits for the device."""
        return {
            name: float(self._functions[name].value(*parts)) if bool(parts[-1].sum() > 0) else math.nan
            for name, parts in self._sums.items()
        }

    def labelled(self, name: str) -> bool:
        """Whether anything counted for the task. Waits for the device."""
        return name in self._sums and bool(self._sums[name][-1].sum() > 0)
