"""Which epoch's weights are kept.

An epoch is judged by the metrics on validation, never by a sum of losses: the largest scale would decide that, and
cross entropy over-fits while what it stands for still rises. A task's gain is the mean over its metrics of the relative
gain over the best constant answer, in percent.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import attrs

from mtsldsl.diagnostics.bounded import shown
from mtsldsl.ir import Spec, Task
from mtsldsl.ir.wiring import together, wired
from mtsldsl.language.constants import Named
from mtsldsl.language.targets import F1_BEST, metric_key
from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.objectives import higher_is_better
from mtsldsl.runtime.objectives.relative_gain import Results, relative_gain
from mtsldsl.runtime.run.checkpoint import MEAN
from mtsldsl.runtime.run.events import Beside, Phase, Thresholds, Validation, epoch_of
from mtsldsl.runtime.run.events import Best as BestEpoch
from mtsldsl.runtime.run.record_file import read_events


def gains(metrics: Results, constant: Results) -> dict[str, float]:
    """Each task's gain over the best constant answer in percent; NaN where no metric of it has a value.

    A metric that is worse than the constant's is compared the other way round, so that none loses more than 100 %: one
    that has no end, such as `r2` of a column that is not learned yet, does not decide alone. Where the constant has 0
    of a metric of which more is better, as it has of `r2`, the metric counts by its difference from it, in percent.
    Where it has 0 of one of which less is better, it is perfect, and there is nothing to gain: the metric is left out.
    """
    return {
        task: mean_of(_gain(key, value, constant[task][key]) for key, value in values.items())
        for task, values in metrics.items()
    }


def _gain(key: str, value: float, constant: float) -> float:
    better_high = higher_is_better(key)
    if constant == 0 and not better_high:
        return math.nan
    if constant == 0:  # 1 - r2 is the squared error beside that of the constant, whose own is 1
        return 100 * value if value >= 0 else 100 * value / (1 - value)
    if not better_high and value > constant:
        return -relative_gain(constant, value, better_high=False)
    return relative_gain(value, constant, better_high=better_high)


def mean_of(values: Iterable[float]) -> float:
    """The mean of the numbers that are known, NaN of none."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


OWN = "own "
"""Begins the name of what a single task keeps."""


def name_of_set(tasks: Iterable[str]) -> str:
    """What the weights are called that a set of tasks keeps: by these, in the order of the spec."""
    return "+".join(tasks)


@attrs.frozen
class Best:
    """The best epoch of some tasks, and its score."""

    tasks: tuple[str, ...]
    epoch: int
    score: float


@attrs.define
class Selection:
    """The best epoch so far, of every set of tasks that hangs together and of every single task.

    `keep` is the spec's: `best` by the mean gain of a set's tasks, `last`, or by one metric, such as `depth.rmse`,
    which chooses for all; a mean over the last steps is that of the last epoch. A single task's own best is always by
    its gain.
    """

    keep: str | Named
    best: dict[str, Best] = attrs.field(factory=dict)
    """By the name of the weights that are kept: `name_of_set`, or OWN and a task's name."""

    def sets(self, spec: Spec, *, whole: bool = False) -> tuple[tuple[str, ...], ...]:
        """The sets of tasks that each keep an epoch: those that are a network of their own, but all where one metric
        chooses, or where the sharing of an epoch goes with its weights, so that they are kept `whole`."""
        tasks = spec.sharing.tasks
        return together(wired(spec), tasks) if (self.latest or self.keep == "best") and not whole else (tasks,)

    @property
    def latest(self) -> bool:
        """Whether the last epoch is kept, whatever it reaches."""
        return isinstance(self.keep, Named) or self.keep == "last"

    def chosen_by(self, averaged: int | None = None) -> str:
        """What the epoch is chosen by, in words; and for which tasks nothing was there to choose by. `averaged` are the
        steps that a mean of the weights has."""
        if isinstance(self.keep, Named):
            return f"being the last, with {said_of_mean(averaged)}"
        if self.keep == "last":
            return "being the last"
        by = "the mean gain over the best constant answer" if self.keep == "best" else self.keep
        without = [
            task
            for name, best in self.best.items()
            if not name.startswith(OWN) and math.isnan(best.score)
            for task in best.tasks
        ]
        rest = f", the last one for {shown(without, ', ')}, without a score there" if without else ""
        return f"{by} on validation{rest}"

    def epochs_since_better(self, epoch: int) -> int:
        """For how many epochs no set of tasks was better; where the last is kept, no task by its own gain."""
        votes = [each for name, each in self.best.items() if name.startswith(OWN) == self.latest]
        return epoch - max((each.epoch for each in votes), default=epoch)

    def marked(self, epoch: int) -> list[str]:
        """The tasks whose weights that are kept are those of this epoch because it is the best so far."""
        if self.latest:
            return []
        kept = [best for name, best in self.best.items() if not name.startswith(OWN) and best.epoch == epoch]
        return [task for best in kept if not math.isnan(best.score) for task in best.tasks]

    def note(self, name: str, tasks: tuple[str, ...], epoch: int, score: float, *, latest: bool = False) -> None:
        """Note an epoch, where it is the best so far or `latest` is what is kept. One without a score gives way."""
        known = self.best.get(name)
        if known is None or latest or math.isnan(known.score) or score > known.score:
            self.best[name] = Best(tasks, epoch, score)

    def note_sets(
        self, sets: Iterable[tuple[str, ...]], spec: Spec, epoch: int, gained: Mapping[str, float], metrics: Results
    ) -> None:
        """Note an epoch for each of some sets of tasks."""
        for tasks in sets:
            score = self.score(voting(spec, tasks), gained, metrics)
            self.note(name_of_set(tasks), tasks, epoch, score, latest=self.latest)

    def epochs(self, of: str = MEAN) -> dict[str, int]:
        """The epoch whose weights each task has in the network that is kept; the task `of`, in its own best one."""
        kept = {name: best for name, best in self.best.items() if name.startswith(OWN) == (of != MEAN)}
        return {task: best.epoch for best in kept.values() for task in best.tasks if of in (MEAN, task)}

    def own_epoch(self, task: str) -> int:
        """The epoch of a task's own best weights."""
        return self.best[f"{OWN}{task}"].epoch

    def score(self, tasks: Iterable[str], gains: Mapping[str, float], metrics: Results) -> float:
        """What the epoch of a set of tasks is chosen by, higher being better."""
        if self.latest or self.keep == "best":
            return mean_of(gains[each] for each in tasks)
        task, _, key = str(self.keep).partition(".")
        value = metrics[task][key]
        return value if higher_is_better(key) else -value


