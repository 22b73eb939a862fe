"""A network of rows, whose copies of a layer that are alike are computed at once, and all others by their modules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import partial
from itertools import accumulate, groupby, pairwise
from operator import attrgetter
from typing import TypeAlias

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Call, Value, inputs_of, upstream, wired
from mtsldsl.runtime.network.inputs import Inputs, each_of
from mtsldsl.runtime.network.side_by_side import OF_ROWS, RowsSideBySide, rows_of
from mtsldsl.sharing import HEADS

QUIET = frozenset({*OF_ROWS, nn.BatchNorm1d})
"""What draws no random numbers, so that it may be called in another order."""

Place: TypeAlias = tuple[int, int | None]
"""Where a value is: the number of the input or stage that makes it, and its own in what a stage makes at once."""


class Outputs(dict[str, Tensor]):
    """The outputs of tasks by their names, each (n, features). Those of some are `joined` too, one below the other,
    (tasks * n, features)."""

    def __init__(self, outputs: Mapping[str, Tensor]) -> None:
        super().__init__(outputs)
        self.joined: dict[tuple[str, ...], Tensor] = {}


@attrs.define
class _Held:
    """What was computed so far, by stage: rows (n, features), or of several values at once (values, features, n)."""

    made: list[Tensor]
    cuts: Mapping[int, list[int]]
    """How many values are read together, one after the other, of stages of which not all are."""
    _each: dict[int, Sequence[Tensor]] = attrs.field(factory=dict)
    _parts: dict[int, Sequence[Tensor]] = attrs.field(factory=dict)

    def whole(self, stage: int) -> Tensor:
        """All that a stage makes."""
        return self.made[stage]

    def part(self, stage: int, number: int) -> Tensor:
        """What lies between two cuts."""
        if stage not in self._parts:
            self._parts[stage] = torch.split(self.made[stage], self.cuts[stage])
        return self._parts[stage][number]

    def same(self, place: Place, count: int) -> Tensor:
        """One value, so many times."""
        return self.one(place).t().expand(count, -1, -1)

    def gathered(self, places: Sequence[Place]) -> Tensor:
        """Values from wherever they are."""
        return torch.stack([self.one(place).t() for place in places])

    def one(self, place: Place) -> Tensor:
        """The rows (n, features) of one value."""
        stage, number = place
        if number is None:
            return self.made[stage]
        if stage not in self._each:
            self._each[stage] = rows_of(self.made[stage]).unbind()
        return self._each[stage][number]

    def alone(self, module: nn.Module, places: Sequence[Place]) -> Tensor:
        """What a module makes of some values."""
        made: Tensor = module(*map(self.one, places))
        return made


Read: TypeAlias = Callable[[_Held], Tensor]

Stage: TypeAlias = tuple[Read, Sequence[Callable[[Tensor], Tensor]]]
"""What is read, and what is done with it one step after the other."""


@attrs.frozen(eq=False)
class RowsAtOnce:
    """The stages that compute the outputs of some tasks, and of what helps them in training."""

    inputs: Sequence[int]
    """Which of the inputs there are: for the tasks of every source the same."""
    stages: Sequence[Stage]
    cuts: Mapping[int, list[int]]
    alone: Mapping[str, int]
    """The stages of heads that are computed by their modules, by task."""
    joined: Mapping[int, Sequence[tuple[str, ...]]]
    """The stages of heads that are computed at once, with their tasks in order, those with equal losses together."""

    @classmethod
    def of(
        cls, model: nn.Module, spec: Spec, tasks: tuple[str, ...], learning: Collection[str], samples: int
    ) -> RowsAtOnce | None:
        """Of so many samples; None where the network is not of rows alone, has layers of alternatives or parts that
        may draw random numbers, or nothing is quicker at once.

        Copies that none of the `learning` tasks uses are computed by their modules, so that they have no gradient,
        rather than one of 0, after which an optimizer with momentum would move them.
        """
        calls = upstream(wired(spec), map(Value.of_head, spec.trained_with(tasks)))
        if any(len(shape) != 1 for shape in (*spec.data.inputs.values(), *(call.shape for call in calls))):
            return None
        if any(len(call.copies) != 1 or call.gate is not None for call in calls):
            return None
        parts = (part for call in calls for part in _module(model, call).children())
        if any(type(part) not in QUIET for part in parts):
            return None
        live = frozenset(call.value for call in upstream(calls, map(Value.of_head, learning)))
        groups = _groups(model, spec, calls, live, samples)
        if all(modules is None for _, modules in groups):
            return None
        inputs = inputs_of(spec)
        places: dict[Value, Place] = {value: (number, None) for number, value in enumerate(inputs)}
        for stage, (group, modules) in enumerate(groups, len(inputs)):
            places |= {call.value: (stage, None if modules is None else place) for place, call in enumerate(group)}
        reads = [[places[value] for call in group for value in call.reads] for group, _ in groups]
        sizes = {stage: len(group) for stage, (group, _) in enumerate(groups, len(inputs))}
        cuts = _cuts([each for each, (_, modules) in zip(reads, groups, strict=True) if modules is not None], sizes)
        stages: list[Stage] = []
        alone, joined = {}, {}
        for stage, (each, (group, modules)) in enumerate(zip(reads, groups, strict=True), len(inputs)):
            names = [task for call in group for task in call.value.tasks]
            if modules is None:
                stages.append((partial(_Held.alone, module=_module(model, group[0]), places=each), ()))
                if group[0].layer == HEADS:
                    alone[names[0]] = stage
            else:
                stages.append((_read(each, sizes, cuts), modules.steps))
                if group[0].layer == HEADS:
                    joined[stage] = [tuple(task) for _, task in groupby(names, key=_losses(spec).__getitem__)]
        return cls([list(spec.data.inputs).index(value.layer) for value in inputs], stages, cuts, alone, joined)

    def __call__(self, inputs: Inputs) -> Outputs:
        """The outputs for what the network is given of some samples."""
        known = each_of(inputs)
        held = _Held([known[number] for number in self.inputs], self.cuts)
        for read, steps in self.stages:
            x = read(held)
            for step in steps:
                x = step(x)
            held.made.append(x)
        outputs = Outputs({task: held.made[stage] for task, stage in self.alone.items()})
        for stage, parts in self.joined.items():
            for tasks, part in zip(parts, torch.split(rows_of(held.made[stage]), [*map(len, parts)]), strict=True):
                outputs.update(zip(tasks, part.unbind(), strict=True))
                outputs.joined[tasks] = part.flatten(0, 1)
        return outputs


def _losses(spec: Spec) -> dict[str, int]:
    """A number for the loss of each task, the same for those that are equal."""
    known = [(task.target, task.loss) for task in spec.trained]
    return {task.name: known.index(loss) for task, loss in zip(spec.trained, known, strict=True)}


def _groups(
    model: nn.Module, spec: Spec, calls: Sequence[Call], live: Collection[Value], samples: int
) -> list[tuple[Sequence[Call], RowsSideBySide | None]]:
    """The calls in the order in which they are made: those that are made at once, and each other alone.

    Those of a layer are in the order of tasks whose heads and losses are alike, so that what is read together mostly
    lies together.
    """

    def form(call: Call) -> Hashable:
        """Equal for calls that compute the same with other weights, of which the same learns."""
        if call.value not in live or len(call.reads) != 1:
            return call.value
        module = _module(model, call)
        parameters = tuple((each.shape, each.requires_grad) for each in module.parameters())
        return type(module), parameters, tuple(part.training for part in module.modules())

    layers = {layer: list(each) for layer, each in groupby(calls, key=attrgetter("layer"))}
    losses = _losses(spec)
    layers[HEADS].sort(key=lambda call: [losses[task] for task in call.value.tasks])
    order = [task for group in _by(form, layers[HEADS]) for call in group for task in call.value.tasks]
    found: list[tuple[Sequence[Call], RowsSideBySide | None]] = []
    made_at_once: set[Value] = set()
    for each in layers.values():
        ordered = sorted(each, key=lambda call: min(order.index(task) for task in call.value.tasks if task in order))
        for group in _by(form, ordered):
            several = len(group) > 1 or not made_at_once.isdisjoint(group[0].reads)  # one among several is left there
            modules = RowsSideBySide.of_rows([_module(model, call) for call in group]) if several else None
            if modules is not None and modules.pays(samples):
                found.append((group, modules))
                made_at_once.update(call.value for call in group)
            else:
                found.extend(([call], None) for call in group)
    return found


def _by(form: Callable[[Call], Hashable], calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
    """The calls of each form."""
    found = defaultdict[Hashable, list[Call]](list)
    for call in calls:
        found[form(call)].append(call)
    return list(found.values())


def _module(model: nn.Module, call: Call) -> nn.Module:
    return model.get_submodule(call.copies[0].name)


def _run(places: Sequence[Place]) -> bool:
    """Whether these are values that lie together in what a stage makes at once."""
    stage, first = places[0]
    return first is not None and all(place == (stage, first + more) for more, place in enumerate(places))


def _cuts(reads: Sequence[Sequence[Place]], sizes: Mapping[int, int]) -> dict[int, list[int]]:
    """Where values are read in parts that are all of what a stage makes at once, how many each part has."""
    parts = defaultdict[int, set[tuple[int, int]]](set)
    for each in filter(_run, reads):
        stage, first = each[0]
        assert first is not None
        if len(each) < sizes[stage]:
            parts[stage].add((first, first + len(each)))
    found: dict[int, list[int]] = {}
    for stage, ends in parts.items():
        ordered = sorted(ends)
        if ordered[0][0] == 0 and ordered[-1][1] == sizes[stage] and all(a[1] == b[0] for a, b in pairwise(ordered)):
            found[stage] = [end - begin for begin, end in ordered]
    return found


def _read(places: Sequence[Place], sizes: Mapping[int, int], cuts: Mapping[int, list[int]]) -> Read:
    """How values are read together."""
    stage, first = places[0]
    if _run(places) and len(places) == sizes[stage]:
        return partial(_Held.whole, stage=stage)
    if _run(places) and stage in cuts:
        return partial(_Held.part, stage=stage, number=list(accumulate(cuts[stage], initial=0)).index(first or 0))
    if len(set(places)) == 1:
        return partial(_Held.same, place=places[0], count=len(places))
    return partial(_Held.gathered, places=places)
