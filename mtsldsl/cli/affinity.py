"""`mtsldsl affinity`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtsldsl.cli.output import say

if TYPE_CHECKING:
    from mtsldsl.runtime.studies.affinity import Affinities


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON, those of every epoch too.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw a heat map into this file, an SVG.")
def command(run: Path, as_json: bool, plot: Path | None) -> None:
    """Print how much each task helped each other one in RUN, the folder of a run of `structure transference`.

    A number is the part by which a step along the gradient of the task of its column, on the weights that both use,
    lowers the loss of the task of its row; below 0 it rises.
    """
    from mtsldsl.runtime.studies.affinity import affinities

    if plot is not None and plot.suffix != ".svg":
        raise click.UsageError(f"--plot takes the drawing to write, such as affinity.svg, and {plot} is none")
    found = affinities(run)
    if plot is not None:
        from mtsldsl.runtime.run.drawing import heat_map
        from mtsldsl.syntax import write_text_atomically

        values = [[found.mean[one].get(other) for other in found.tasks] for one in found.tasks]
        write_text_atomically(plot, heat_map(found.tasks, values, rows="is helped", columns="helps"))
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
        return
    epochs = len(found.curve)
    say(f"mean of {found.count} looks ahead in {epochs} epoch{'' if epochs == 1 else 's'}")
    for line in (*_table(found, found.mean), "", "in the last epoch", *_table(found, found.last)):
        say(line)


def _table(found: Affinities, rows: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """A row for each task that is helped, a column for each that helps."""
    labels = max(map(len, found.tasks))
    width = max(labels, 10)
    yield " ".join((" " * labels, *(f"{task:>{width}}" for task in found.tasks)))
    for recipient in found.tasks:
        cells = (rows[recipient].get(donor) for donor in found.tasks)
        shown = (f"{'' if cell is None else f'{cell:+.2e}':>{width}}" for cell in cells)
        yield " ".join((f"{recipient:<{labels}}", *shown)).rstrip()
