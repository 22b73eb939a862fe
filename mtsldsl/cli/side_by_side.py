"""Two specs side by side as one HTML page that needs nothing else: both sharings drawn, and all that differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from mtsldsl.cli.output import shown
from mtsldsl.compare.spec_difference import SpecDifference
from mtsldsl.ir import Spec
from mtsldsl.ir.cost import Cost, operations
from mtsldsl.ir.wording import worded
from mtsldsl.pages.page import page as made_page
from mtsldsl.pages.saving import Saving, less
from mtsldsl.pages.sharing_drawing import draw, order_of_tasks
from mtsldsl.sharing import format_components

Facts: TypeAlias = Sequence[tuple[str, str]]
"""What is known of a run, each thing with its name."""


def page(before: Spec, after: Spec, difference: SpecDifference, runs: Sequence[Facts] = ((), ())) -> str:
    """The page. It has no scripts and loads nothing; equal specs give equal pages. `runs` are what is known of the run
    of either."""
    rows = aligned_layers(before, after, difference)
    last = order_of_tasks(after)
    columns = (*last, *(task for task in order_of_tasks(before) if task not in last))
    old_changes = {change.layer: change.kind for change in difference.sharing}
    new_changes = {change.renamed or change.layer: change.kind for change in difference.sharing}
    old_changes |= dict.fromkeys(difference.layers_removed, "removed")
    new_changes |= dict.fromkeys(difference.layers_added, "added")
    old_cost, new_cost = before.cost(), after.cost()
    return made_page(
        "mtsldsl.cli",
        "side_by_side.html",
        {"worded": worded},
        difference=difference,
        changes=" and ".join(
            f"{less(now, then)} {what}"
            for now, then, what in (
                (new_cost.parameters, old_cost.parameters, "parameters"),
                (new_cost.flops, old_cost.flops, "operations"),
            )
        ),
        sides=[
            _side(before, old_cost, [old for old, _ in rows], columns, old_changes, runs[0]),
            _side(after, new_cost, [new for _, new in rows], columns, new_changes, runs[1]),
        ],
        rows=[
            _row(
                ((before, old_cost, old), (after, new_cost, new)),
                new_changes.get(new or "") or old_changes.get(old or ""),
            )
            for old, new in rows
        ],
    )


def aligned_layers(before: Spec, after: Spec, difference: SpecDifference) -> list[tuple[str | None, str | None]]:
    """The layers of both in rows, from top to bottom: equal and renamed ones beside each other, None for a gap."""
    old, new = list(before.backbone.layers), list(after.backbone.layers)
    names = {**dict.fromkeys(difference.layers_removed, ""), **dict(difference.layers_renamed)}
    matcher = SequenceMatcher(None, [names.get(layer, layer) for layer in old], new, autojunk=False)
    rows: list[tuple[str | None, str | None]] = []
    for kind, first, last, other_first, other_last in matcher.get_opcodes():
        if kind == "equal":
            rows += zip(old[first:last], new[other_first:other_last], strict=True)
        else:
            rows += [(layer, None) for layer in old[first:last]]
            rows += [(None, layer) for layer in new[other_first:other_last]]
    return rows


def _side(
    spec: Spec,
    cost: Cost,
    rows: list[str | None],
    columns: tuple[str, ...],
    changes: dict[str, str],
    facts: Facts,
) -> dict[str, Any]:
    return {
        "name": shown(spec.source.name),
        "drawing": draw(spec, rows, columns, changes),
        "parameters": cost.parameters,
        "operations": operations(cost.flops),
        "saving": Saving.of(spec).words(),
        "facts": facts,
    }


def _row(sides: Iterable[tuple[Spec, Cost, str | None]], change: str | None) -> dict[str, Any]:
    """One row of the table of layers."""
    cells: list[dict[str, Any]] = []
    for spec, cost, layer in sides:
        if layer is None:
            cells.append({"layer": "", "sharing": "", "parameters": None})
        else:
            text = format_components(spec.sharing, layer)
            cells.append({"layer": layer, "sharing": text, "parameters": cost.layers[layer].parameters})
    return {"cells": cells, "change": change or ""}
