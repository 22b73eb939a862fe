"""What the network that is kept answers on the test set: which classes for which, and the first samples in pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from torch import Tensor

from mtsldsl.ir import Spec, Task
from mtsldsl.ir.model import Stream
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.data.overview import class_names
from mtsldsl.runtime.objectives.by_target import answers_of
from mtsldsl.runtime.objectives.confusion import ConfusionCounts, has_confusion
from mtsldsl.runtime.run import final_events
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.picture_pixels import Ends, Numbers, Pixels, ends_of, pixels_of_input, pixels_of_target

WHOLE = 30
"""Classes of which all counts are recorded; of more there would be thousands."""

MOST_CONFUSED = 10
"""Pairs of classes that are most often taken for each other."""

SAMPLES = 3
"""Of each source, the first."""

SOURCES, TASKS = 4, 6
"""Sources, and tasks of a source, that have pictures: the first."""

SIDE = 128
"""Pixels of a picture at most; of a larger one every other, or every third, is left."""


@attrs.frozen(eq=False)
class _Picture:
    sample: int
    source: str
    of: str
    task: str | None
    pixels: Pixels
    ends: Ends | None = None


@attrs.define
class Answered:
    """Sees the batches of the test set with what the heads give for them."""

    spec: Spec
    names: Mapping[str, Sequence[str]]
    """Of the classes of a task, where the data has them."""
    confusion: Mapping[str, ConfusionCounts]
    waiting: list[Stream]
    """Sources with pictures of which no batch has been seen."""
    _pictures: list[_Picture] = attrs.field(factory=list)

    @classmethod
    def of(cls, spec: Spec, splits: Splits[Any]) -> Answered:
        """Of the tasks of a spec, and the samples that it reads."""
        counted = [task for task in spec.tasks if has_confusion(task)]
        stream = {name: stream for stream in spec.streams for name in stream.tasks}
        names: dict[str, Sequence[str]] = {
            task.name: class_names(splits, stream[task.name], task) if task.target.kind == "classes" else ("no", "yes")
            for task in counted
        }
        drawn = [stream for stream in spec.streams if _drawn(spec, stream)]
        return cls(spec, names, {task.name: ConfusionCounts(task) for task in counted}, drawn[:SOURCES])

    def see(self, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Count the answers of a batch, and keep the first samples of a source."""
        for name, counts in self.confusion.items():
            if name in outputs:
                counts.update(outputs[name], batch[counts.task.field_name])
        for stream in [each for each in self.waiting if each.tasks[0] in outputs]:
            self.waiting.remove(stream)
            self._pictures += _pictures(self.spec, stream, batch, outputs)

    def told(self, folder: RunFolder) -> Iterator[final_events.Confusion | final_events.Pictures]:
        """The events that say so; the pictures are written into the run folder, in the place of those there."""
        for name, each in self.confusion.items():
            counts = np.array(each.counts(), dtype=np.int64)
            if counts.any():
                yield _confusion(name, counts, self.names[name])
        shutil.rmtree(folder.samples, ignore_errors=True)
        if self._pictures:
            folder.samples.mkdir()
            yield final_events.Pictures(pictures=[_written(folder, *each) for each in enumerate(self._pictures)])


def _confusion(task: str, counts: np.ndarray[Any, np.dtype[np.int64]], names: Sequence[str]) -> final_events.Confusion:
    classes = len(counts)
    wrong = counts - np.diag(counts.diagonal())
    places = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED]
    pairs = [(*divmod(int(place), classes), int(wrong.flat[place])) for place in places]
    return final_events.Confusion(
        task=task,
        classes=classes,
        names=list(names) or None,
        count=int(counts.sum()),
        right=int(counts.trace()),
        most=[pair for pair in pairs if pair[-1]],
        matrix=counts.tolist() if classes <= WHOLE else None,
    )


def _drawn(spec: Spec, stream: Stream) -> list[Task]:
    """The tasks of a source that answer for the places of a picture."""
    if not stream.data.pictures:
        return []
    return [task for task in map(spec.task, stream.tasks) if len(task.head.shape) == 3]


def _pictures(
    spec: Spec, stream: Stream, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
) -> Iterator[_Picture]:
    inputs = _numbers(batch[stream.data.pictures[0]])
    tasks = _drawn(spec, stream)[:TASKS]
    for sample in range(len(inputs)):
        yield _Picture(sample, stream.name, "input", None, pixels_of_input(inputs[sample]))
        for task in tasks:
            given = batch[task.field_name][:SAMPLES]
            valid = valid_entries(task.target, given).expand_as(given)[sample, ..., :: _step(given), :: _step(given)]
            true = np.where(valid.cpu().numpy(), _numbers(given)[sample], np.nan)
            answer = _numbers(answers_of(task, outputs[task.name][:SAMPLES])[task.name])[sample]
            ends = ends_of(task.target, true if true.ndim == 2 else true[:1])
            for of, numbers in (("target", true), ("prediction", answer)):
                if task.target.kind == "reconstruct" and of == "target":
                    continue  # it is the input
                pixels = pixels_of_target(task.target, numbers, ends)
                yield _Picture(sample, stream.name, of, task.name, pixels, ends)


def _numbers(values: Tensor) -> Numbers:
    """The first samples `(n, ..., h, w)`, of large ones every so many places."""
    return values[:SAMPLES, ..., :: _step(values), :: _step(values)].detach().cpu().double().numpy()


def _step(values: Tensor) -> int:
    return -(-max(values.shape[-2:]) // SIDE)


def _written(folder: RunFolder, number: int, picture: _Picture) -> dict[str, Any]:
    from PIL import Image

    path = folder.samples / f"{number}.png"
    Image.fromarray(picture.pixels).save(path)
    found: dict[str, Any] = {"sample": picture.sample, "source": picture.source, "of": picture.of}
    if picture.task is not None:
        found["task"] = picture.task
    if picture.ends is not None:
        found["least"], found["largest"] = picture.ends
    return {**found, "file": path.relative_to(folder.path).as_posix()}
