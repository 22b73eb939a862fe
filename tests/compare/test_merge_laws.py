"""Laws of the merge of specs whose sides also rename, remove, add and reorder layers and tasks."""

from __future__ import annotations

import re

from hypothesis import assume, given

from mtsldsl.compare.merge import Merged, merge_specs
from mtsldsl.diagnostics import Source
from mtsldsl.ir import Spec
from tests.compare.merging import meaning, taken
from tests.editing.evolving import Evolving, evolving_sides
from tests.laws import law

Sides = tuple[Evolving, Evolving, Evolving]


def merge(base: Evolving, ours: Evolving, theirs: Evolving) -> Merged:
    return merge_specs(*(Source(name, side.text()) for name, side in zip("bot", (base, ours, theirs), strict=True)))


@law(15)
@given(evolving_sides())
def test_both_sides_of_all_conflicts_can_be_taken(sides: Sides) -> None:
    merged = merge(*sides)
    assert bool(merged.conflicts) == ("<<<<<<<" in merged.source.text)
    for side in (1, 2):
        taken(merged, side)


def marked_pieces(merged: Merged, sides: Sides) -> set[tuple[str, ...]]:
    """What is marked, by the first names of layers and tasks; without the lines of sharing that may as well be left
    out, because every task has the layer alone."""
    first = {each.name(name): name for each in sides for name in (*each.layers, *each.tasks)}
    specs = [taken(merged, side) for side in (1, 2)]
    alone = {
        ("sharing", first[layer])
        for spec in specs
        for layer in spec.backbone.layers
        if all(layer not in each.backbone or all(len(part) == 1 for part in each.sharing[layer]) for each in specs)
    }
    pieces = [piece.split(".") for conflict in merged.conflicts for piece in conflict.pieces]
    return {tuple(first.get(name, name) for name in piece) for piece in pieces} - alone


@law(15)
@given(evolving_sides())
def test_it_does_not_matter_which_side_is_which(sides: Sides) -> None:
    base, ours, theirs = sides
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert marked_pieces(one, sides) == marked_pieces(other, sides)
    assert meaning(taken(one, 1)) == meaning(taken(other, 2))
    assert meaning(taken(one, 2)) == meaning(taken(other, 1))


@law(15)
@given(evolving_sides())
def test_no_change_of_the_sharing_is_lost_in_silence(sides: Sides) -> None:
    merged = merge(*sides)
    specs = [taken(merged, side) for side in (1, 2)]
    said = " ".join([*map(str, merged.conflicts), *merged.notes])
    changes = [
        (side, other, layer)
        for side, other in ((sides[1], sides[2]), (sides[2], sides[1]))
        for layer in side.layers
        if changed(sides[0], side, layer)
    ]
    assume(changes)
    for side, other, layer in changes:
        told = any(re.search(rf"\b{name}\b", said) for name in (side.name(layer), other.name(layer)))
        assert told or any(shows(spec, side, other, layer) for spec in specs)


def changed(base: Evolving, side: Evolving, layer: str) -> bool:
    """Whether the side's sharing of the layer differs from that of the base, where a new layer or task is alone."""
    before = pairs(base.together.get(layer, frozenset()))
    return {pair for pair in pairs(side.together[layer]) ^ before if pair <= set(side.tasks)} != set()


def pairs(parts: frozenset[frozenset[str]]) -> set[frozenset[str]]:
    return {frozenset((one, other)) for part in parts for one in part for other in part if one != other}


def shows(spec: Spec, side: Evolving, other: Evolving, layer: str) -> bool:
    """Whether a merged spec has, between tasks that both sides have, what the side has or a merge or split more."""
    name = next((each for each in (side.name(layer), other.name(layer)) if each in spec.backbone), None)
    if name is None:
        return False
    origin = {each.name(task): task for each in (side, other) for task in each.tasks}
    now = pairs(frozenset(frozenset(origin[task] for task in part) for part in spec.sharing[name]))
    common = {task for task in side.tasks if task in {origin[task] for task in spec.sharing.tasks}}
    mine = {pair for pair in pairs(side.together[layer]) if pair <= common}
    now = {pair for pair in now if pair <= common}
    return now >= mine or now <= mine
