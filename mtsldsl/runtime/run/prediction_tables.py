"""Predictions in one file: `.npz` with an array for each task, `.csv` with a row for each sample."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from mtsldsl.ir import Task
from mtsldsl.runtime.data.new_inputs import NewInputs
from mtsldsl.runtime.learning.prediction import Array, Predicted
from mtsldsl.syntax import write_bytes_atomically

SAMPLE = "sample"
"""What the names of the samples are called beside the tasks."""


def write_npz(path: Path, inputs: NewInputs, predicted: Iterable[Predicted]) -> None:
    """Every answer as an array, the samples along its first axis, and under `sample` where they come from files their
    names, where some are left out the numbers of the others. The same arrays are the same bytes."""
    parts: dict[str, list[Array]] = {}
    for each in predicted:
        for name, answer in each.answers.items():
            parts.setdefault(name, []).append(answer)
    called = inputs.numbers if inputs.names is None else inputs.names
    if called is not None:
        parts = {SAMPLE: [np.array(called)], **parts}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in list(parts):
            # numpy.savez takes no array called `file`, which a task may be
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.concatenate(parts.pop(name)), allow_pickle=False)
    write_bytes_atomically(path, stream.getvalue())


Names: TypeAlias = Mapping[str, Sequence[str]]
"""Of the tasks whose classes have names these, in their order."""


def write_csv(
    path: Path, inputs: NewInputs, tasks: Sequence[Task], predicted: Iterable[Predicted], names: Names
) -> None:
    """A row for each sample: its name or number, then a column for each number of the answers, or for the name of a
    class."""
    write_bytes_atomically(path, "".join(rows(inputs, tasks, predicted, names)).encode("utf-8", "surrogateescape"))


def rows(inputs: NewInputs, tasks: Sequence[Task], predicted: Iterable[Predicted], names: Names) -> Iterator[str]:
    """The lines of such a file, its head first."""
    channels = {**names, **{task.name: task.columns for task in tasks if task.columns}}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for number, each in enumerate(predicted):
        table = {name: answer.reshape(len(each.samples), -1) for name, answer in each.answers.items()}
        if not number:
            writer.writerow(
                [SAMPLE, *(title for name, answer in table.items() for title in _titles(name, answer, channels))]
            )
        for row, sample in enumerate(each.samples):
            cells = [
                names[name][cell] if name in names else str(cell)
                for name, answer in table.items()
                for cell in answer[row]
            ]
            writer.writerow([inputs.name(sample), *cells])
        yield stream.getvalue()
        stream.seek(0)
        stream.truncate()


def _titles(name: str, answer: Array, channels: Names) -> Sequence[str]:
    """The titles of an answer's columns: its name, with the number of the channel, the name of the class, or that of
    the column that was learned, where it has several."""
    count = answer.shape[1]
    called = channels.get(name.removesuffix("/scores"), range(count))
    return [name] if count == 1 else [f"{name}.{channel}" for channel in called]
