"""`mtsldsl check`."""

from __future__ import annotations

from pathlib import Path

import click

from mtsldsl.cli.options import overrides


@click.command()
@click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path))
@overrides
def command(specs: tuple[Path, ...], overrides: dict[str, str]) -> None:
    """Report every problem of SPECS, without running anything."""
    from mtsldsl.diagnostics import MtlError
    from mtsldsl.spec import load

    problems = 0
    for path in specs:
        try:
            spec = load(path, overrides)
        except MtlError as error:
            problems += len(error.diagnostics)
            click.echo(str(error), err=True)
        else:
            cost = spec.cost()
            click.echo(
                f"{path}: {len(spec.tasks)} tasks, {len(spec.layers)} layers, {cost.parameters:,} parameters, "
                f"{cost.flops / 1e6:,.1f} MFLOP an image"
            )
    if problems:
        click.echo(f"{problems} problem{'s' if problems > 1 else ''}", err=True)
        raise SystemExit(1)
