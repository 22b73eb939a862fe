"""`mtsldsl show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtsldsl.cli.options import overrides

if TYPE_CHECKING:
    from rich.tree import Tree

    from mtsldsl.spec import Spec
    from mtsldsl.spec.cost import Amount


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@overrides
def command(spec: Path, overrides: dict[str, str]) -> None:
    """Draw which tasks share which layers of SPEC (a file or a run folder), with the cost of each."""
    from rich.console import Console

    from mtsldsl.cli.places import spec_at

    chosen = spec_at(spec, overrides)
    console = Console(highlight=False)
    console.print(_sharing_tree(chosen))
    console.print(_task_table(chosen))


def _sharing_tree(spec: Spec) -> Tree:
    """One branch per group of tasks, split where they part; every layer with its components' parameters and FLOPs."""
    from rich.tree import Tree

    cost = spec.cost()
    tree = Tree(
        f"[bold]{spec.source.name}[/bold]  {cost.parameters:,} parameters, {cost.flops / 1e6:,.1f} MFLOP an image",
        guide_style="dim",
    )
    order = {task.name: index for index, task in enumerate(spec.tasks)}
    _grow(tree, spec, list(spec.backbone.layers), frozenset(order), order)
    return tree


def _grow(tree: Tree, spec: Spec, layers: list[str], tasks: frozenset[str], order: dict[str, int]) -> None:
    cost = spec.cost()
    for position, layer in enumerate(layers):
        groups = [component for component in spec.sharing[layer] if component <= tasks]
        if len(groups) == 1 and groups[0] == tasks:
            each = cost.layers[layer].one
            tree.add(f"{layer}  [dim]{_amount(each)}[/dim]")
            continue
        for part in _parts(spec, layers[position:], tasks):
            names = " + ".join(sorted(part, key=order.__getitem__))
            _grow(tree.add(f"[bold cyan]{names}[/bold cyan]"), spec, layers[position:], part, order)
        return
    for task in sorted(tasks, key=order.__getitem__):
        head = cost.heads[task]
        tree.add(f"[green]{task}[/green] head  [dim]{_amount(head)}[/dim]")


def _amount(amount: Amount) -> str:
    """Parameters and FLOPs; of a module of the person's own they are those that the spec declares."""
    declared = ", as far as declared" if amount.declared else ""
    return f"{amount.parameters:,} parameters, {amount.flops / 1e6:,.1f} MFLOP{declared}"


def _parts(spec: Spec, layers: list[str], tasks: frozenset[str]) -> list[frozenset[str]]:
    """The finest split of `tasks` in which no later layer is shared across two parts."""
    parts: list[frozenset[str]] = []
    for layer in layers:
        for component in spec.sharing[layer]:
            if component <= tasks:
                touching = [part for part in parts if part & component]
                parts = [part for part in parts if not part & component]
                parts.append(component.union(*touching))
    first = {task.name: index for index, task in enumerate(spec.tasks)}
    return sorted(parts, key=lambda part: min(first[task] for task in part))


def _task_table(spec: Spec) -> object:
    from rich.table import Table

    cost = spec.cost()
    table = Table("task", "target", "loss", "parameters it uses", "MFLOP", "shared with others", box=None)
    for task in spec.tasks:
        own = cost.tasks[task.name]
        shared = sum(
            cost.layers[layer].one.parameters
            for layer in spec.backbone.layers
            if len(spec.sharing.component(layer, task.name)) > 1
        )
        table.add_row(
            task.name,
            task.target.kind,
            task.loss.name,
            f"{own.parameters:,}",
            f"{own.flops / 1e6:,.1f}",
            f"{100 * shared / own.parameters:.0f} %" if own.parameters else "-",
        )
    return table
