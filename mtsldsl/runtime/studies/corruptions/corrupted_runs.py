"""Runs evaluated on corrupted pictures. A set of pictures is corrupted once for all runs that read it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import attrs
from torch import Tensor

from mtsldsl.diagnostics.libraries import CORRUPTIONS, require
from mtsldsl.ir import Spec
from mtsldsl.ir.model import Stream
from mtsldsl.runtime.data import Mixed, Samples
from mtsldsl.runtime.data.corruption import Corruption
from mtsldsl.runtime.data.mixed import streamed
from mtsldsl.runtime.data.parallel_reading import Processes
from mtsldsl.runtime.data.picture_inputs import Pictures, PictureSets, pictures_in, with_pictures
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.network.source_file import original_spans
from mtsldsl.runtime.objectives import Thresholds
from mtsldsl.runtime.run.best_run import BestRun
from mtsldsl.runtime.studies.corruptions.robustness import Robustness, RunRow
from mtsldsl.runtime.studies.corruptions.wanted_corruptions import Wanted


def robustness(
    runs: Sequence[BestRun],
    wanted: Wanted,
    *,
    cache: bool = True,
    workers: int = 0,
    tell: Callable[[str, int, int], None] = lambda name, place, count: None,
) -> Robustness:
    """Evaluate the runs on a split as it is, and under each corruption at each severity. `workers` are processes that
    read and corrupt beside this one; `tell` hears which corruption is done, and how many of them.

    Raises MtlError: MTL815 where a run reads what is no picture, MTL808 where the library is not installed, and what
    evaluating a run does.
    """
    for run in runs:
        with original_spans(run.spec):
            for stream in _read_by(run):
                pictures_in(stream.data)
    require(CORRUPTIONS, "robustness")
    sets, processes = PictureSets(), Processes(workers, f"the {wanted.split} samples", None)
    entries = [_Entry.of(run, wanted.split, sets, cache=cache, workers=workers) for run in runs]
    for place, name in enumerate(wanted.corruptions, 1):
        for severity in wanted.severities:
            corruption = Corruption(name, severity, wanted.seed)
            made = sets.corrupted(corruption, processes)
            for entry in entries:
                entry.corrupted[name, severity] = entry.measured(made)
        tell(name, place, len(wanted.corruptions))
    notes = dict.fromkeys(note for entry in entries for note in entry.notes(entries[0]))
    rows = tuple(entry.row() for entry in entries)
    return Robustness(wanted.split, wanted.seed, wanted.corruptions, wanted.severities, rows, tuple(notes))


def _read_by(run: BestRun) -> Iterator[Stream]:
    """The sources that the tasks of a run read which are evaluated."""
    return (stream for stream in run.spec.streams if not {*stream.tasks}.isdisjoint(run.tasks))


@attrs.frozen(eq=False)
class _Entry:
    """A run with its samples of the split, and what it was found to reach.

    `digests` has of each of its sources the pictures of every input. What a task is to give back is a picture as it
    was: `reading` is the spec whose tasks read that under names of its own, and `kept` has these by source. `told` is
    what a person should know of its pictures.
    """

    run: BestRun
    samples: Samples | Mixed
    thresholds: Mapping[str, Thresholds]
    clean: Evaluation
    digests: Mapping[str, Mapping[str, str]]
    reading: Spec
    kept: Mapping[str, Mapping[str, str]]
    told: tuple[str, ...]
    corrupted: dict[tuple[str, int], Evaluation] = attrs.field(factory=dict)

    @classmethod
    def of(cls, run: BestRun, split: str, sets: PictureSets, *, cache: bool, workers: int) -> _Entry:
        """Loaded, evaluated as it is, and its pictures among the sets."""
        data = run.data(cache=cache, workers=workers)
        thresholds, samples = run.thresholds(data), getattr(data, split)
        clean = run.evaluated(samples, thresholds)
        digests: dict[str, dict[str, str]] = {}
        told: list[str] = []
        own = {stream.name: each for stream, each in streamed(run.spec, samples)}
        for stream in _read_by(run):
            digests[stream.name] = {}
            for name in pictures_in(stream.data):
                pictures = Pictures.of(own[stream.name], name, f"the {split} samples of `{run.path}`")
                sets.by_digest.setdefault(pictures.digest, pictures)
                digests[stream.name][name] = pictures.digest
                told += pictures.notes(name)
        reading, kept = _reading_what_was(run, own, digests)
        return cls(run, samples, thresholds, clean, digests, reading, kept, tuple(told))

    @property
    def counted(self) -> tuple[str, ...]:
        """The tasks that Delta-m is a mean of: those that are evaluated and do not give the input back."""
        tasks = {task.name: task.target.kind for task in self.run.spec.tasks}
        return tuple(name for name in self.run.tasks if tasks[name] != "reconstruct")

    def measured(self, made: Mapping[str, Tensor]) -> Evaluation:
        """What it reaches with the pictures that were made of those of the same digests."""
        parts = {}
        for stream, own in streamed(self.run.spec, self.samples):
            pictures = {name: made[digest] for name, digest in self.digests.get(stream.name, {}).items()}
            parts[stream.name] = with_pictures(own, pictures, self.kept[stream.name]) if pictures else own
        given: Samples | Mixed
        if isinstance(self.samples, Mixed):
            given = attrs.evolve(self.samples, parts=parts)
        else:
            (given,) = parts.values()
        return self.run.evaluated(given, self.thresholds, self.reading)

    def row(self) -> RunRow:
        """What is known of it in the end."""
        run = self.run
        return RunRow(
            str(run.path), run.of, run.whose, run.epochs, len(self.samples), self.counted, self.clean, self.corrupted
        )

    def notes(self, first: _Entry) -> Iterator[str]:
        """What a person should know of its numbers, beside those of the first run."""
        yield from self.told
        for stream in _read_by(self.run):
            if others := [f"`{name}`" for name in stream.data.inputs if name not in self.digests[stream.name]]:
                yield f"{', '.join(others)}: no pictures, and left as they are"
        if back := [name for name in self.run.tasks if name not in self.counted]:
            yield f"tasks that are to give the clean picture back count in no Δm: {', '.join(back)}"
        if self.digests != first.digests:
            yield f"{self.run.path} reads other pictures than {first.run.path}"


def _reading_what_was(
    run: BestRun, samples: Mapping[str, Samples], pictures: Mapping[str, Collection[str]]
) -> tuple[Spec, dict[str, dict[str, str]]]:
    """The spec of a run with its tasks reading what is to be given back by another name than that of the picture; and
    by source these names with those of the pictures."""
    tasks = {task.name: task for task in run.spec.tasks}
    kept: dict[str, dict[str, str]] = {}
    for stream in _read_by(run):
        kept[stream.name] = {}
        for name in stream.tasks:
            field = tasks[name].field_name
            if field in pictures[stream.name]:
                other = _unlike(f"clean_{field}", samples[stream.name].layout)
                kept[stream.name][other] = field
                tasks[name] = attrs.evolve(tasks[name], field=other)
    return attrs.evolve(run.spec, tasks=tuple(tasks.values())), kept


def _unlike(name: str, taken: Collection[str]) -> str:
    """The name, or a longer one that none of these is."""
    return name if name not in taken else _unlike(f"{name}_", taken)
