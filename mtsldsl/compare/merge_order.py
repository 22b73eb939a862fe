"""The three-way merge of an order: that of the tasks, which is the order of the network's outputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

from mtsldsl.compare.outline import Outline, Piece, outline
from mtsldsl.compare.threeway import Conflict, decided
from mtsldsl.diagnostics import Source
from mtsldsl.records import Record
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, apply_edits


@attrs.frozen(eq=False, repr=False)
class Order(Record):
    """Names in their merged order; `undecided` where both sides moved them, so that it is the order of one side."""

    names: tuple[str, ...]
    undecided: bool


def merged_order(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str], kept: Collection[str], take: str = "ours"
) -> Order:
    """The order of the names in `kept`; `take` is the side whose order counts where both changed it.

    A name that a side added comes after the one that it stands behind there; of what both added in one place, the run
    whose first name is the smaller comes first, so that it does not matter which side is which.
    """
    common = [name for name in ours if name in kept and name in theirs and (name in base or not base)]
    sides = [tuple(name for name in side if name in common) for side in (ours, theirs)]
    pick = decided(tuple(name for name in base if name in common) if base else None, *sides)
    spine = pick[0] if pick else sides[take == "theirs"]
    runs = [_runs([name for name in side if name in kept], common) for side in (ours, theirs)]
    found: dict[str, None] = {}
    for anchor in (None, *(spine or ())):
        if anchor is not None:
            found[anchor] = None
        for run in sorted(run[anchor] for run in runs if anchor in run):
            found |= dict.fromkeys(run)
    return Order(tuple(found), pick is None)


def _runs(names: Sequence[str], common: Sequence[str]) -> dict[str | None, list[str]]:
    """What stands after each common name, and before the first of them (None), up to the next."""
    found: dict[str | None, list[str]] = {}
    anchor = None
    for name in names:
        if name in common:
            anchor = name
        else:
            found.setdefault(anchor, []).append(name)
    return found


def task_order(base: Outline, ours: Outline, theirs: Outline, source: Source, take: str) -> Order:
    """The order of the task blocks of a merged text."""
    before, mine, other = ([piece.key for piece in _tasks(each)] for each in (base, ours, theirs))
    return merged_order(before, mine, other, {piece.key for piece in _tasks(outline(source))}, take)


def with_task_order(source: Source, order: Order) -> Source:
    """The text with its task blocks in this order, each in the place of another one, with the comments above it."""
    outlined = outline(source)
    pieces = {piece.key: piece for piece in _tasks(outlined)}
    edits = []
    for slot, key in zip(pieces.values(), order.names, strict=True):
        if slot.key != key:
            start, end = _lines(source.text, slot)
            first, last = _lines(source.text, pieces[key])
            edits.append(TextEdit(start, end, source.text[first:last]))
    return attrs.evolve(source, text=apply_edits(source.text, edits)) if edits else source


def order_conflict(order: Order) -> list[Conflict]:
    """The conflict where both sides moved tasks, each in its own way."""
    reason = "both sides put the tasks in another order, each in its own"
    return [Conflict("tasks", reason, order.names)] if order.undecided else []


def _tasks(outlined: Outline) -> list[Piece]:
    return [each for each in outlined.pieces if isinstance(each.node, tree.Section) and each.node.kind.text == "task"]


def _lines(text: str, piece: Piece) -> tuple[int, int]:
    """From the first comment above a piece to the end of what stands on its last line, the line ending left out."""
    first = piece.leading[0].span.start if piece.leading else piece.node.span.start
    end = piece.trailing.span.end if piece.trailing else piece.node.span.end
    return text.rfind("\n", 0, first) + 1, end
