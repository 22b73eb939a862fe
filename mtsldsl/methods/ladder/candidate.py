"""A shape of sharing as a network that is trained: a trunk, and competing copies of all that follows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Call, Value, copies, upstream, wired
from mtsldsl.methods.ladder.language import Schedule
from mtsldsl.runtime.learning.balance import Balance
from mtsldsl.runtime.learning.step import Step
from mtsldsl.runtime.network.built import build_model, place
from mtsldsl.runtime.network.execution import Route
from mtsldsl.runtime.network.module_state import give_state
from mtsldsl.runtime.network.other_seed import begun_by, given_to
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.sharing import Copy, Sharing
from mtsldsl.sharing.component import HEADS, NETWORK
from mtsldsl.sharing.shape import Shape, Sizes, assigned

DECAY = 0.98
"""Of the running mean of the losses by which copies are chosen: it is of about the last fifty steps."""


@attrs.frozen(eq=False)
class Beginnings:
    """What candidates are made of: the spec of the run, and where its network began with other weights than its seed
    gives, that network."""

    spec: Spec
    sizes: Sizes
    given: nn.Module | None = None

    def united(self) -> Spec:
        """The spec of one network for all tasks."""
        return self.of(self.spec.sharing.united())

    def of(self, sharing: Sharing) -> Spec:
        """The spec with another sharing."""
        return attrs.evolve(self.spec, sharing=sharing)

    def model(self, number: int, sharing: Sharing, task: str) -> nn.Module:
        """One network for all tasks, with the initial weights of copy `number` of those that compete. Where the run
        begins with others than its seed gives, a layer has those of the copy that the task has in a `sharing`: the mean
        of what its tasks have."""
        purpose = ("copy", number) if number else ()
        return begun_by(self.united(), *purpose, given=self._given(sharing, task))

    def _given(self, sharing: Sharing, task: str) -> dict[str, Tensor]:
        """The weights that are not what the seed gives, by their names in one network for all tasks."""
        found: dict[str, Tensor] = {}
        if self.given is None:
            return found
        states = given_to(self.spec, self.given, self.of(sharing))
        for copy in copies(self.united()):
            own = copy if copy.layer == HEADS else Copy(copy.layer, sharing.component(copy.layer, task))
            found |= {f"{copy.name}.{name}": value for name, value in states.get(own, {}).items()}
        return found


class Candidate(nn.Module):
    """A network of a shape. `parts` are its copies, each with all that follows the trunk, and heads of the tasks that
    may choose it, the first with the trunk as well, by the names that they have in one network for all tasks.

    Where there are fewer copies than tasks, these compete: each begins with weights of its own, and has a head for each
    task. `loss` (tasks, copies) is a running mean of the losses of these. Once it is `chosen`, by task the number of
    its copy, what no task has chosen is there no more.
    """

    def __init__(self, shape: Shape, beginnings: Beginnings, schedule: Schedule) -> None:
        super().__init__()
        self.shape, self.schedule = shape, schedule
        self._spec, self._sizes = beginnings.spec, beginnings.sizes
        sizes = self._sizes
        self._trunk = frozenset(list(sizes.layers)[: shape.since])
        self.readers = sizes.readers(shape.since)
        self.chosen: dict[str, int] | None = None
        if shape.copies in (1, len(self.readers)):
            self.chosen = {task: min(at, shape.copies - 1) for at, task in enumerate(self.readers)}
        self._united = beginnings.united()
        self._calls = wired(self._united)
        self.parts = nn.ModuleList(
            nn.ModuleDict({NETWORK: _only(self._beginning(at, beginnings), self._modules_of(at))})
            for at in range(shape.copies)
        )
        self.loss: Tensor
        competing = (len(self.readers), shape.copies) if self.chosen is None else (0, 0)
        self.register_buffer("loss", torch.zeros(competing))
        self.register_buffer("seen", torch.zeros(competing, dtype=torch.bool))
        self.seen: Tensor
        self._routes: dict[tuple[str, ...], list[Route]] = {}
        self._shown: tuple[Sharing, nn.Module] | None = None

    def _beginning(self, at: int, beginnings: Beginnings) -> nn.Module:
        """What a copy begins with: those that compete with weights of their own, all others as in any network."""
        if self.chosen is None:
            return beginnings.model(at, self._united.sharing, self._sizes.tasks[0])
        task = self.readers[at] if self.readers else self._sizes.tasks[0]
        return beginnings.model(0, self.sharing(), task)

    def _tasks_of(self, at: int) -> list[str]:
        """The tasks that have a head at a copy; those that read none of what there are copies of have it at the
        first."""
        tasks, chosen = self._sizes.tasks, self.chosen
        if chosen is None:
            return [task for task in tasks if task in self.readers or at == 0]
        return [task for task in tasks if chosen.get(task, 0) == at]

    def _places(self) -> Sequence[int]:
        """The copies at which a task has its head."""
        return [at for at in range(self.shape.copies) if self._tasks_of(at)]

    def _heads(self, at: int, tasks: Collection[str]) -> list[Value]:
        """The outputs of those of the tasks that have a head at a copy."""
        return [Value.of_head(task) for task in self._tasks_of(at) if task in tasks]

    def _calls_of(self, at: int, tasks: Collection[str]) -> tuple[Call, ...]:
        """What is computed at a copy for tasks, without the trunk."""
        return tuple(call for call in upstream(self._calls, self._heads(at, tasks)) if call.layer not in self._trunk)

    def _trunk_calls(self, tasks: Collection[str]) -> tuple[tuple[Call, ...], list[Value]]:
        """What is computed in the trunk for tasks, and what of it is read outside."""
        calls = (call for at in self._places() for call in self._calls_of(at, tasks))
        kept = [
            read for read in dict.fromkeys(read for call in calls for read in call.reads) if read.layer in self._trunk
        ]
        return upstream(self._calls, kept), kept

    def _modules_of(self, at: int) -> list[Copy]:
        """The modules of a copy: the layers, whether or not a head reads them, and the heads; at the first
        one the trunk too."""
        copied = self.chosen is None or at in self.chosen.values()
        found = []
        for copy in copies(self._united):
            if copy.layer == HEADS:
                there = copy.key in self._tasks_of(at)
            else:
                there = at == 0 if copy.layer in self._trunk else copied
            found += [copy] if there else []
        return found

    def network(self, at: int) -> nn.Module:
        """The modules of a copy."""
        return self.parts.get_submodule(f"{at}.{NETWORK}")

    def outputs(self, known: Mapping[Value, Tensor], tasks: tuple[str, ...]) -> list[dict[str, Tensor]]:
        """The outputs of each copy, by task, for the inputs that these tasks read."""
        if tasks not in self._routes:
            trunk, kept = self._trunk_calls(tasks)
            own = (
                Route.of(self.network(at), self._calls_of(at, tasks), self._heads(at, tasks)) for at in self._places()
            )
            self._routes[tasks] = [Route.of(self.network(0), trunk, kept), *own]
        first, *rest = self._routes[tasks]
        values = {**known, **first.run(known)}
        return [{min(value.tasks): output for value, output in route.run(values).items()} for route in rest]

    def learn(
        self, outputs: Sequence[Mapping[str, Tensor]], step: Step, balance: Balance, *, told: bool
    ) -> tuple[Tensor, BatchLosses | None]:
        """The loss of a step; and of one that is `told` of the losses of the tasks, each at the copy that is the best
        for it so far."""
        if self.chosen is not None:
            losses = step.measured({task: output for each in outputs for task, output in each.items()})
            return balance.combine(losses.values, losses.labelled()), losses if told else None
        measured = [step.measured(each) for each in outputs]
        shares = self.shares(step.progress)
        terms = []
        for at, losses in enumerate(measured):
            labelled = losses.labelled()
            for task, loss in losses.values.items():
                term = balance.combine({task: loss}, labelled)
                terms.append(shares[self.readers.index(task), at] * term if task in self.readers else term)
        self._note(measured)
        best = self._best() if told else {}
        shown = {task: outputs[best.get(task, 0)][task].detach() for task in step.tasks} if told else {}
        return torch.stack(terms).sum(), step.measured(shown) if told else None

    @torch.no_grad()
    def _note(self, measured: Sequence[BatchLosses]) -> None:
        """Add the losses of a step to the running means, where the batch has a label."""
        for at, losses in enumerate(measured):
            labelled = losses.labelled()
            for row, task in enumerate(self.readers):
                if task in losses.values:
                    new, old = losses.values[task], self.loss[row, at]
                    mean = torch.where(self.seen[row, at], DECAY * old + (1 - DECAY) * new, new)
                    self.loss[row, at] = torch.where(labelled[task], mean, old)
                    self.seen[row, at] |= labelled[task]

    def shares(self, progress: float) -> Tensor:
        """By how much each task learns at each copy, (tasks, copies); `progress` is the part of the run that is
        done."""
        warm, hard = float(self.schedule.warm), float(self.schedule.hard)
        if progress < warm:
            return torch.full_like(self.loss, 1 / self.shape.copies)
        relative = self._relative()
        best = torch.tensor(assigned(relative.tolist()), device=relative.device)[:, None]
        if progress >= hard:
            return torch.zeros_like(relative).scatter(1, best, 1.0)
        done = (progress - warm) / (hard - warm)
        start, end = self.schedule.temperature
        least, first = relative.min(1, keepdim=True)
        # A task that goes where its loss is not the least does so as surely as if it were.
        relative = relative.scatter(1, first, relative.gather(1, best)).scatter(1, best, least)
        return (-relative / (start + (end - start) * done)).softmax(1)

    def _relative(self) -> Tensor:
        """The losses of each task by the mean of its own, (tasks, copies)."""
        return self.loss / self.loss.mean(1, keepdim=True).clamp_min(torch.finfo(self.loss.dtype).tiny)

    def _best(self) -> dict[str, int]:
        """For each task the copy at which its loss is the least; but no copy is left without any."""
        if self.chosen is not None:
            return self.chosen
        return dict(zip(self.readers, assigned(self._relative().tolist()), strict=True))

    def harden(self) -> None:
        """Let each task have the copy that is the best for it, and forget the rest."""
        if self.chosen is None:
            self.take(self._best())

    def take(self, chosen: Mapping[str, int]) -> None:
        """The same, with these copies."""
        self.chosen = dict(chosen)
        self.loss, self.seen = self.loss.new_zeros(0, 0), self.seen.new_zeros(0, 0)
        self._routes = {}
        for at in range(self.shape.copies):
            self.parts[at] = nn.ModuleDict({NETWORK: _only(self.network(at), self._modules_of(at))})

    def sharing(self) -> Sharing:
        """What it would be if every task had the copy now that is the best for it."""
        return self._sizes.sharing(self.shape, self._best(), self._spec.sharing)

    def origins(self, spec: Spec) -> Iterator[tuple[Copy, str]]:
        """For the copies of layers and the heads of a network of that `sharing` the modules that they come from."""
        best = self._best()
        first = min(best.values(), default=0)
        united = {copy.layer: copy for copy in copies(self._united) if copy.layer != HEADS}
        for copy in copies(spec):
            task = min(copy.component, key=lambda each: each not in best)
            at = 0 if copy.layer in self._trunk else best.get(task, 0 if copy.layer == HEADS else first)
            name = copy.name if copy.layer == HEADS else united[copy.layer].name
            yield copy, f"parts.{at}.{NETWORK}.{name}"

    def fill(self, spec: Spec, model: nn.Module) -> None:
        """Give a network of that `sharing` the weights."""
        for copy, name in self.origins(spec):
            give_state(model.get_submodule(copy.name), self.get_submodule(name).state_dict())

    def shown(self, spec: Spec) -> nn.Module:
        """As a network of that `sharing`."""
        if self._shown is None or self._shown[0] != spec.sharing:
            self._shown = spec.sharing, place(build_model(spec), spec, self.loss.device)
        self.fill(spec, self._shown[1])
        return self._shown[1]


def _only(model: nn.Module, parts: Sequence[Copy]) -> nn.Module:
    """Modules of a network, under the names and in the order that they have there."""
    containers: dict[str, dict[str, nn.Module]] = {}
    for copy in parts:
        containers.setdefault(copy.layer, {})[copy.key] = model.get_submodule(copy.name)
    found = nn.Module()
    for container, modules in containers.items():
        setattr(found, container, nn.ModuleDict(modules))
    return found
