"""A finished network that teaches: its answers for a batch are learned beside the labels, to the end of the run.

L_t = hard_t(student(x), y_t) + teach * soft_t(student(x), teacher(x)), with x the same augmented input. What `soft_t`
is for a target the table of targets says (`runtime/objectives/by_target.py`). It is part of the task's loss: a balance
sees the whole.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Spec, Task
from mtsldsl.runtime.learning.evaluation import forward_of
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.learning.saved import Saved
from mtsldsl.runtime.network.from_text import network_from_text
from mtsldsl.runtime.network.inputs import Inputs, each_of
from mtsldsl.runtime.objectives import BatchLosses, Loss, taught_losses
from mtsldsl.runtime.objectives.token_answers import channels_first
from mtsldsl.sharing.component import helping_task

Forward = Callable[[Inputs], Mapping[str, Tensor]]


@attrs.define(eq=False)
class Teachers:
    """The network of `spec`, frozen and in evaluation mode, whose answers teach the tasks of the same names.

    `named` are the inputs of who is taught, in their order; `functions` has the loss of each task that is taught."""

    spec: Spec
    model: nn.Module
    teach: float
    named: tuple[str, ...]
    functions: Mapping[str, Loss]
    of_run: bool = False
    """Whether it is a network of the run itself, which checkpoints keep."""
    _seen: tuple[Tensor, ...] = ()
    """The inputs that it has answered for."""
    _answers: Mapping[str, Tensor] = attrs.field(factory=dict)
    _forward: dict[tuple[str, ...], Forward] = attrs.field(factory=dict)
    _seconds: float = 0.0

    @classmethod
    def of(
        cls,
        spec: Spec,
        model: nn.Module,
        teach: float,
        student: Spec,
        tasks: Iterable[str] | None = None,
        *,
        of_run: bool = False,
    ) -> Teachers:
        """The network as it is, for these tasks of `student`, by default all; from now on it is changed no more."""
        known = {task.name for task in spec.tasks}.intersection(spec.sharing.tasks if tasks is None else tasks)
        functions = taught_losses(task for task in student.tasks if task.name in known)
        return cls(spec, model.eval().requires_grad_(False), teach, tuple(student.data.inputs), functions, of_run)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those that are taught."""
        return tuple(self.functions)

    def see(self, inputs: Inputs, tasks: Collection[str], ranks: Ranks) -> None:
        """Answer for a batch, where that has not been done already, what it teaches of these tasks: all that read the
        batch. Of several processes each answers for its part."""
        given = each_of(inputs)
        if len(given) == len(self._seen) and all(map(_is, given, self._seen)):
            return
        self._seen, answers = given, dict[str, Tensor]()
        named = dict(zip(self.named, map(ranks.part, given), strict=True))
        own = tuple(named[name] for name in self.spec.data.inputs)
        with self._timed(), torch.no_grad():
            for wanted, forward in self._ways(tasks):
                found = forward(own if len(own) > 1 else own[0])
                answers |= {task: channels_first(self.spec.task(task), found[task]) for task in wanted}
        self._answers = answers

    def add_to(
        self, losses: BatchLosses, tasks: Iterable[Task], outputs: Mapping[str, Tensor], *, together: bool = False
    ) -> BatchLosses:
        """The losses of these tasks of the batch, whose outputs are given, with what the answers for it add. A head
        that helps another task is taught as the task's own."""
        functions, pairs = {}, {}
        with self._timed():
            for task in tasks:
                name = helping_task(task.name)
                if name in self._answers:
                    functions[task.name] = self.functions[name]
                    pairs[task.name] = channels_first(task, outputs[task.name]), self._answers[name]
            return losses.taught(functions, pairs, self.teach, together=together)

    def function_of(self, task: Task) -> Loss | None:
        """The loss against its answers of a task, or of a head that helps; None where it is not taught."""
        return self.functions.get(helping_task(task.name))

    def whole(self, losses: Mapping[str, float], soft: Mapping[str, float]) -> dict[str, float]:
        """What counts of tasks with these losses of the labels, NaN without any, and against its answers."""
        found = dict(losses)
        for task, loss in soft.items():
            labels = found[task]
            found[task] = self.teach * loss + (0.0 if math.isnan(labels) else labels)
        return found

    def spent(self) -> float:
        """The processor time, in seconds, that it has taken since this was asked last: for its answers, and for the
        losses against them; that of their gradients is part of the task's."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def saved(self) -> Saved:
        """What a checkpoint keeps of a network of the run."""
        facts = {"spec": self.spec.source.text, "teach": self.teach, "tasks": list(self.tasks)}
        return Saved(self.model.state_dict(), facts)

    @classmethod
    def restored(cls, saved: Saved, student: Spec, device: torch.device) -> Teachers:
        """The same network again."""
        spec, model = network_from_text(attrs.evolve(student.source, text=saved.facts["spec"]), device)
        model.load_state_dict(dict(saved.tensors))
        return cls.of(spec, model, saved.facts["teach"], student, saved.facts["tasks"], of_run=True)

    def _ways(self, tasks: Collection[str]) -> Iterator[tuple[tuple[str, ...], Forward]]:
        """The tasks that are taught of these, source by source, each with what gives the answers."""
        for stream in self.spec.streams:
            wanted = tuple(task for task in stream.tasks if task in tasks and task in self.functions)
            if wanted and wanted not in self._forward:
                self._forward[wanted] = forward_of(self.model, self.spec, stream, wanted)
            if wanted:
                yield wanted, self._forward[wanted]

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.process_time()
        yield
        self._seconds += time.process_time() - began


def _is(one: object, other: object) -> bool:
    return one is other
