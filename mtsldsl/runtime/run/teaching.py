"""The network of another run as the teachers of this one: found, held against the spec, and told of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.ir import Spec, Task
from mtsldsl.runtime.data.place import settings_of_data
from mtsldsl.runtime.learning.teachers import Teachers
from mtsldsl.runtime.network.weights_digest import digest_of_weights
from mtsldsl.runtime.objectives import taught_losses
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.data_record import noted, noted_in
from mtsldsl.runtime.run.event_json import plain
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_epoch import last
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.syntax.files import is_folder

_SAME = (
    "train the teachers on the same data, with the same `data` block but for its `batch`, `augment` and `train_samples`"
)

_FITTED = (
    "train the teachers on the same training samples: what is made of them, as by `scale`, follows from "
    "`train_samples` too"
)

_FREE = ("on_error", "train_samples")
"""Settings of data that change no sample, and none of those for validation and the test."""


@attrs.frozen(eq=False)
class TeachingRun:
    """A run whose network teaches the `tasks` of another spec of the same names."""

    folder: RunFolder
    spec: Spec
    model: nn.Module
    tasks: tuple[str, ...]

    @classmethod
    def said_by(
        cls, spec: Spec, device: torch.device, before: events.Taught | None = None, moved: str | None = None
    ) -> TeachingRun | None:
        """That which a spec names, looked for from the working folder and then from that of the spec's file; None where
        it names none. A run that goes on gives what was told of it `before`: it is looked for there first. Where it
        has `moved` since, that is its path in the place of the one that the spec names.

        Raises MtlError: MTL801 for a folder that is no run, MTL609 for a network that cannot teach the tasks,
        and MTL610 where the weights are others than before.
        """
        given = spec.train.taught_by
        if given is None:
            return None
        try:
            found = cls._open(spec, _located(spec, moved or given, before), device)
        except MtlError as error:
            place = spec.train.span
            raise MtlError(attrs.evolve(each, span=each.span or place) for each in error.diagnostics) from error
        if before is not None and before.sha256 != found.digest():
            cause = f"the weights of `{found.folder.path}` are not those that taught this run so far"
            remedy = "put back the run that taught, or train anew with the one that is there"
            raise MtlError.of("MTL610", cause, remedy, spec.train.span)
        return found

    @classmethod
    def _open(cls, spec: Spec, path: Path, device: torch.device) -> TeachingRun:
        folder = RunFolder.open(path)
        if last(list(read_events(folder.events)), final_events.End) is None:
            cause = f"the run `{folder.path}` has not ended, and its network may still become another one"
            raise MtlError.of("MTL609", cause, f"let it end, with `mtsldsl train --resume {folder.path}`")
        try:
            own, model = load_best(folder, device)
        except MtlError as error:  # what is said of its spec stands at no place of this one
            whose = f"the spec of the run `{folder.path}`: "
            raise MtlError(
                attrs.evolve(each, span=None, cause=f"{whose if each.span else ''}{each.cause}")
                for each in error.diagnostics
            ) from error
        known = {task.name for task in own.tasks}
        tasks = tuple(task for task in taught_losses(spec.tasks) if task in known)
        if not tasks:
            cause = f"`{folder.path}` has no task of this spec that could be taught: it has {named(sorted(known))}"
            raise MtlError.of("MTL609", cause, "name a run of tasks of the same names, or leave `teachers` out")
        for task in tasks:
            _hold(spec, own, task, folder.path)
        return cls(folder, own, model, tasks)

    def digest(self) -> str:
        """The SHA-256 of the weights."""
        return digest_of_weights(self.model.state_dict())

    def teachers(self, student: Spec) -> Teachers:
        """What a training has of it."""
        return Teachers.of(self.spec, self.model, student.train.teach, student, self.tasks)

    def told(self, student: Spec) -> Iterator[events.Taught | events.Warned]:
        """What a person is told before the first step."""
        which = named(list(self.tasks))
        yield events.Taught(
            text=f"the network of {self.folder.path} teaches {which} to the end, teach {student.train.teach:g}",
            path=str(self.folder.path.absolute()),
            sha256=self.digest(),
            tasks=self.tasks,
            teach=student.train.teach,
        )
        alone = [task for task in taught_losses(student.tasks) if task not in self.tasks]
        if alone:
            has = "has" if len(alone) == 1 else "have"
            yield events.Warned(about="teachers", text=f"{named(alone)} {has} no teacher in {self.folder.path}")

    def hold_data(self, student: Spec, read: Mapping[str, Any]) -> Iterator[events.Warned]:
        """What to warn of in the data that its network learned from, beside what a run has `read`. Raises MtlError
        MTL609 where what was fitted to the training samples is another, such as means, deviations and names of
        classes."""
        now_read = plain(read)
        for data in student.blocks:
            theirs = {self.spec.data_of(task).name for task in self.tasks if student.data_of(task).name == data.name}
            for name in theirs:
                other = next(each for each in self.spec.blocks if each.name == name)
                before, now = noted(self.folder.events, self.spec, other), noted_in(now_read, student, data)
                if before is None or now is None:
                    continue
                where = f"`data {data.name}`"
                for key in ("fitted", "scales"):
                    if _differ(before.get(key, {}), now.get(key, {})):
                        cause = (
                            f"the network of `{self.folder.path}` learned with other means, deviations or names of "
                            f"classes than those of the training samples of {where}"
                        )
                        raise MtlError.of("MTL609", cause, _FITTED, student.train.span)
                if _differ(before["sha256"], now["sha256"]):
                    text = (
                        f"the network of {self.folder.path} learned from other samples than {where} has: unless "
                        "`train_samples` alone makes the difference, some for validation or test may be among them"
                    )
                    yield events.Warned(about="teachers", text=text)


def teaching_before(folder: RunFolder) -> events.Taught | None:
    """What the record of a run tells of the run that teaches it."""
    told = (each for each in read_events(folder.events) if isinstance(each, events.Taught) and each.path is not None)
    return next(told, None)


def cost_of_teachers(record: Path) -> float | None:
    """The processor time, in seconds, that teachers took in all epochs of a record; None where there were none."""
    found = [each.teachers_seconds for each in read_events(record) if isinstance(each, events.Epoch)]
    known = [each for each in found if each is not None]
    return round(sum(known), 3) if known else None


def _located(spec: Spec, given: str, before: events.Taught | None) -> Path:
    place = Path(given).expanduser()
    tried = [Path(before.path)] if before is not None and before.path is not None else []
    tried += [place, Path(spec.source.name).parent / place]
    return next(filter(is_folder, tried), place)


def _hold(spec: Spec, own: Spec, name: str, path: Path) -> None:
    """Raise MtlError MTL609 where the network of `own` cannot teach a task of `spec`."""
    for what, student, teacher, remedy in _asked(spec, own, spec.task(name), own.task(name)):
        if student != teacher:
            cause = f"`{path}` cannot teach `{name}`: {what} is {_said(teacher)} there, and {_said(student)} here"
            raise MtlError.of("MTL609", cause, remedy, spec.task(name).span)


def _asked(spec: Spec, own: Spec, task: Task, taught: Task) -> Iterator[tuple[str, object, object, str]]:
    """What has to be the same, in words, of the spec that is taught and of the one that teaches."""
    answers = "give both tasks the same target, field and size of the output, or call this one otherwise"
    yield "the kind of its target", task.target.kind, taught.target.kind, answers
    many = "the number of its classes" if task.target.kind == "classes" else "the number of its channels"
    yield many, task.target.channels, taught.target.channels, answers
    yield "its scale", task.target.scale, taught.target.scale, answers
    yield "its field", task.field_name, taught.field_name, answers
    yield "the size of its output", task.head.shape, taught.head.shape, answers
    data, other = spec.data_of(task.name), own.data_of(task.name)
    yield "its kind of data", data.kind, other.kind, _SAME
    for name, shape in other.inputs.items():
        yield f"the input `{name}`", data.inputs.get(name), shape, _SAME
        yield f"the number of ids of `{name}`", data.ids.get(name), other.ids.get(name), _SAME
    options, others = settings_of_data(data), settings_of_data(other)
    for name in dict.fromkeys((*options, *others)):
        if name not in _FREE:
            yield f"`{name}` of its data", options.get(name), others.get(name), _SAME


def _said(value: object) -> str:
    """A value in a sentence."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))})"
    return f"`{value}`" if isinstance(value, str) else str(value)


def _differ(one: Any, other: Any) -> bool:
    """Whether two records differ in what both have."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return any(_differ(one[key], other[key]) for key in one.keys() & other.keys())
    return bool(one != other)
