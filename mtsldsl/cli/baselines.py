"""`mtsldsl baselines`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING

import click

from mtsldsl.cli.options import complete_files, device, overrides, say_what_is_left_out
from mtsldsl.cli.output import say, say_lines
from mtsldsl.cli.typed_command import typed
from mtsldsl.division import SPLITS
from mtsldsl.runtime.run.threads import MOST

if TYPE_CHECKING:
    from mtsldsl.runtime.studies.baselines.comparison import Comparison
    from mtsldsl.runtime.studies.baselines.study import Study
    from mtsldsl.runtime.studies.baselines.trial import Outcome, Trial

MOST_SEEDS = 1000

ROWS = "each,all,widened,last,encoder,learned,scratch,random"


def _seeds(given: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in given.split(","):
        ends = re.fullmatch(r"\s*(\d{1,9})(?:\.\.(\d{1,9}))?\s*", part)
        if ends is None:
            raise click.UsageError(f"--seeds: `{part}` is no seed and no range of seeds, such as 0..7 or 0,2,5")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if not first <= last < first + MOST_SEEDS:
            raise click.UsageError(f"--seeds: `{part}` has no seeds, or more than {MOST_SEEDS}")
        found += range(first, last + 1)
    if len(set(found)) < len(found):
        raise click.UsageError("--seeds: a seed is given twice")
    return tuple(found)


def _budgets(given: str | None) -> tuple[float, ...]:
    found: list[float] = []
    for part in [] if given is None else given.split(","):
        try:
            found.append(float(part))
        except ValueError:
            raise click.UsageError(f"--budgets: `{part}` is no number, such as 0.5") from None
        if not 0 < found[-1] <= 1:
            raise click.UsageError(
                f"--budgets: `{part}` is no part of the parameters of single-task networks, above 0 to 1"
            )
    return tuple(dict.fromkeys(found))


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), shell_complete=complete_files)
@click.option(
    "--rows",
    default=ROWS,
    show_default=True,
    metavar="ROW,...",
    help="What to train: `last` is own last layers of every number, and last:2 two of them.",
)
@click.option("--seeds", default="0..7", show_default=True, metavar="SEEDS", help="Such as 0..7 or 0,2,5.")
@click.option(
    "--budgets",
    metavar="PART,...",
    help="Parameters for `widened` and the learner, as parts of those of single-task networks, such as 0.35,0.5.",
)
@click.option(
    "--teachers",
    is_flag=True,
    help="Also each static shape, and each structure from scratch, with the row `each` of its seed as teachers.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N", help="Runs at a time.")
@overrides
@device
@click.option(
    "--threads",
    type=click.IntRange(1, MOST),
    default=1,
    show_default=True,
    metavar="N",
    help="Threads of each run.",
)
@click.option(
    "--split",
    type=click.Choice([*SPLITS[:0:-1]]),
    default=SPLITS[-1],
    show_default=True,
    help="The samples that rows are compared on; `validation` as long as options are chosen.",
)
@click.option("--with-reconstruct", is_flag=True, help="Let tasks that are to `reconstruct` their input count in Δm.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the study.  [default: runs/baselines/<name of SPEC>]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole table as JSON.")
def command(
    spec: Path,
    rows: str,
    seeds: str,
    budgets: str | None,
    teachers: bool,
    jobs: int,
    overrides: dict[str, str],
    device: str,
    threads: int,
    split: str,
    with_reconstruct: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Train what SPEC learns beside networks that nobody has to learn, with each seed, and say whether it pays.

    Every run is one of `mtsldsl train`, in a folder of the study. What was made is not made again, and what was stopped
    goes on: give the same command once more.
    """
    from mtsldsl.diagnostics.libraries import METRICS, TENSORS, require
    from mtsldsl.runtime.studies.baselines.wanted_rows import Wanted
    from mtsldsl.syntax import read_source

    wanted_seeds, wanted_budgets = _seeds(seeds), _budgets(budgets)
    source = read_source(spec)
    try:
        kinds = [kind.strip() for kind in rows.split(",")]
        wanted = Wanted.of(source, overrides, kinds, wanted_budgets, taught=teachers)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    if len(wanted.chosen.tasks) == 1:
        raise click.UsageError(f"{spec} has one task, and there is nothing to share")
    say_what_is_left_out(source, overrides)
    require(TENSORS + METRICS)
    from mtsldsl.runtime.run.device import choose_device
    from mtsldsl.runtime.studies.baselines.study import Study
    from mtsldsl.runtime.studies.baselines.trials import FailedTrialError

    folder = output or Path("runs") / "baselines" / (spec.stem.strip(".") or "spec")
    study = Study(wanted, wanted_seeds, folder, str(choose_device(device)), threads, jobs, with_reconstruct, split)
    again = typed(click.get_current_context())
    try:
        comparison = study.run(_tell)
    except KeyboardInterrupt:
        say(f"stopped; go on with `{again}`", err=True)
        sys.exit(128 + SIGINT)
    except FailedTrialError as problem:
        say_lines(f"{problem}\nonce that is mended, go on with `{again}`", err=True)
        sys.exit(1)
    _show(study, comparison, spec, again, as_json=as_json)


