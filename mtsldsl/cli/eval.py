"""`mtsldsl eval`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mtsldsl.cli.options import device


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True)
@device
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def command(run: Path, split: str, device: str, as_json: bool) -> None:
    """Compute the losses and metrics of the best weights of RUN (a run folder) on one split of its data."""
    from mtsldsl.runtime.best import load_best
    from mtsldsl.runtime.data import load_data
    from mtsldsl.runtime.device import choose_device
    from mtsldsl.runtime.evaluation import evaluate
    from mtsldsl.runtime.own_file import told_of_own_file
    from mtsldsl.runtime.own_module_files import warn_of_other_modules
    from mtsldsl.runtime.run_folder import RunFolder

    place = choose_device(device)
    folder = RunFolder.open(run)
    spec, model = load_best(folder, place)
    warn_of_other_modules(spec, folder.events)
    with told_of_own_file(spec):
        evaluation = evaluate(model, spec, getattr(load_data(spec), split), place)
    if as_json:
        click.echo(json.dumps({"split": split, "losses": evaluation.losses, "metrics": evaluation.metrics}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "loss", "metrics", box=None, title=f"{run}, {split} split", title_justify="left")
    for task, metrics in evaluation.metrics.items():
        shown = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        table.add_row(task, f"{evaluation.losses[task]:.4g}", shown)
    Console(highlight=False).print(table)
