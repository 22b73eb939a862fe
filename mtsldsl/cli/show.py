"""`mtsldsl show`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs
import click

from mtsldsl.cli.options import overrides, say_what_is_left_out
from mtsldsl.cli.output import say, shown
from mtsldsl.ir.cost import Amount, body_cost, cost_of, operations
from mtsldsl.ir.wiring import bodies, needed_layers, wired
from mtsldsl.sharing import format_components, format_partition
from mtsldsl.sharing import partition as sets

if TYPE_CHECKING:
    from rich.tree import Tree

    from mtsldsl.ir import Spec
    from mtsldsl.ir.cost import Cost
    from mtsldsl.sharing import Component, Sharing
    from mtsldsl.sharing.groups import Helper

    _Copies: TypeAlias = Mapping[str, Mapping[str, Component]]
    """For every layer and task the tasks that share its copy."""


_WIDEST = 1000
"""Characters of a line of a drawing that is kept."""


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@overrides
@click.option("--json", "as_json", is_flag=True, help="Print sharing, costs and all settings as JSON.")
@click.option("--resolved", is_flag=True, help="Print the whole spec with every default filled in.")
@click.option(
    "--svg",
    type=click.Path(path_type=Path),
    metavar="FILE.svg",
    help="Draw it into this file instead; - prints the picture.",
)
def command(spec: Path, overrides: dict[str, str], as_json: bool, resolved: bool, svg: Path | None) -> None:
    """Draw which tasks share which layers of SPEC (a file or a run folder), with the cost of each."""
    from mtsldsl.cli.spec_places import source_at, spec_at

    if as_json and resolved:
        raise click.UsageError("--json has every setting, and --resolved is the text of a spec: leave one of them out")
    if svg and (as_json or resolved):
        raise click.UsageError("--svg draws, and the others print: leave one of them out")
    if svg and str(svg) != "-" and svg.suffix.lower() != ".svg":
        raise click.UsageError(f"the picture is an SVG: call it {svg.with_suffix('.svg').name}")
    chosen = spec_at(spec, overrides)
    say_what_is_left_out(source_at(spec), overrides)
    if as_json:
        from mtsldsl.ir.settings import settings

        click.echo(json.dumps(_as_json(chosen, settings(chosen)), indent=2))
        return
    if resolved:
        from mtsldsl.cli.spec_output import write_spec
        from mtsldsl.editing.resolved import resolved as written_out

        write_spec(written_out(chosen), None, spec)
        return
    if svg:
        _draw(chosen, svg)
        return
    from rich.console import Console

    console = Console(highlight=False)
    cost = chosen.cost()
    console.print(_sharing_tree(chosen, cost))
    console.print(_task_table(chosen, cost))
    for layer in filter(chosen.backbone.alternatives, chosen.backbone.layers):
        console.print(_uses_table(chosen, layer))


def _draw(spec: Spec, svg: Path) -> None:
    from mtsldsl.cli.sharing_picture import picture
    from mtsldsl.syntax import write_text_atomically

    if str(svg) == "-":
        click.echo(picture(spec), nl=False)
    else:
        write_text_atomically(svg, picture(spec))
        say(f"drawn: {svg}")


def _as_json(spec: Spec, settings: Mapping[str, str]) -> dict[str, object]:
    """What a program is told: of each layer who shares it, as in a sharing block, and the cost of all its copies."""
    cost = spec.cost()
    return {
        "format_version": 1,
        "spec": spec.source.name,
        **attrs.asdict(cost.total),
        "in_training": attrs.asdict(cost.training),
        "layers": {
            layer: {
                "sharing": format_components(spec.sharing, layer),
                "copies": cost.layers[layer].copies,
                **attrs.asdict(cost.layers[layer].total),
            }
            for layer in spec.backbone.layers
        },
        "heads": {task.name: attrs.asdict(cost.heads[task.name]) for task in spec.tasks},
        "tasks": {task.name: attrs.asdict(cost.tasks[task.name]) for task in spec.tasks},
        "settings": dict(settings),
    }


def drawn(spec: Spec, tasks: Collection[str] | None = None) -> str:
    """The sharing as a tree, as text of any width; of some tasks that of what their outputs depend on."""
    from rich.console import Console

    console = Console(width=_WIDEST, highlight=False, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(_sharing_tree(spec, cost_of(spec, tasks), tasks))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _shared(sharing: Sharing, layer: str, among: Component) -> Mapping[str, Component]:
    if sharing.backbone.alternatives(layer):  # which has no copies
        return dict.fromkeys(among, among)
    return {task: component & among for component in sharing.partition(layer) for task in component & among}


def _sharing_tree(spec: Spec, cost: Cost, tasks: Collection[str] | None = None) -> Tree:
    """One branch per group of tasks, split where they part; every layer with its components' parameters and FLOPs. The
    cost is that of `tasks`, where there are some, and has the copies that are drawn."""
    from rich.markup import escape
    from rich.tree import Tree

    name = escape(shown(spec.source.name))
    title = f"[bold]{name}[/bold]  {cost.total.told(' a sample')}"
    if cost.helpers and tasks is None:
        trained = cost.training
        title += f"; {trained.parameters:,} and {operations(trained.flops)} in training, with the heads that help"
    tree = Tree(title, guide_style="dim")
    order = {task.name: index for index, task in enumerate(spec.tasks) if tasks is None or task.name in tasks}
    among = frozenset(order)
    layers = [layer for layer in spec.backbone.layers if tasks is None or cost.layers[layer].copies]
    copies = {layer: _shared(spec.sharing, layer, among) for layer in layers}
    helpers: dict[Component, list[Helper]] = {}
    for helper in spec.sharing.helpers if tasks is None else ():
        helpers.setdefault(helper.served, []).append(helper)
    _grow(tree, cost, copies, layers, among, order, helpers)
    return tree


def _grow(
    tree: Tree,
    cost: Cost,
    copies: _Copies,
    layers: Sequence[str],
    tasks: Component,
    order: Mapping[str, int],
    helpers: Mapping[Component, Sequence[Helper]],
) -> None:
    """Add the layers that the tasks share, and a branch for each part of the tasks where they part. Where a layer below
    lets them meet again, as alternatives do, no branch can part them: the copies stand in the layer's own line."""
    one = next(iter(tasks))
    for position, layer in enumerate(layers):
        by_tasks = cost.layers[layer].by_tasks
        if copies[layer][one] == tasks:
            named = "" if by_tasks else f"  {cost.layers[layer].copies} alternatives"
            if not by_tasks or tasks in by_tasks:
                tree.add(f"{layer}{named}  [dim]{by_tasks.get(tasks, cost.layers[layer].total).told()}[/dim]")
            continue
        parts = list(_parts(copies, layers[position:], tasks))
        if len(parts) == 1:
            components = sets.canonical({copies[layer][task] for task in tasks} & by_tasks.keys(), order)
            amount = sum((by_tasks[each] for each in components), start=Amount()).told()
            tree.add(f"{layer}  [cyan]{format_partition(components, list(order))}[/cyan]  [dim]{amount}[/dim]")
            continue
        for part in sorted(parts, key=lambda part: min(map(order.__getitem__, part))):
            names = " + ".join(sorted(part, key=order.__getitem__))
            branch = tree.add(f"[bold cyan]{names}[/bold cyan]")
            _grow(branch, cost, copies, layers[position:], part, order, helpers)
        return
    for task in sorted(tasks, key=order.__getitem__):
        head = cost.heads[task]
        tree.add(f"[green]{task}[/green] head  [dim]{head.told()}[/dim]")
    for helper in helpers.get(tasks, ()):
        head = cost.helpers[helper.name]
        tree.add(f"({helper.task}) helps in training  [dim]{head.told()}[/dim]")


