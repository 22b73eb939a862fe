"""`mtsldsl diff`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mtsldsl.spec.difference import SpecDifference


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON.")
def command(before: Path, after: Path, as_json: bool) -> None:
    """Print what turns BEFORE into AFTER (files or run folders): merges, splits, cost. Exit 1 if they differ."""
    from mtsldsl.cli.places import spec_at
    from mtsldsl.spec.difference import compare

    difference = compare(spec_at(before), spec_at(after))
    if as_json:
        click.echo(json.dumps(difference.as_json(), indent=2))
    else:
        for line in _lines(difference):
            click.echo(line)
    raise SystemExit(1 if difference else 0)


def _lines(difference: SpecDifference) -> Iterator[str]:
    if not difference:
        yield "the two specs mean the same"
        return
    for noun in ("tasks", "layers"):
        for verb in ("removed", "added", "changed"):
            names = getattr(difference, f"{noun}_{verb}")
            if names:
                yield f"{noun} {verb}: {', '.join(names)}"
    if difference.settings:
        yield f"settings changed: {', '.join(difference.settings)}"
    width = max((len(change.layer) for change in difference.sharing), default=0)
    for change in difference.sharing:
        style = {"merge": "green", "split": "red", "regroup": "yellow"}[change.kind]
        kind = click.style(f"{change.kind:<7}", fg=style)
        yield f"{kind} {change.layer:<{width}}  {_text(change.before)}  ->  {_text(change.after)}"
    yield f"parameters {_cost(*difference.parameters)}"
    yield f"FLOPs      {_cost(*difference.flops)}"


def _text(components: tuple[tuple[str, ...], ...]) -> str:
    return ", ".join(" + ".join(component) for component in components)


def _cost(before: int, after: int) -> str:
    change = f" ({100 * (after - before) / before:+.1f} %)" if before else ""
    return f"{before:,} -> {after:,}{change}"
