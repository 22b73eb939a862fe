"""Bringing the channels of copies that are going to merge into one order, before their weights are averaged.

Copies that learned the same may have it in other channels, and the mean of weights is then of neither. For each copy
but the first of its group, and each set of channels that its operators make, inside it or as what it gives, channels
are assigned to those of the first so that the sum of their correlations over training samples is the largest; what
reads them is put into the same order, so that the network computes what it did: Li, Yosinski, Clune, Lipson, Hopcroft:
Convergent Learning: Do Different Neural Networks Learn the Same Representations?, ICLR 2016, arXiv 1511.07543;
Ainsworth, Hayase, Srinivasa: Git Re-Basin, ICLR 2023, arXiv 2209.04836, section 3.1.

A set stays as it is where its channels are told apart (`channels_of`), where what has it serves other tasks too, as
what is added to a layer that is shared already does, and where a part of it was brought into order before or is frozen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir.wiring import Value, copies
from mtsldsl.runtime.network.channels import Channels, Reordering, channels_of, reordering
from mtsldsl.runtime.network.reordering import one_after_the_other, reorder
from mtsldsl.runtime.structure.assignment import assignment
from mtsldsl.runtime.structure.similarities.readout import drawn_rows, places_of
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Copy
from mtsldsl.sharing.component import owner
from mtsldsl.sharing.partition import Component


@attrs.frozen
class Matched:
    """What was done to a copy of a layer: how many sets of its channels were brought into another's order and how many
    left, and the mean correlation of the channels of the first ones before and after."""

    layer: str
    tasks: Component
    sets: int
    fixed: int
    before: float
    after: float


def matched(
    view: View, groups: Iterable[tuple[str, Sequence[Component]]], samples: int
) -> tuple[Reordering, list[Matched]]:
    """The order that channels are to have where copies of a layer merge, layer by layer, each group those of some
    tasks; by up to so many training samples."""
    spec, model = view.spec, copy.deepcopy(view.model)
    view = attrs.evolve(view, model=model)
    tensors = model.state_dict()
    every = channels_of(spec, tensors)
    settled = {each for each in copies(spec) if owner(each.name) in spec.frozen}
    whole: Reordering = {}
    told = []
    for layer, members in groups:
        first, *others = (Copy(layer, tasks) for tasks in sorted(members, key=sorted))
        rows = _rows(view, [first, *others], every, samples)
        for other in others:
            here: Reordering = {}
            fixed, changes = 0, list[tuple[float, float, int]]()
            for channels in every:
                names = [name for made_by, name, _ in channels.modules if made_by == other]
                if not names:
                    continue
                if channels.fixed or not _belongs(channels, other) or not settled.isdisjoint(channels.copies):
                    fixed += 1
                    continue
                alike = torch.stack([_correlations(rows[_in(first, other, name)], rows[name]) for name in names]).mean(
                    0
                )
                order = torch.from_numpy(assignment(alike.numpy()))
                changes.append((float(alike.trace()), float(alike.gather(1, order[:, None]).sum()), channels.size))
                here = one_after_the_other(here, reordering(channels, order, tensors))
            reorder(model, here)
            whole = one_after_the_other(whole, here)
            before, after, count = (sum(each) for each in zip(*changes, strict=True)) if changes else (0.0, 0.0, 1)
            told.append(Matched(layer, other.component, len(changes), fixed, before / count, after / count))
        settled |= {first, *others}
    return whole, told


def _belongs(channels: Channels, to: Copy) -> bool:
    """Whether all that has them serves the tasks of that copy alone."""
    return all(each.component <= to.component for each in channels.copies)


def _in(first: Copy, other: Copy, name: str) -> str:
    """The module of one copy that is what that of that name is in another."""
    return f"{first.name}{name.removeprefix(other.name)}"


def _rows(view: View, members: Sequence[Copy], every: Sequence[Channels], samples: int) -> Mapping[str, Tensor]:
    """What the modules of the copies give, in places that are the same for all: (rows, channels) by their names."""
    values = view.spec.sharing.all_values()
    wanted = [Value(each.layer, values[each.layer].of(min(each.component))[0]) for each in members]
    tasks = [task for each in members for task in each.component]
    count = min(samples, len(view.inputs(tasks)))
    dims = {name: dim for channels in every for made_by, name, dim in channels.modules if made_by in members}
    found: dict[str, list[Tensor]] = {name: [] for name in dims}

    def keep(name: str, output: Tensor) -> None:
        rows = output.movedim(dims[name], -1).flatten(1, -2) if output.ndim > 2 else output[:, None]
        first = sum(map(len, found[name]))
        places = places_of(members[0].layer, rows.shape[1], count, view.spec.train.seed)
        found[name].append(drawn_rows(rows, places[first : first + len(rows)]))

    with _watched(view.model, dims, keep):
        view.features(wanted, samples)
    return {name: torch.cat(rows).flatten(0, 1).cpu().double() for name, rows in found.items()}


@contextmanager
def _watched(model: nn.Module, names: Iterable[str], keep: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Show what modules give, before anything is written over it."""
    handles = [model.get_submodule(name).register_forward_hook(partial(_shown, keep, name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _shown(keep: Callable[[str, Tensor], None], name: str, _: nn.Module, __: object, output: Tensor) -> None:
    keep(name, output)


def _correlations(one: Tensor, other: Tensor) -> Tensor:
    """Of every two channels of two sets (rows, channels); 0 for those that do not vary."""
    units = []
    for each in (one, other):
        centred = each - each.mean(0)
        lengths = centred.norm(dim=0)
        units.append(centred / torch.where(lengths > 0, lengths, 1.0))
    return units[0].T @ units[1]