def _parts(copies: _Copies, layers: Sequence[str], tasks: Component) -> Iterator[Component]:
    """The finest split of `tasks` in which no later layer is shared across two parts."""
    parts = {task: {task} for task in tasks}
    for layer in layers:
        for component in {copies[layer][task] for task in tasks}:
            touching = {id(parts[task]): parts[task] for task in component}
            if len(touching) > 1:
                joined: set[str] = set().union(*touching.values())
                parts |= dict.fromkeys(joined, joined)
    return map(frozenset, {id(part): part for part in parts.values()}.values())


def _uses_table(spec: Spec, layer: str) -> object:
    """Which task uses which alternative of a layer."""
    from rich.table import Table

    table = Table("task", *spec.backbone.alternatives(layer), title=layer, title_justify="left", box=None)
    for task in spec.tasks:
        used = spec.sharing.uses(layer, task.name)
        table.add_row(task.name, *("x" if name in used else "" for name in spec.backbone.alternatives(layer)))
    return table


def _with_others(spec: Spec) -> Counter[str]:
    """For every task the parameters that another task's output depends on too."""
    calls = wired(spec)
    alike: dict[tuple[str, ...], frozenset[str]] = {}  # what a head reads says on which layers it depends
    reads: dict[str, frozenset[str]] = {}
    for task in spec.tasks:
        key = task.head.inputs
        if key not in alike:
            alike[key] = needed_layers(calls, (task.name,))
        reads[task.name] = alike[key]
    found = Counter[str]()
    for copy, body in bodies(spec.served()).items():
        users = [task for task in copy.component if copy.layer in reads[task]]
        if len(users) > 1:
            found.update(dict.fromkeys(users, body_cost(body).parameters))
    return found


def _task_table(spec: Spec, cost: Cost) -> object:
    from rich.table import Table

    table = Table("task", "target", "loss", "parameters it uses", "operations", "shared with others", box=None)
    with_others = _with_others(spec)
    for task in spec.tasks:
        own, shared = cost.tasks[task.name], with_others[task.name]
        table.add_row(
            task.name,
            task.target.kind,
            task.loss.name,
            f"{own.parameters:,}",
            operations(own.flops),
            f"{100 * shared / own.parameters:.0f} %" if own.parameters else "-",
        )
    return table
