"""A step of several batches, whose gradients count as that of one large batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Task
from mtsldsl.runtime.learning.balance import Balance
from mtsldsl.runtime.learning.ranks import Ranks, buckets
from mtsldsl.runtime.objectives import BatchLosses, Loss
from mtsldsl.runtime.objectives.losses import Sums
from mtsldsl.runtime.objectives.token_answers import channels_first

Batch: TypeAlias = Mapping[str, Tensor]

Share: TypeAlias = tuple[str, int]
"""A task and which of the sums of its loss, counted from 0 over the entries of all of them; 0 is the loss itself where
that is linear, and the last what teachers add to one that is not."""

Served: TypeAlias = tuple[str, ...] | None
"""The tasks that read a batch; None where all do."""


@attrs.define(eq=False)
class Parts:
    """The batches of the step in hand.

    The loss of a task is linear in what it sums over the entries of a batch, but for their count. So with the count of
    all batches, which their labels tell, the losses of the batches add up to that of them all, whatever labels are
    missing in one or the other. A loss that is not linear, such as `rmse`, adds up its sums, and is made of them at the
    end: a gradient is kept of each sum.

    What a balance weighs by the losses or the gradients of a step is known at the end alone. Then each task's gradient
    is kept until there, one backward pass a task; only where every task counts its weight are they added at once.
    """

    batches: Sequence[tuple[Served, Batch]]
    place: int = 0
    """Of the batch in hand."""
    _counts: dict[tuple[str, bool], Tensor] = attrs.field(factory=dict)
    """By the task, and whether it is of teachers' answers."""
    _made: dict[tuple[str, float | None], tuple[Loss, Sums]] = attrs.field(factory=dict)
    """The loss of each task with its sums so far; that which teachers add by how many times it counts."""
    _rows: dict[nn.Parameter, dict[Share, Tensor]] = attrs.field(factory=dict)

    @property
    def first(self) -> bool:
        """Whether the batch in hand is the first."""
        return self.place == 0

    @property
    def last(self) -> bool:
        """Whether the batch in hand is the last."""
        return self.place == len(self.batches) - 1

    @property
    def whole(self) -> bool:
        """Whether all batches have been seen."""
        return self.place >= len(self.batches)

    @torch.no_grad()
    def count(self, task: Task, function: Loss, output: Tensor, *, taught: bool = False) -> None:
        """Count what the loss of a task averages over in all batches, by an output for one of them; with `taught` that
        of teachers' answers, which are there for all."""
        if (task.name, taught) in self._counts or len(self.batches) == 1:
            return
        targets = [batch[task.field_name] for served, batch in self.batches if served is None or task.name in served]
        shape = channels_first(task, output).shape[1:]
        zeros = [output.new_zeros(len(each), *shape) for each in targets]
        pairs = zip(zeros, zeros if taught else targets, strict=True)
        self._counts[task.name, taught] = torch.stack([function.sums(*pair)[-1] for pair in pairs]).sum(0)

    def backward(
        self, losses: BatchLosses, extra: Tensor | None, balance: Balance, learned: Sequence[nn.Parameter]
    ) -> None:
        """Take the gradients of a batch, or of one set of its tasks; those of `extra`, which is no task's, are added to
        `.grad`."""
        shares = self._shares(losses)
        if balance.constant and all(each.function.linear for each in losses.joint):
            balance.backward({task: share for (task, _), share in shares.items()}, extra, learned)
            return
        extra = extra if extra is not None and extra.requires_grad else None
        asked = [share for share, part in shares.items() if balance.weights[share[0]] and part.requires_grad]
        trained = [parameter for parameter in learned if parameter.requires_grad]
        for share in asked:
            more = share != asked[-1] or extra is not None
            found = torch.autograd.grad(shares[share], trained, retain_graph=more, allow_unused=True)
            for parameter, gradient in zip(trained, found, strict=True):
                if gradient is not None:
                    row = self._rows.setdefault(parameter, {})
                    row[share] = row[share] + gradient if share in row else gradient
        if extra is not None:
            torch.autograd.backward(extra)
        for each in losses.joint:
            for task in each.tasks:
                sums = tuple(part.detach() for part in each.sums_of(task))
                known = self._made.get((task, each.teach), (each.function, None))[1]
                added = sums if known is None else tuple(map(torch.add, known, sums))
                self._made[task, each.teach] = each.function, added

    def _shares(self, losses: BatchLosses) -> dict[Share, Tensor]:
        """What the batch in hand adds to the loss of each task; to what is summed, of a loss that is not linear."""
        if len(self.batches) == 1:
            return {(task, 0): value for task, value in losses.values.items()}
        found: dict[str, Sequence[Tensor]] = {}
        bent = {task for each in losses.joint if not each.function.linear for task in each.tasks}
        for each in losses.joint:
            if each.function.linear:
                counts = [self._counts[task, each.teach is not None] for task in each.tasks]
                count = counts[0] if len(counts) == 1 else torch.stack(counts)
                for task, value in attrs.evolve(each, losses=each.function.value(*each.sums[:-1], count)).counted():
                    known = found.get(task, ())
                    found[task] = (*known, value) if task in bent or not known else (known[0] + value,)
            else:
                found |= {task: _entries(each.sums_of(task)[:-1]) for task in each.tasks}
        return {(task, place): part for task in losses.values for place, part in enumerate(found[task])}

    def settle(self, balance: Balance, learned: Sequence[nn.Parameter], ranks: Ranks) -> None:
        """Combine the tasks' gradients, where they were kept, now that all batches have been seen: those of all
        processes added up."""
        if not self._made:
            return
        if ranks.several:
            self._add_up(ranks, [self._rows[each] for each in learned if each in self._rows])
        values: dict[str, Tensor] = {}
        labelled: dict[str, Tensor] = {}
        slopes: dict[Share, Tensor] = {}
        for (task, teach), (function, (*totals, count)) in self._made.items():
            chained = not function.linear and len(self.batches) > 1
            totals = [total.clone().requires_grad_(chained) for total in totals]
            value = function.value(*totals, count)
            if chained:
                found = torch.autograd.grad(value, totals)
                slopes |= {(task, place): slope for place, slope in enumerate(_entries(found))}
            value, counts = value.detach(), count.sum() > 0
            values[task] = value if teach is None else values[task] + teach * value
            labelled[task] = counts if teach is None else labelled[task] | counts
        rows = {parameter: _by_task(self._rows[parameter], slopes) for parameter in learned if parameter in self._rows}
        balance.backward_of(values, rows, learned, labelled)

    def _add_up(self, ranks: Ranks, rows: Sequence[dict[Share, Tensor]]) -> None:
        """Put what gradients come to over all processes in their place, some at a time: so there is no second of
        each."""
        places = iter([(row, share) for row in rows for share in row])
        for some in buckets([row[share] for row in rows for share in row]):
            for (row, share), total in zip(islice(places, len(some)), ranks.added(some), strict=True):
                row[share] = total


def _entries(sums: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Each number of some sums."""
    return tuple(entry for each in sums for entry in each.reshape(-1).unbind())


def _by_task(row: Mapping[Share, Tensor], slopes: Mapping[Share, Tensor]) -> dict[str, Tensor]:
    """The gradient of each task from those of what its loss is made of."""
    found: dict[str, Tensor] = {}
    for share, gradient in row.items():
        part = slopes[share] * gradient if share in slopes else gradient
        found[share[0]] = found[share[0]] + part if share[0] in found else part
    return found
