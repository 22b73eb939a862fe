"""`mtsldsl predict`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtsldsl.cli.options import device, of, overrides, tasks_asked_for, threads, workers
from mtsldsl.cli.output import say

if TYPE_CHECKING:
    from mtsldsl.ir import Data, Spec, Task

FILES = (".npz", ".csv")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "given",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="The inputs: .npz, .npy, a folder of pictures (.png, .jpg), one picture, or a table (.csv, .parquet).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    required=True,
    help="What to write: an .npz or .csv file, or a folder, which ends in / or is there.",
)
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="Predict this task; several times for several.")
@of
@click.option("--data", "block", metavar="NAME", help="Of several data blocks the one that the inputs are like.")
@click.option(
    "--array",
    metavar="NAME",
    help="The array of an .npz file or a folder of .npy files (default: the one named as the input).",
)
@click.option("--resize", is_flag=True, help="Bring pictures of other sizes to that of the input.")
@click.option("--scores", is_flag=True, help="Write the probability of every class too.")
@click.option("--force", is_flag=True, help="Write over what is there.")
@overrides
@device
@threads
@workers
def command(
    run: Path,
    given: Path,
    output: str,
    tasks: tuple[str, ...],
    of: str,
    block: str | None,
    array: str | None,
    resize: bool,
    scores: bool,
    force: bool,
    overrides: dict[str, str],
    device: str,
    threads: int | None,
    workers: int,
) -> None:
    """Write what the best weights of RUN (a run folder) say of new inputs, which need no labels.

    An .npz file has an array for each task, a .csv file a row for each sample; a folder has pictures of tasks that
    answer for every pixel. --set takes what does not change the network, such as data.batch=64.
    """
    place = _checked_output(output, given, force)
    tasks = tasks_asked_for(of, tasks)
    if array is not None and given.suffix.lower() != ".npz" and next(given.rglob("*.npy"), None) is None:
        raise click.UsageError("--array names an array of an .npz file, or of a folder of .npy files")
    if resize and given.suffix.lower() in (".npz", ".npy"):
        raise click.UsageError("--resize is for pictures: resize the array itself")
    from mtsldsl.diagnostics.libraries import TENSORS, require

    require(TENSORS)
    from mtsldsl.runtime.data.new_inputs import new_inputs
    from mtsldsl.runtime.learning.prediction import predictions
    from mtsldsl.runtime.network.source_file import original_spans
    from mtsldsl.runtime.run.best import load_best
    from mtsldsl.runtime.run.device import choose_device
    from mtsldsl.runtime.run.folder import RunFolder
    from mtsldsl.runtime.run.prediction_folder import write_folder
    from mtsldsl.runtime.run.prediction_tables import write_csv, write_npz
    from mtsldsl.runtime.run.recorded import Recorded
    from mtsldsl.runtime.run.threads import use_threads

    processor = choose_device(device)
    folder = RunFolder.open(run)
    spec, model = load_best(folder, processor, of, overrides)
    data, chosen = _chosen(spec, run, tasks, block)
    _require_room(place, chosen)
    use_threads(threads, spec, processor, folder.events)
    known = Recorded.of(spec, data, folder.events)
    inputs = new_inputs(
        given, data, array=array, resize=resize, trained=known.extents, columns=known.inputs, workers=workers
    )
    for remark in inputs.remarks:
        say(f"warning: {remark}", err=True)
    with original_spans(spec):
        names = [task.name for task in chosen]
        predicted = predictions(model, spec, inputs, processor, names, scores=scores, scales=known.scales)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.suffix not in FILES or place.is_dir():
            write_folder(place, inputs, chosen, predicted, known.names)
        elif place.suffix == ".npz":
            write_npz(place, inputs, predicted)
        else:
            write_csv(place, inputs, chosen, predicted, known.names)
    what = "1 sample" if inputs.count == 1 else f"{inputs.count} samples"
    say(f"{output}: {', '.join(task.name for task in chosen)} of {what}")


def _checked_output(output: str, given: Path, force: bool) -> Path:
    """Where to write. Refuses a name that does not say what, and what would be lost."""
    from mtsldsl.diagnostics import MtlError
    from mtsldsl.syntax.files import is_file, is_folder

    place = Path(output)
    as_folder = output.endswith("/") or is_folder(place)
    if not as_folder and place.suffix not in FILES:
        raise click.UsageError(f"`{output}` does not say what to write: end it in .npz, .csv or, for a folder, in /")
    if as_folder and not is_folder(place) and os.path.lexists(place):
        raise click.UsageError(f"`{output}` is there, and is no folder")
    if is_file(place) and is_file(given) and place.samefile(given):
        raise click.UsageError(f"`{output}` holds the inputs: give another file to write")
    if not force and (any(place.iterdir()) if is_folder(place) else is_file(place)):
        cause = f"{output} is there already, and is not overwritten"
        raise MtlError.of("MTL703", cause, "choose another name, move it away, or give --force")
    return place


def _chosen(spec: Spec, run: Path, names: Sequence[str], block: str | None) -> tuple[Data, list[Task]]:
    """The data block that the inputs are like, and the tasks of it that are predicted, in the order of the spec."""
    from mtsldsl.diagnostics import MtlError, suggestion

    blocks = {data.name: data for data in spec.blocks}
    every = {task.name: spec.data_of(task.name).name for task in spec.tasks}
    for name in names:
        if name not in every:
            raise MtlError.of("MTL107", f"`{run}` has no task `{name}`", suggestion(name, every, "tasks"))
    if block is not None and block not in blocks:
        raise MtlError.of("MTL107", f"`{run}` has no data block `{block}`", suggestion(block, blocks, "data blocks"))
    read = {every[name] for name in names} if names else set(every.values())
    if block is None and len(read) > 1:
        listed = ", ".join(f"`{name}`" for name in blocks if name in read)
        raise click.UsageError(f"tasks read several data blocks, {listed}: say with --data which the inputs are like")
    own = block or read.pop()
    strangers = [name for name in names if every[name] != own]
    if strangers:
        raise click.UsageError(f"the task `{strangers[0]}` reads the data block `{every[strangers[0]]}`, not `{own}`")
    chosen = [task for task in spec.tasks if every[task.name] == own and (not names or task.name in names)]
    if not chosen:
        raise click.UsageError(f"no task reads the data block `{own}`")
    return blocks[own], chosen


def _require_room(place: Path, tasks: Sequence[Task]) -> None:
    """Refuse tasks that the file has no place for."""
    dense = [task.name for task in tasks if len(task.head.shape) > 1]
    if place.suffix == ".csv" and not place.is_dir() and dense:
        raise click.UsageError(
            f"a .csv file has one row for a sample, and `{dense[0]}` answers for places of it: write an .npz file or a "
            "folder, or choose others with --task"
        )
    if any(task.name == "sample" for task in tasks):
        raise click.UsageError(
            "a task is called `sample`, as what names the samples in files is: choose others with --task"
        )
