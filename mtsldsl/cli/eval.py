"""`mtsldsl eval`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mtsldsl.cli.options import device, no_cache, of, overrides, threads, workers
from mtsldsl.cli.output import say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True)
@of
@overrides
@device
@threads
@no_cache
@workers
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def command(
    run: Path,
    split: str,
    of: str,
    overrides: dict[str, str],
    device: str,
    threads: int | None,
    no_cache: bool,
    workers: int,
    as_json: bool,
) -> None:
    """Compute the losses and metrics of the best weights of RUN (a run folder) on one split of its data.

    --set takes what does not change the network, such as data.path=moved.npz.
    """
    from mtsldsl.diagnostics.libraries import METRICS, TENSORS, require

    require(TENSORS + METRICS)
    from mtsldsl.runtime.data import load_data
    from mtsldsl.runtime.learning.evaluation import by_column, evaluate
    from mtsldsl.runtime.network.source_file import original_spans
    from mtsldsl.runtime.run.best import load_best
    from mtsldsl.runtime.run.checkpoint import MEAN
    from mtsldsl.runtime.run.data_record import recorded_places, warn_of_other_data
    from mtsldsl.runtime.run.device import choose_device
    from mtsldsl.runtime.run.event_json import plain
    from mtsldsl.runtime.run.event_lines import said_of_thresholds, short
    from mtsldsl.runtime.run.folder import RunFolder
    from mtsldsl.runtime.run.kept_beside import epochs_kept, thresholds_kept
    from mtsldsl.runtime.run.selection import lacks_thresholds, said_of_mean, steps_of_mean
    from mtsldsl.runtime.run.threads import use_threads
    from mtsldsl.runtime.run.user_module_record import warn_of_other_modules

    place = choose_device(device)
    folder = RunFolder.open(run)
    spec, model = load_best(folder, place, of, overrides)
    use_threads(threads, spec, place, folder.events)
    warn_of_other_modules(spec, folder.events)
    with original_spans(spec):
        data = load_data(spec, recorded_places(spec, folder.events), cache=not no_cache, workers=workers)
        warn_of_other_data(spec, data, folder.events)
        tasks = [of] if of in spec.sharing.tasks else None
        epochs = epochs_kept(folder, spec, of)
        chosen = [task for task in spec.tasks if tasks is None or task.name in tasks]
        thresholds = thresholds_kept(folder, epochs, of)
        if unknown := [task.name for task in chosen if lacks_thresholds(task, thresholds)]:  # as with `--set`
            thresholds |= evaluate(model, spec, data.validation, place, unknown, thresholds=None).thresholds
        evaluation = evaluate(model, spec, getattr(data, split), place, tasks, thresholds=thresholds)
    steps = steps_of_mean(folder.events, set(epochs.values()))
    if as_json:
        found = {
            "split": split,
            "of": of,
            "epochs": epochs,
            "losses": evaluation.losses,
            "metrics": evaluation.metrics,
            "columns": evaluation.columns,
            "column_names": {name: spec.task(name).columns for name in evaluation.columns if spec.task(name).columns},
            **({"averaged": steps} if steps else {}),
            **({"thresholds": evaluation.thresholds} if evaluation.thresholds else {}),
        }
        click.echo(json.dumps(plain(found)))
        return
    from rich.console import Console
    from rich.table import Table

    whose = f", weights of {of}'s own best epoch" if tasks else f", the network `{of}`"
    say(f"{run}, {split} split" + ("" if of == MEAN else whose))
    if steps:
        say(f"the weights are {said_of_mean(steps)}")
    table = Table("task", "epoch", "loss", "metrics", box=None)
    for task, metrics in evaluation.metrics.items():
        shown = "  ".join(f"{name} {short(value)}" for name, value in metrics.items())
        table.add_row(task, str(epochs[task]), short(evaluation.losses[task]), shown)
    console = Console(highlight=False)
    console.print(table)
    measured = {name: by_column(spec.task(name), values) for name, values in evaluation.columns.items()}
    if any(measured.values()):
        table = Table("task", "column", "metrics", box=None)
        for task, columns in measured.items():
            for column, values in columns.items():
                table.add_row(task, column, "  ".join(f"{name} {short(value)}" for name, value in values.items()))
        console.print(table)
    for line in said_of_thresholds(evaluation.thresholds):
        say(line)