def voting(spec: Spec, tasks: Iterable[str]) -> list[str]:
    """The tasks that an epoch is judged by: those that are learned, or all where none is."""
    tasks = list(tasks)
    return [task for task in tasks if spec.task(task).weight] or tasks


def said_of_mean(steps: int | None) -> str:
    """What a person is told of weights that are a mean over so many steps, or that were to be one."""
    if steps is None:
        return "its weights as they are, since the steps whose mean was to be kept did not come"
    return f"the mean of the weights after the last {f'{steps:,} steps' if steps > 1 else 'step'}"


def steps_of_mean(events: Path, epochs: Collection[int]) -> int | None:
    """How many steps the weights of these epochs are a mean over, by the events of a run; None where they are none."""
    found = (each.averaged for each in read_events(events) if isinstance(each, Validation) and each.epoch in epochs)
    return max((steps for steps in found if steps), default=None)


def validations(recorded: Iterable[Event], beside: str | None = None) -> Iterator[Validation | Beside]:
    """What each epoch reached on validation, by the events of a run: of its own network, or of one `beside` it by its
    name."""
    for event in recorded:
        if (isinstance(event, Validation) and beside is None) or (isinstance(event, Beside) and beside in event.names):
            yield event


def thresholds_of(
    events: Path, epochs: Mapping[str, int], beside: str | None = None
) -> dict[str, Mapping[str, Sequence[float]]]:
    """The thresholds that validation chose for the weights of each task's epoch, by the events of a run; nothing of
    tasks without any. Those of the run's own network, or of one `beside` it by its name."""
    found: dict[str, Mapping[str, Sequence[float]]] = {}
    for event in validations(read_events(events), beside):
        if event.thresholds:
            found |= {task: each for task, each in event.thresholds.items() if epochs.get(task) == event.epoch}
    return found


def lacks_thresholds(task: Task, thresholds: Thresholds) -> bool:
    """Whether a metric of the task is to be taken at the best threshold, and none is known."""
    keys = {metric_key(metric) for metric in task.metrics if metric.name == F1_BEST}
    return not keys <= thresholds.get(task.name, {}).keys()


def best_so_far(events: Path, epoch: float = math.inf) -> dict[str, Best]:
    """What the events of a run say of the best epochs up to `epoch` since its structure last changed."""
    best: dict[str, Best] = {}
    for event in read_events(events):
        if epoch_of(event) > epoch:
            break
        if isinstance(event, Phase) and event.changed and not event.same:
            best.clear()
        elif isinstance(event, BestEpoch):
            tasks = tuple(event.tasks)
            score = math.nan if event.score is None else event.score
            best[f"{OWN if event.own else ''}{name_of_set(tasks)}"] = Best(tasks, event.epoch, score)
    return best


def last_merge(events: Path, epoch: float = math.inf) -> int | None:
    """The epoch at whose end the structure last changed, up to `epoch`."""
    phases = (event for event in read_events(events) if isinstance(event, Phase) and event.epoch <= epoch)
    return max((event.epoch for event in phases if event.changed and not event.same), default=None)
