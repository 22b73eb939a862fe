"""Predictions as a folder: a file for each sample and task that answers for places of it, a table for all others."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.libraries import importing
from mtsldsl.ir import Task
from mtsldsl.runtime.data.new_inputs import NewInputs
from mtsldsl.runtime.learning.prediction import Array, Predicted
from mtsldsl.runtime.run.prediction_tables import Names, rows

TABLE = "answers.csv"
"""The file of the tasks that have one answer for a sample."""

_MOST_GRAYS = 2**16


def write_folder(
    folder: Path, inputs: NewInputs, tasks: Sequence[Task], predicted: Iterable[Predicted], names: Names
) -> None:
    """Write the answers of each batch when it comes, into a new folder beside, which takes the name at the end. Where
    there is a folder already its files stay, but for those of the same names.

    A sample is called as its file without the ending, or by its number; `<task>/<sample>.png` has

    - the classes as gray numbers, 8 bits, or 16 where there are more than 256;
    - the probability of yes, 0 to 255;
    - the components x, y, z of vectors as red, green, blue: from -1..1 to 0..255.

    Values are in `<task>/<sample>.npy`, float32 (channels, height, width); `<task>.look/<sample>.png` is there to be
    looked at alone, black for the least number of that sample and white for the largest. Where there are several such
    pictures of a sample they have the number of the channel, `<sample>.0.png`. Answers along one dimension are
    `.npy` too, and so are probabilities of classes, in `<task>.scores/`. Tasks with one answer for a sample are in
    `answers.csv`.

    `names` are those of classes, which `answers.csv` has.

    Raises MtlError MTL602 where two samples would be called the same.
    """
    called = _called(inputs)
    new = folder.with_name(f".predicted.{os.getpid()}.tmp")
    shutil.rmtree(new, ignore_errors=True)  # of a process that was killed, and had the number of this one
    new.mkdir(parents=True)
    try:
        lines = rows(inputs, tasks, _all_but_drawn(new, called, tasks, predicted), names)
        if any(_is_row(task) for task in tasks):
            with (new / TABLE).open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.writelines(lines)
        else:
            for _ in lines:
                pass
        _take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _called(inputs: NewInputs) -> Sequence[str]:
    """What the files of each sample are called, without the ending."""
    if inputs.names is None:
        numbers = range(inputs.count) if inputs.numbers is None else inputs.numbers
        digits = len(str((inputs.with_left_out or inputs.count) - 1))
        return [str(number).zfill(digits) for number in numbers]
    called = [Path(name).stem for name in inputs.names]
    twice = next((name for name, times in Counter(called).items() if times > 1), None)
    if twice is not None:
        first, second, *_ = (name for name in inputs.names if Path(name).stem == twice)
        cause = f"what is predicted for `{first}` and for `{second}` would have the same name"
        raise MtlError.of("MTL602", cause, "rename one of them, or write an .npz file")
    return called


def _take_place(new: Path, folder: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    for path in sorted(new.rglob("*")):
        place = folder / path.relative_to(new)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            path.replace(place)


def _is_row(task: Task) -> bool:
    """Whether it has one answer for a sample."""
    return len(task.head.shape) == 1


def _all_but_drawn(
    folder: Path, called: Sequence[str], tasks: Sequence[Task], predicted: Iterable[Predicted]
) -> Iterator[Predicted]:
    """What is left for a table, as the files of all else are written."""
    apart = [task for task in tasks if not _is_row(task)]
    for each in predicted:
        answers = dict(each.answers)
        for task in apart:
            answer, scores = answers.pop(task.name), answers.pop(f"{task.name}/scores", None)
            for row, sample in enumerate(each.samples):
                _write(folder, task, called[sample], answer[row], None if scores is None else scores[row])
        yield attrs.evolve(each, answers=answers)


def _write(folder: Path, task: Task, sample: str, answer: Array, scores: Array | None) -> None:
    if scores is not None:
        _save(folder / f"{task.name}.scores" / f"{sample}.npy", scores)
    own = folder / task.name
    target = task.target
    if len(task.head.shape) != 3 or (target.kind == "classes" and target.channels > _MOST_GRAYS):
        _save(own / f"{sample}.npy", answer)
    elif target.kind == "classes":
        _draw(own, sample, [answer.astype(np.uint8 if target.channels <= 256 else np.uint16)])
    elif target.kind == "binary":
        _draw(own, sample, [_gray(answer[channel]) for channel in range(len(answer))])
    elif target.kind == "unit_vectors":
        _draw(own, sample, [_gray(np.moveaxis(answer, 0, -1) / 2 + 0.5)])
    else:
        _save(own / f"{sample}.npy", answer)
        _draw(folder / f"{task.name}.look", sample, [_gray(_spread(answer[channel])) for channel in range(len(answer))])


def _gray(numbers: Array) -> Array:
    """Of 0 to 1, in 8 bits."""
    return np.asarray((numbers * 255.0).round().clip(0, 255), dtype=np.uint8)


def _spread(numbers: Array) -> Array:
    """From the least to the largest as 0 to 1; all 0 where they do not differ."""
    wide = numbers.astype(np.float64)
    width = wide.max() - wide.min()
    return np.asarray((wide - wide.min()) / (width or 1.0))


def _save(path: Path, answer: Array) -> None:
    path.parent.mkdir(exist_ok=True)
    np.save(path, answer, allow_pickle=False)


def _draw(folder: Path, sample: str, pictures: Sequence[Array]) -> None:
    with importing("PIL"):
        from PIL import Image

    folder.mkdir(exist_ok=True)
    for number, pixels in enumerate(pictures):
        name = f"{sample}.png" if len(pictures) == 1 else f"{sample}.{number}.png"
        Image.fromarray(pixels).save(folder / name)