def _tell(trial: Trial, outcome: Outcome, place: int, count: int) -> None:
    seconds = "?" if outcome.cpu_seconds is None else f"{outcome.cpu_seconds:.0f}"
    ended = "diverged" if outcome.diverged else f"{seconds} CPU s"
    say(f"{place} of {count}: {trial.row}, seed {trial.seed}, {ended}", err=True)


def _show(study: Study, comparison: Comparison, spec: Path, again: str, *, as_json: bool) -> None:
    from mtsldsl.runtime.studies.baselines.comparison_lines import table_lines
    from mtsldsl.runtime.studies.baselines.size_chart import size_chart
    from mtsldsl.runtime.studies.baselines.study_page import study_page
    from mtsldsl.runtime.studies.baselines.verdicts import verdicts
    from mtsldsl.syntax import write_text_atomically
    from mtsldsl.syntax.writing import write_bytes_atomically

    head, notes = _head(study, spec), _notes(study, comparison)
    picture, report = (study.folder / each for each in study.pages)
    write_bytes_atomically(picture, size_chart(comparison))
    where = f"{study.device}, threads {study.threads}"
    write_text_atomically(report, study_page(comparison, spec.name, head, notes, again, where))
    if as_json:
        found = {
            "spec": str(spec),
            "balance": study.wanted.chosen.train.balance.name,
            "balance_assumed": study.wanted.assumed,
            "seeds": list(study.seeds),
            "budgets": list(study.wanted.budgets),
            "device": study.device,
            "threads": study.threads,
            "split": study.split,
            **comparison.as_json(),
            "left_out": [{"row": name, "reason": reason} for name, reason in study.wanted.left_out],
            "verdicts": verdicts(comparison),
            "picture": str(picture),
            "report": str(report),
        }
        click.echo(json.dumps(found, indent=2))
        return
    for line in (*head, "", *table_lines(comparison), "", *notes, *verdicts(comparison)):
        say(line)
    say(f"drawn: {picture}")
    say(f"report: {report}")


def _notes(study: Study, comparison: Comparison) -> list[str]:
    from mtsldsl.runtime.studies.baselines.comparison_lines import note_lines

    notes = [
        *note_lines(comparison),
        *(f"{name} is left out: {reason}" for name, reason in study.wanted.left_out),
    ]
    if study.wanted.budgets and study.wanted.unbudgeted:
        once = "it is trained once, as the spec has it"
        notes.append(f"the learner has no budget of parameters that could be set: {once}")
    return notes


def _head(study: Study, spec: Path) -> list[str]:
    chosen = study.wanted.chosen
    balance = chosen.train.balance.name
    said = f"balance {balance}, as the spec says none" if study.wanted.assumed else f"balance {balance}"
    seeds = ", ".join(map(str, study.seeds))
    stops = chosen.train.stop.name != "none" or any(task.stop.name != "none" for task in chosen.tasks)
    epochs = f"{chosen.train.epochs} epochs{' at most' if stops else ''}"
    return [
        f"{spec}: {epochs}, {said}, seeds {seeds}, on {study.device}",
        f"Δm % over `each` of the same seed on the {study.split} set, of {', '.join(study.counted)}; ± standard error",
        "static shapes: those of at most the row's budget, or of its size where that is larger or there is no budget",
    ]
