"""`mtsldsl diff`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mtsldsl.spec import Decision, Spec
    from mtsldsl.spec.difference import SpecDifference

_STYLES = {"merge": "green", "split": "red", "regroup": "yellow", "join": "cyan", "leave": "cyan"}


@click.command()
@click.argument("specs", nargs=-1, required=True, metavar="A B [C]...")
@click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Write both specs side by side to this file.")
@click.option("--history", is_flag=True, help="Look at the history too.")
@click.option(
    "--exit-code/--no-exit-code", default=True, show_default=True, help="Exit with 1 if they differ, or always with 0."
)
def command(specs: tuple[str, ...], as_json: bool, html: Path | None, history: bool, exit_code: bool) -> None:
    """Print what turns A into B: layers, tasks, merges, splits, settings, cost. Exit 1 if they differ.

    Each is a spec file, a run folder, or REV:path of git. Of three and more, such as the runs of several seeds, print
    the consensus: how many of them share each layer between each two tasks, and how far each is from that.
    """
    if len(specs) < 2:
        raise click.UsageError("name two specs or more")
    if len(specs) > 2 and (html or history):
        raise click.UsageError("--html and --history are for two specs")
    from mtsldsl.cli.places import spec_at

    read = [spec_at(place) for place in specs]
    differ = _consensus(read, as_json) if len(specs) > 2 else _pair(read[0], read[1], as_json, html, history)
    raise SystemExit(1 if differ and exit_code else 0)


def _pair(before: Spec, after: Spec, as_json: bool, html: Path | None, history: bool) -> bool:
    from mtsldsl.spec.difference import compare

    difference = compare(before, after)
    if html:
        from mtsldsl.cli.side_by_side import page
        from mtsldsl.syntax import write_text_atomically

        write_text_atomically(html, page(before, after, difference))
    if as_json:
        click.echo(json.dumps(difference.as_json(history=history), indent=2))
    else:
        for line in lines(difference, before, after, history=history):
            click.echo(line)
        if html:
            click.echo(f"side by side: {html}")
    return bool(difference) or (history and any(difference.decisions))


def lines(difference: SpecDifference, before: Spec, after: Spec, *, history: bool = False) -> Iterator[str]:
    """The difference as lines for people, styled for a terminal."""
    from mtsldsl.spec.wording import worded

    if not difference:
        yield "the two specs mean the same"
    for noun in ("tasks", "layers"):
        for verb, color in (("removed", "red"), ("added", "green")):
            names = getattr(difference, f"{noun}_{verb}")
            if names:
                yield f"{click.style(f'{noun} {verb}:', fg=color)} {', '.join(names)}"
    for old, new in difference.layers_renamed:
        yield f"{click.style('renamed', fg='cyan')} {old} -> {new}"
    for noun in difference.reordered:
        yield f"{noun} in another order"
    for change in difference.keys:
        yield f"{click.style(change.key, fg='yellow')}: {worded(change.before)} -> {worded(change.after)}"
    width = max((len(change.layer) for change in difference.sharing), default=0)
    for each in difference.sharing:
        kind = click.style(f"{each.kind:<7}", fg=_STYLES[each.kind])
        yield f"{kind} {each.layer:<{width}}  {_text(each.before)}  ->  {_text(each.after)}"
    if history:
        for sign, color, decisions, spec in zip(
            "-+", ("red", "green"), difference.decisions, (before, after), strict=True
        ):
            for decision in decisions:
                yield click.style(f"{sign} {_decision(decision, spec)}", fg=color)
    if difference:
        yield f"parameters {_cost(*difference.parameters)}"
        yield f"FLOPs      {_cost(*difference.flops)}"


def _decision(decision: Decision, spec: Spec) -> str:
    from mtsldsl.spec.rewrite import decision_line

    return decision_line(decision, spec.sharing.tasks)


def _text(components: tuple[tuple[str, ...], ...]) -> str:
    return ", ".join(" + ".join(component) for component in components)


def _cost(before: int, after: int) -> str:
    change = f" ({100 * (after - before) / before:+.1f} %)" if before else ""
    return f"{before:,} -> {after:,}{change}"


def _consensus(specs: list[Spec], as_json: bool) -> bool:
    from mtsldsl.spec.consensus import consensus

    found = consensus(specs)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
        return bool(found)
    from rich.console import Console
    from rich.table import Table

    runs = len(found.names)
    table = Table(
        "tasks",
        *found.layers,
        box=None,
        title=f"how many of {runs} runs share the layer (bold: most do)",
        title_justify="left",
    )
    rows: dict[tuple[str, str], list[str]] = {}
    for pair in found.pairs:
        cell = f"[bold green]{pair.runs}[/]" if found.shared(pair) else f"{pair.runs}" if pair.runs else "[dim]0[/]"
        rows.setdefault(pair.tasks, []).append(cell)
    for (one, other), cells in rows.items():
        table.add_row(f"{one} + {other}", *cells)
    console = Console(highlight=False)
    console.print(table)
    click.echo()
    width = max(map(len, found.names))
    for name, distance in zip(found.names, found.distances, strict=True):
        near = "  the nearest to the consensus" if name == found.nearest else ""
        click.echo(f"{name:<{width}}  {distance:>3} of {len(found.pairs)} answers differ{near}")
    return bool(found)
