"""A sheet of samples: each input beside what is to be learned of its places, in colours, with names."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from mtsldsl.diagnostics.bounded import FIRST_SHOWN
from mtsldsl.ir import Spec, Task
from mtsldsl.ir.model import Stream
from mtsldsl.runtime.data import Samples, Splits
from mtsldsl.runtime.data.batches import batches
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.data.mixed import read_by
from mtsldsl.runtime.data.overview import class_names
from mtsldsl.runtime.run.picture_pixels import Numbers, ends_of, pixels_of_input, pixels_of_target

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 1.6
"""Of a picture, in inches."""

_LEAST = 3.2
"""Of the sheet: room for titles."""


@attrs.frozen(eq=False)
class _Row:
    """A sample of a source: its inputs that are pictures, each with a title, and the tasks with a picture and those
    with one answer, with their numbers, NaN where they do not count."""

    images: Sequence[tuple[str, Numbers]]
    pictures: Sequence[tuple[Task, Numbers]]
    answers: Sequence[str]


def pictured(spec: Spec) -> list[Stream]:
    """The sources with an input that is a picture."""
    return [stream for stream in spec.streams if stream.data.pictures]


def sample_sheet(spec: Spec, splits: Splits[Any]) -> bytes:
    """A PNG of the first training samples of the first sources that have pictures: the same samples give the same
    bytes. Of a target of several values or answers it has the first."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = [
        row
        for stream in pictured(spec)[:FIRST_SHOWN]
        for row in _rows(spec, stream, read_by(splits.train, stream.tasks[0]), splits)
    ]
    width = max(len(row.images) + len(row.pictures) for row in rows)
    with rc_context({"font.size": 7, "font.family": "DejaVu Sans", "text.parse_math": False}):
        figure = Figure(figsize=(max(_SIDE * width, _LEAST), (_SIDE + 0.35) * len(rows)), dpi=100, layout="constrained")
        for place, row in enumerate(rows):
            axes = [figure.add_subplot(len(rows), width, place * width + column + 1) for column in range(width)]
            for each in axes:
                each.set_axis_off()
            for column, (title, image) in enumerate(row.images):
                _draw_input(axes[column], title, image, () if column else row.answers)
            for each, (task, numbers) in zip(axes[len(row.images) :], row.pictures, strict=False):
                _draw_target(each, task, numbers)
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _rows(spec: Spec, stream: Stream, samples: Samples, splits: Splits[Any]) -> list[_Row]:
    """The first samples of a source, as a batch has them, in the unit of the data."""
    batch = next(batches(samples.in_units(), min(FIRST_SHOWN, len(samples))))
    images = {name: batch[name].double().numpy() for name in stream.data.pictures}
    count = len(next(iter(images.values())))
    pictures: list[tuple[Task, Numbers]] = []
    answers: list[list[str]] = [[] for _ in range(count)]
    for task in (spec.task(name) for name in stream.tasks):
        values = batch[field_of_task(stream.data, task)]
        valid = valid_entries(task.target, values).expand_as(values).numpy()
        numbers = np.where(valid, values.double().numpy(), np.nan)
        if task.target.kind == "reconstruct":
            continue
        if numbers.ndim >= 3:
            pictures.append((task, numbers))
        else:
            names = class_names(splits, stream, task)
            for row, number in enumerate(numbers.reshape(len(numbers), -1)):
                answers[row].append(f"{task.name}: {_answer(number, names)}")
    return [
        _Row(
            [(f"{stream.name} {row}: {name}", image[row]) for name, image in images.items()],
            [(task, numbers[row]) for task, numbers in pictures],
            answers[row],
        )
        for row in range(count)
    ]


def _answer(numbers: Numbers, names: Sequence[str]) -> str:
    told = ["-" if np.isnan(each) else names[int(each)] if names else f"{each:.4g}" for each in numbers[:3]]
    return ", ".join(told) + (", ..." if len(numbers) > 3 else "")


def _draw_input(axes: Axes, title: str, numbers: Numbers, answers: Sequence[str]) -> None:
    shown = [*answers[:FIRST_SHOWN], *(["..."] if len(answers) > FIRST_SHOWN else [])]
    axes.set_title("\n".join([title, *shown]))
    axes.imshow(pixels_of_input(numbers), interpolation="nearest")


def _draw_target(axes: Axes, task: Task, numbers: Numbers) -> None:
    target, title = task.target, task.name
    ends = ends_of(target, numbers if numbers.ndim == 2 else numbers[:1])
    if target.kind == "values":
        title = f"{title}, {ends[0]:.3g} to {ends[1]:.3g}" if ends else f"{title}, nothing that counts"
    if numbers.ndim == 3 and len(numbers) > 1 and target.kind != "unit_vectors":
        title = f"{title} (1 of {len(numbers)})"
    axes.set_title(title)
    axes.imshow(pixels_of_target(target, numbers, ends), interpolation="nearest")
