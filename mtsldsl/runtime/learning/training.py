"""A step of training, from the batch to the gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from itertools import islice
from typing import TypeVar

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec, Task
from mtsldsl.runtime.learning.balance import Balance, GradientBalance
from mtsldsl.runtime.learning.finite import TWIN
from mtsldsl.runtime.learning.forward_pass import Drawn, ForwardPass
from mtsldsl.runtime.learning.gradient_norms import GradientNorms, measured_every
from mtsldsl.runtime.learning.guard import Guard, asked_every
from mtsldsl.runtime.learning.known_gradients import losses_with_gradients
from mtsldsl.runtime.learning.loss_scale import NarrowOverflowError
from mtsldsl.runtime.learning.parts import Batch, Parts
from mtsldsl.runtime.learning.probe import Probe, Weights, losses_that_count, shared_weights
from mtsldsl.runtime.learning.random_state import random_state
from mtsldsl.runtime.learning.step import Penalty, Step
from mtsldsl.runtime.learning.task_sets import LEAST, TaskSets
from mtsldsl.runtime.learning.trained import Trained
from mtsldsl.runtime.learning.warmup import warmed_up
from mtsldsl.runtime.learning.watching import Watching
from mtsldsl.runtime.learning.weighed import WeighedSteps
from mtsldsl.runtime.network.inputs import Inputs
from mtsldsl.runtime.network.rows_at_once import Outputs
from mtsldsl.runtime.objectives import BatchLosses, Loss
from mtsldsl.sharing.component import helping_task

AnyBatch = TypeVar("AnyBatch", Batch, tuple[tuple[str, ...], Batch])
"""A batch, or one behind the tasks that read it."""


@attrs.define
class Training(Trained):
    """What is trained, with all that belongs to the step in hand."""

    guard: Guard | None = None
    _watching: Watching = attrs.field(factory=Watching)
    least: float = LEAST
    _began: tuple[Inputs, Tensor] | None = None
    """The inputs of a step that is observed, and the random state before it."""
    _found: TaskSets | None = None
    _shared: tuple[nn.Module, Mapping[str, Weights]] | None = None
    weighed: WeighedSteps = attrs.field(factory=WeighedSteps)
    norms: GradientNorms = attrs.field(factory=GradientNorms)
    _tasks: tuple[str, ...] = ()
    """Those of the set in hand."""
    _instead: Tensor | None = None
    """The loss of the step in hand of the networks that the learner trains in the place of this one."""
    _of_twins: Tensor | None = None
    """The loss of the step in hand of the networks that are twins of this one."""
    _parts: Parts | None = None
    """The batches of the step in hand, where a step has several, or several processes combine the tasks' gradients."""
    _forward_pass: ForwardPass = attrs.field(factory=ForwardPass)

    def sets(self, served: tuple[str, ...] | None = None) -> Iterator[tuple[str, ...]]:
        """The sets of tasks that a step computes one after the other: those that share no layer, or all at once where
        the learner watches outputs or copies choose what they read, the balance is `joint`, or a set computes less than
        it takes to call it, or the batch has been `served` by one of several sources, for the tasks that read it. At
        the end the step is counted.

        Two sets have no parameter in common, so the gradients are the same; only one set's activations are in memory.
        """
        parts = self._parts
        if parts is None and self.ranks.several and isinstance(self.balance, GradientBalance):
            parts = self._parts = Parts([(served, {})])
        for tasks in self._computed(served):
            if self.done.issuperset(tasks):
                self.zero_grad(tasks)
            else:
                yield tasks
        if parts is not None:
            parts.place += 1
        if self.step_is_whole:
            self._end_step()

    def _computed(self, served: tuple[str, ...] | None) -> Iterable[tuple[str, ...]]:
        """The same, those of tasks that have stopped as well."""
        if served is not None:
            return (served,)
        together = self._watching.under_way or self.learner.choosing or self.learner.instead or self.balance.joint
        if together or self._apart().work < self.least:
            return (tuple(task.name for task in self.spec.tasks),)
        return tuple(self._apart().parameters)

    def _learns(self, outputs: Mapping[str, Tensor]) -> list[Task]:
        """All that has a loss in this step."""
        done = self.done
        return [task for task in self.trained if task.name in outputs and task.name not in done]

    def _end_step(self) -> None:
        """Put together what processes and batches have to do with the step, and count it."""
        self.ranks.add_gradients(self.parameters())
        if self._parts is not None:
            with self._told():
                self._parts.settle(self.balance, list(self.parameters()), self.ranks)
            if len(self._parts.batches) == 1:
                self._parts = None
        if self.scale is not None:
            self.scale.end_step((*self.parameters(), *self.balance.parameters()))
        self.batches += 1
        self.steps += 1

    def in_steps(self, batches: Iterable[AnyBatch], accumulate: int) -> Iterator[AnyBatch]:
        """The batches, of which so many at a time make a step; the last step of an epoch may have fewer."""
        waiting = iter(batches)
        while step := list(islice(waiting, accumulate)):
            self._parts = Parts([each if isinstance(each, tuple) else (None, each) for each in step])
            yield from step
        self._parts = None

    @property
    def step_is_whole(self) -> bool:
        """Whether all batches of the step in hand have been seen, so that it can be made."""
        return self._parts is None or self._parts.whole

    def forward(self, inputs: Inputs, tasks: tuple[str, ...]) -> Mapping[str, Tensor]:
        """The outputs of one of the `sets`: those of the network's own forward pass, or where the learner has gates
        what the network's modules give with these. Several inputs come in the order of the spec. None where the learner
        trains networks of its own instead."""
        self._tasks = tasks
        if self.teachers is not None:
            self.teachers.see(inputs, self._reading(tasks), self.ranks)
        if self.learner.instead:
            return {}
        inputs = tuple(map(self.ranks.part, inputs)) if isinstance(inputs, tuple) else self.ranks.part(inputs)
        drawn = Drawn.of(self.learner, tasks, self.position)
        run = partial(self._forward_pass.outputs, self.model, self.spec, self._usable, inputs, tasks, drawn)
        if self.guard is not None:
            self.guard.begin(inputs, partial(run, each_module=True), drawn.gates)
        self._began = (inputs, random_state(self.device)) if self._observers() else None
        return run(each_module=self._watching.under_way, learning=self._at_once(tasks))

    def _at_once(self, tasks: tuple[str, ...]) -> frozenset[str]:
        """Of these tasks, with what helps them, those that learn, where copies of layers that they use may be computed
        at once: none where the gradient of each task is asked for by itself. Measured on CPUs, in fp32, alone."""
        apart = isinstance(self.balance, GradientBalance) or self._parts is not None or self._began is not None
        if apart or self.device.type != "cpu" or self.spec.train.precision != "fp32":
            return frozenset()
        return frozenset(self.spec.trained_with(tasks)) - self.done

    def _reading(self, tasks: tuple[str, ...]) -> set[str]:
        """Those that learn of the tasks that read the same batches as these."""
        every = next(stream.tasks for stream in self.spec.streams if tasks[0] in stream.tasks)
        return set(every) - self.done

    def _observers(self) -> list[Penalty | Balance]:
        """Who looks ahead in this step, which is in its last batch."""
        if self._parts is not None and not self._parts.last:
            return []
        return [each for each in (self.learner, self.balance) if each.observing(self.position)]

    def forget_routes(self) -> None:
        """What runs with gates is to be found anew: the network is another one."""
        self._forward_pass.forget()

    def _usable(self) -> Spec:
        """The spec with the sharing by which a step is computed."""
        return attrs.evolve(self.spec, sharing=self.learner.usable(self.spec.sharing))

    def zero_grad(self, tasks: tuple[str, ...]) -> None:
        """Forget the gradients of what one of the `sets` depends on, and with the first one all that are no weights of
        the network. Where a step has several batches, it begins with the first."""
        if self._parts is not None and not self._parts.first:
            return
        if len(tasks) == len(self.spec.tasks) or len(self.spec.sharing.sources) > 1:
            for group in self.optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None  # as `zero_grad` has it, which takes five times as long to tell a profiler
            return
        apart = self._apart().parameters
        others = (self.balance, self.learner) if tasks == next(iter(apart)) else ()
        for parameter in (*apart[tasks], *(each for other in others for each in other.parameters())):
            parameter.grad = None

    def _apart(self) -> TaskSets:
        if self._found is None or self._found.model is not self.model:
            self._found = TaskSets.of(self.model, self._usable())
        return self._found

    def losses(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> BatchLosses:
        """The loss of every task that has an output and learns, and of every helper, each a scalar; those of the
        network that leads, where the learner trains its own instead."""
        if self.learner.instead:
            found, self._instead = self.learner.learn(self._step({}, batch, {}))
            return found
        if self._parts is not None:
            for task in self._learns(outputs):
                self._parts.count(task, self.loss_functions[task.name], outputs[task.name])
                soft = None if self.teachers is None else self.teachers.function_of(task)
                if soft is not None:
                    self._parts.count(task, soft, outputs[task.name], taught=True)
        return self._losses(outputs, batch)

    def loss_of(self, task: str, *, taught: bool) -> Loss:
        """The loss function of a task, or that against its teacher's answers."""
        if not taught:
            return self.loss_functions[task]
        assert self.teachers is not None
        return self.teachers.functions[helping_task(task)]

    def _losses(
        self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, taught_by_run: bool = True
    ) -> BatchLosses:
        """The same of other outputs for the batch in hand."""
        # Where the gradient of each is asked for alone, each has a graph of its own.
        together = not isinstance(self.balance, GradientBalance)
        return self._whole(self._learns(outputs), outputs, batch, together=together, taught_by_run=taught_by_run)

    def _whole(
        self,
        tasks: list[Task],
        outputs: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
        *,
        together: bool = False,
        taught_by_run: bool = True,
    ) -> BatchLosses:
        """The losses of these tasks of the whole batch, with gradients that fit the precision."""
        own = self.ranks.part_of(batch)
        joined = outputs.joined if isinstance(outputs, Outputs) else {}
        losses = BatchLosses.of(tasks, self.loss_functions, outputs, own, together=together, joined=joined)
        if self.teachers is not None and (taught_by_run or not self.teachers.of_run):
            losses = self.teachers.add_to(losses, tasks, outputs, together=together)
        whole = self.ranks.whole(losses)
        return whole if self.scale is None else self.scale.losses(whole)

    def watched(self) -> AbstractContextManager[None]:
        """While open, each forward pass keeps the outputs of the copies of layers that the learner watches."""
        return self._watching.over(self.model, self.learner.watching(self.spec, self.position))

    def penalty(self, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor], losses: BatchLosses) -> Tensor | None:
        """The loss of the learner itself, such as one that draws copies of a layer together; where a step has several
        batches, the part of their mean."""
        if self.learner.instead:
            return self._enlarged(self._instead)
        step = self._step(outputs, batch, losses.values)
        if self._began is not None:
            with warmed_up(self.optimizer, self.steps + 1, self.spec.train.warmup):
                probe = self._probe(*self._began, batch, outputs, losses)
                with suppress(NarrowOverflowError):  # of a step that is not made, nothing is to be learned
                    for observer in self._observers():
                        observer.observe(probe)
            self._began = None
        self._measure_norms(batch, outputs)
        if twins := self.learner.twins():
            alone = self._step({}, batch, {}, taught_by_run=False)
            self._of_twins = self._enlarged(losses_with_gradients([each.taught(alone) for each in twins]))
        return self._enlarged(self.learner.penalty(step))

    def _step(
        self,
        outputs: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        *,
        taught_by_run: bool = True,
    ) -> Step:
        """The step in hand, or one of its batches, as the learner sees it; for networks that learn nothing of what the
        run's own was without the answers of that."""

        def measured(others: Mapping[str, Tensor]) -> BatchLosses:
            return self._losses(others, batch, taught_by_run=taught_by_run)

        watched, own = self._watching.taken(), self.ranks.part_of(batch)
        return Step(self.position, own, outputs, losses, watched, self.progress, measured, self._tasks)

    def _enlarged(self, penalty: Tensor | None) -> Tensor | None:
        """A loss of the learner with a gradient that fits the precision, and its part of the batches of the step."""
        if penalty is not None and self.scale is not None:
            penalty = self.scale.penalty(penalty)
        return penalty if penalty is None or self._parts is None else penalty / len(self._parts.batches)

    def _measure_norms(self, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Measure the tasks' gradients on shared weights, in the epochs that have their turn, and in the first with
        another sharing."""
        decided = max((decision.epoch for decision in self.spec.history), default=0) - self.earlier
        if self.epoch % measured_every(self.epoch_steps, len(self.trained)) and self.epoch != decided:
            return
        shared = self._weights_shared()
        waiting = self.norms.waiting([task.name for task in self._learns(outputs)], shared)
        if waiting:
            tasks = [task for task in self.trained if task.name in waiting]
            self.norms.measure(waiting, self._whole(tasks, outputs, batch), shared, self.ranks)

    def _probe(
        self, inputs: Inputs, random: Tensor, batch: Batch, outputs: Mapping[str, Tensor], losses: BatchLosses
    ) -> Probe:
        """A look ahead from the step in hand."""
        tasks = tuple(task.name for task in self.spec.tasks if task.name in outputs)
        model, spec, learner, position = self.model, self.spec, self.learner, self.position

        def run() -> Mapping[str, Tensor]:
            drawn = Drawn.of(learner, tasks, position)
            return self._forward_pass.outputs(model, spec, self._usable, inputs, tasks, drawn)

        def losses_of(others: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            return self._losses(others, batch).values

        rate, shared = self.optimizer.param_groups[0]["lr"], self._weights_shared()
        steps = (losses_that_count(losses), losses_of, shared, rate, random, run, position)
        return Probe(spec, model, self.optimizer, self.device, *steps, self.ranks)

    def _weights_shared(self) -> Mapping[str, Weights]:
        if self._shared is None or self._shared[0] is not self.model:
            self._shared = self.model, shared_weights(self.spec, self.model)
        return self._shared[1]

    def require_finite(self, losses: BatchLosses, penalty: Tensor | None) -> None:
        """Look at the losses of a step, or of one of its batches, before their gradients are taken. Raises MtlError
        MTL803 where `guarded` finds some that are not finite."""
        if self.learner.instead and penalty is not None and not penalty.isfinite():
            raise self._anomaly(losses)
        if self.guard is not None:
            extra = {self.spec.penalty_name: penalty, TWIN: self._of_twins}
            known = {name: loss for name, loss in extra.items() if loss is not None}
            self.guard.check({**losses.values, **known})

    def _anomaly(self, losses: BatchLosses) -> MtlError:
        """What is wrong with a step of networks that the learner trains, of which one has losses that are not
        finite."""
        wrong = [name for name, loss in losses.values.items() if not loss.isfinite()]
        what = f"in step {self.batches + 1} of epoch {self.epoch + 1} the loss of "
        what += ", ".join(wrong) if wrong else "one of the networks that `structure` trains"
        remedy = "lower the learning rate, or look at what the layers compute with `structure none`"
        span = None if self.spec.structure is None else self.spec.structure.span
        return MtlError.of("MTL803", f"{what} is not a finite number", remedy, span)

    def backward(self, losses: BatchLosses, penalty: Tensor | None) -> None:
        """The gradients of a step, or of one of its `sets`: the balance weighs the losses, or combines the tasks'
        gradients."""
        if penalty is not None and self.ranks.several and not self.learner.of_part:
            penalty = penalty / self.ranks.size
        if self.learner.instead:
            _differentiate(penalty)
        elif self._parts is not None:
            self._parts.backward(losses, penalty, self.balance, list(self.parameters()))
        else:
            with self._told():
                self.balance.backward(losses.values, penalty, self.parameters(), losses.labelled())
        _differentiate(self._of_twins)
        self._of_twins = None
        self.evaluated = None

    def _told(self) -> AbstractContextManager[None]:
        if self.balance.constant:
            return nullcontext()
        return self.weighed.asking(self.balance, self.batches, self.epoch_steps)

    @contextmanager
    def guarded(self, hint: str = "", every: int | None = None) -> Iterator[None]:
        """While open, a step whose losses are not finite is not made: it raises MtlError MTL803, which says where they
        come from, and ends its remedy with `hint`. `every` is after how many steps the device is asked, by default
        as the guard needs it there."""
        waits = self.scale is not None or isinstance(self.balance, GradientBalance)
        every = every or asked_every(self.optimizer, self.device, waits=waits)
        stop = torch.zeros((), device=self.device)
        self.guard = Guard(self.model, self.spec, self.epoch + 1, lambda: self.batches + 1, every, stop, hint)
        enlarging = nullcontext() if self.scale is None else self.scale.over(self.parameters())
        try:
            with self.guard.over(self.optimizer), enlarging:
                yield
        finally:
            self.guard = None


def _differentiate(loss: Tensor | None) -> None:
    """Add its gradients to `.grad`, where there is something that it was computed from."""
    if loss is not None and loss.requires_grad:
        torch.autograd.backward(loss)
