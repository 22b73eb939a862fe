"""`mtsldsl eval`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING

import click

from mtsldsl.cli.options import device, no_cache, of, overrides, threads, workers
from mtsldsl.cli.output import say

if TYPE_CHECKING:
    from mtsldsl.runtime.run.best_run import BestRun
    from mtsldsl.runtime.studies.corruptions.wanted_corruptions import Wanted


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True)
@click.option(
    "--corruptions",
    is_flag=False,
    flag_value="all",
    metavar="[NAME,...]",
    help="Evaluate on corrupted pictures too: all 15 common corruptions, or these; stands behind the runs.",
)
@click.option(
    "--severity", metavar="N", help="Severities of --corruptions, such as 3, or 1,3,5.  [default: 1..5, each of them]"
)
@click.option("--seed", type=click.IntRange(0), help="What --corruptions draw their noise by.  [default: 0]")
@of
@overrides
@device
@threads
@no_cache
@workers
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def command(
    runs: tuple[Path, ...],
    split: str,
    corruptions: str | None,
    severity: str | None,
    seed: int | None,
    of: str,
    overrides: dict[str, str],
    device: str,
    threads: int | None,
    no_cache: bool,
    workers: int,
    as_json: bool,
) -> None:
    """Compute the losses and metrics of the best weights of RUN (a run folder) on one split of its data.

    With --corruptions also on its pictures corrupted, of several runs side by side. --set takes what does not change
    the network, such as data.path=moved.npz.
    """
    wanted = _wanted(runs, split, corruptions, severity, seed)
    from mtsldsl.diagnostics.libraries import METRICS, TENSORS, require

    require(TENSORS + METRICS)
    from mtsldsl.runtime.run.best_run import BestRun
    from mtsldsl.runtime.run.device import choose_device

    place = choose_device(device)
    opened = [BestRun.open(run, of, overrides, place, threads) for run in runs]
    if wanted is None:
        _evaluate(opened[0], split, cache=not no_cache, workers=workers, as_json=as_json)
    else:
        _corrupt(opened, wanted, cache=not no_cache, workers=workers, as_json=as_json)


def _wanted(
    runs: Sequence[Path], split: str, corruptions: str | None, severity: str | None, seed: int | None
) -> Wanted | None:
    """What is to be corrupted, and how; None where nothing is. Raises click's UsageError for words that say neither."""
    from mtsldsl.runtime.studies.corruptions.wanted_corruptions import (
        SEVERITIES,
        Wanted,
        wanted_corruptions,
        wanted_severities,
    )

    if corruptions is None:
        given = [name for name, value in (("--severity", severity), ("--seed", seed)) if value is not None]
        if given:
            raise click.UsageError(f"{given[0]} is for --corruptions")
        if len(runs) > 1:
            raise click.UsageError("several runs are evaluated side by side with --corruptions; else give one")
        return None
    try:
        severities = SEVERITIES if severity is None else wanted_severities(severity)
        return Wanted(split, wanted_corruptions(corruptions), severities, seed or 0)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None


def _corrupt(runs: Sequence[BestRun], wanted: Wanted, *, cache: bool, workers: int, as_json: bool) -> None:
    from mtsldsl.runtime.studies.corruptions.corrupted_runs import robustness

    try:
        found = robustness(runs, wanted, cache=cache, workers=workers, tell=_tell)
    except KeyboardInterrupt:
        say("stopped", err=True)
        sys.exit(128 + SIGINT)
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    from mtsldsl.cli.consensus_lines import width_of_output
    from mtsldsl.cli.robustness_lines import robustness_lines

    for line in robustness_lines(found, width_of_output()):
        say(line)


def _tell(name: str, place: int, count: int) -> None:
    say(f"{place} of {count}: {name}", err=True)


def _evaluate(run: BestRun, split: str, *, cache: bool, workers: int, as_json: bool) -> None:
    """The metrics of one run on its data as it is."""
    from mtsldsl.runtime.learning.evaluation import by_column
    from mtsldsl.runtime.run.event_json import plain
    from mtsldsl.runtime.run.event_lines import said_of_thresholds, short
    from mtsldsl.runtime.run.selection import said_of_mean

    data = run.data(cache=cache, workers=workers)
    evaluation = run.evaluated(getattr(data, split), run.thresholds(data))
    spec, epochs, steps = run.spec, run.epochs, run.averaged
    if as_json:
        found = {
            "split": split,
            "of": run.of,
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

    say(", ".join([str(run.path), f"{split} split", *run.whose]))
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
