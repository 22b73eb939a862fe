"""Events: every decision and metric of a run, one JSON object a line, written as they happen and never changed.

The file, `record_file.py`, is the record; whatever a person sees while the run goes on is drawn from the same events.
Each kind is a class: those of every run are here, and of its end in `final_events.py`, those of a learner in the
`language.py` of its method. They are written and read by `event_json.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, TypeAlias

import attrs

from mtsldsl.methods.evidence import Event, Evidence
from mtsldsl.methods.method import NO_METHOD

Number: TypeAlias = float | None
"""A number; None where it is not finite, which JSON cannot say."""

Metrics: TypeAlias = Mapping[str, Mapping[str, Number]]
"""By task and then by key."""

Thresholds: TypeAlias = Mapping[str, Mapping[str, Sequence[float]]]
"""By task, by the key of a metric that is taken at the best threshold, and by column of the target."""


def left_out() -> Any:
    """A field that is not written where it is None."""
    return attrs.field(default=None, metadata={"left out": True})


@attrs.frozen(kw_only=True)
class Start(Event):
    """A run begins: what it is of, where and with what it computes, and what it reads."""

    kind = "start"
    spec: str
    spec_sha256: str
    folder: str | None
    """None where nothing is kept, in a dry run."""
    in_place: str | None
    tasks: Sequence[str]
    layers: Sequence[str]
    method: str
    balance: str
    epochs: int
    seed: int
    device: str
    threads: int | None = None
    processes: int | None = None
    """That train together; None: one."""
    python: str
    torch: str
    parameters: int
    flops: int
    modules: Sequence[Mapping[str, Any]] = ()
    data: Mapping[str, Any]
    read: Mapping[str, Any] | None = None
    loggers: Sequence[str] | None = left_out()
    """Who is told of the run's events, by name; None: nobody."""
    version: str | None = None
    """Of mtsldsl."""
    command: str | None = left_out()
    """What was typed, but for its defaults; None where no command was."""


@attrs.frozen(kw_only=True)
class Warned(Event):
    """Something a person should know, about the data or the modules."""

    kind = "warning"
    about: str
    text: str


@attrs.frozen(kw_only=True)
class Constant(Event):
    """What the best constant answer reaches."""

    kind = "constant"
    split: str
    metrics: Metrics


@attrs.frozen(kw_only=True)
class OtherData(Event):
    """The data is not what it was when the run started."""

    kind = "other_data"
    differences: Sequence[str]


@attrs.frozen(kw_only=True)
class Resume(Event):
    """A run goes on after this epoch, and after so many steps of the next one."""

    kind = "resume"
    epoch: int
    step: int | None = left_out()
    loggers: Sequence[str] | None = left_out()
    """As `start` has them."""


@attrs.frozen(kw_only=True)
class Begun(Event):
    """The network begins with other weights, whose digest this is."""

    kind = "begun"
    text: str
    sha256: str


@attrs.frozen(kw_only=True)
class Taught(Event):
    """A network teaches these tasks from now on, to the end of the run: its answers count `teach` times beside the
    labels. It is that of the run in the folder `path`, or where that is left out the run's own, as it was at the end of
    `epoch`, which is 0 for the other; `sha256` is the digest of its weights."""

    kind = "taught"
    text: str
    path: str | None = left_out()
    epoch: int = 0
    sha256: str
    tasks: Sequence[str]
    teach: float


@attrs.frozen(kw_only=True)
class Epoch(Event):
    """A pass over the training set; among its `losses`, which are those of the labels, the learner's own, called
    `penalty`, is a mean over steps. `soft` has the losses against the answers of teachers, each before it is multiplied
    by `teach`, and `teachers_seconds` the processor time that those took."""

    kind = "epoch"
    epoch: int
    losses: Mapping[str, Number]
    penalty: str | None = left_out()
    labels: Mapping[str, int] | None = left_out()
    """How many entries of each task counted in the epoch, as `start` counts them; None where no task lacks any in the
    training set."""
    lr: float
    epoch_seconds: float
    samples_per_second: float | None
    seconds: float
    peak_memory_mb: float | None = None
    """The most memory that the process (with several: the first) has held at once so far, in 10^6 bytes: on CUDA what
    torch allocated of the device's, elsewhere resident memory."""
    soft: Mapping[str, Number] | None = left_out()
    teachers_seconds: float | None = left_out()
    skipped_steps: int | None = left_out()
    """How many steps were not made, as a gradient was too large for fp16; left out where all were made."""


@attrs.frozen(kw_only=True)
class Weighed(Event):
    """By what the balance multiplied the loss of each task, or its gradient on shared weights, at some `steps` of an
    epoch, counted from 1: `weights` has for each task as many numbers, None where it had no part in the step."""

    kind = "balance"
    epoch: int
    steps: Sequence[int]
    weights: Mapping[str, Sequence[Number]]

    def means(self) -> dict[str, float]:
        """For each task the mean over the steps in which it had a part; of tasks without any there is none."""
        known = {task: [each for each in found if each is not None] for task, found in self.weights.items()}
        return {task: fmean(found) for task, found in known.items() if found}


@attrs.frozen(kw_only=True)
class Gradients(Event):
    """How large the gradients of the tasks are on the weights that they share, at the first step of an epoch in which
    each has a part, and by what the balance multiplied them there (`weights`, None where it is not one number a task).
    `together` are the tasks that are linked by such weights."""

    kind = "gradients"
    epoch: int
    norms: Mapping[str, Number]
    weights: Mapping[str, Number]
    together: Sequence[Sequence[str]]

    def shares(self) -> dict[str, float]:
        """For each task its part, from 0 to 1, of what the norms of the linked tasks add up to, each as it was
        weighed; of tasks whose norm or weight is not known there is none."""
        found = {}
        for tasks in self.together:
            counted = {task: self._counted(task) for task in tasks}
            known = {task: each for task, each in counted.items() if each is not None}
            total = sum(known.values())
            found.update({task: each / total for task, each in known.items() if total})
        return found

    def _counted(self, task: str) -> Number:
        norm, weight = self.norms.get(task), self.weights.get(task)
        return None if norm is None or weight is None else norm * abs(weight)


@attrs.frozen(kw_only=True)
class Validation(Event):
    """What an epoch reached; `best` are the tasks whose best epoch it is so far, `since` that of the last merge.

    `averaged` is over how many steps the weights that reached it are a mean, where `keep` asks for one; `thresholds`
    has for metrics that are taken at the best threshold what that is, by column of the target."""

    kind = "validation"
    epoch: int
    losses: Mapping[str, Number]
    metrics: Metrics
    gains: Mapping[str, Number]
    gain: Number
    best: Sequence[str]
    since: int | None = None
    averaged: int | None = left_out()
    thresholds: Mapping[str, Mapping[str, Sequence[float]]] | None = left_out()


@attrs.frozen(kw_only=True)
class Best(Event):
    """The weights of this epoch are kept for these tasks, of the network or (`own`) of a single task."""

    kind = "best"
    epoch: int
    own: bool
    tasks: Sequence[str]
    score: Number


@attrs.frozen(kw_only=True)
class Phase(Event):
    """A structural phase: what the learner of a method found (`evidence`) and proposed (`decisions`, as `history` has
    them), what either network reaches on validation, whether the proposal was accepted, and the cost of what is then.

    Without decisions nothing was proposed; in runs of earlier versions none are recorded.
    """

    kind = "phase"
    epoch: int
    method: str = NO_METHOD
    evidence: Evidence = attrs.field(factory=dict, metadata={"spread": True})
    decisions: Sequence[str] = ()
    before: Mapping[str, Any] | None = left_out()
    after: Mapping[str, Any] | None = left_out()
    accepted: bool | None = left_out()
    parameters: int | None = left_out()
    flops: int | None = left_out()
    same: bool | None = left_out()
    """Whether the network computes what it did before, so that the best epoch may be an earlier one."""

    @evidence.validator
    def _has_names_of_its_own(self, _: object, evidence: Evidence) -> None:
        taken = sorted(evidence.keys() & {"event", *(field.name for field in attrs.fields(type(self)))})
        if taken:
            raise ValueError(f"a phase has a field `{taken[0]}` already; give the evidence another name")

    @property
    def changed(self) -> bool:
        """Whether the network is another one since."""
        return self.parameters is not None


@attrs.frozen(kw_only=True)
class LeftAlone(Event):
    """The person's file does not follow the run any more."""

    kind = "left_alone"
    epoch: int
    file: str
    reason: str
    evolved: str


@attrs.frozen(kw_only=True)
class Stopped(Event):
    """The run ends before its last epoch: none was better than those before in so many epochs."""

    kind = "stopped"
    epoch: int
    patience: int


@attrs.frozen(kw_only=True)
class TaskStopped(Event):
    """A task learns no more: it was not better in so many epochs."""

    kind = "task_stopped"
    epoch: int
    task: str
    patience: int


@attrs.frozen(kw_only=True)
class Beside(Event):
    """What an epoch reached of a network that is trained beside the run's own. `best` has each set of tasks of which it
    is the best epoch so far, with its score; the rest is as `validation` has it."""

    kind = "beside"
    epoch: int
    names: Sequence[str]
    losses: Mapping[str, Number]
    metrics: Metrics
    gain: Number
    best: Sequence[tuple[Sequence[str], Number]]
    thresholds: Mapping[str, Mapping[str, Sequence[float]]] | None = left_out()


@attrs.frozen(kw_only=True)
class DryRun(Event):
    """What a run would take, by its first steps and a batch of validation; said, and in no record.

    `losses` are those of the `steps` that were made, among them the learner's own, called `penalty`; seconds are of one
    step, of one batch of evaluation, and by these of an epoch and of all `epochs`, without structural phases; the
    memory as of an epoch."""

    kind = "dry_run"
    steps: int
    losses: Mapping[str, Number]
    penalty: str | None = left_out()
    validation: Mapping[str, Number]
    step_seconds: float
    batch_seconds: float
    epoch_steps: int
    epoch_batches: int
    epochs: int
    epoch_seconds: float
    run_seconds: float
    peak_memory_mb: float | None


def whole(labels: Mapping[str, Any]) -> bool:
    """Whether every entry of a task counts in a split, as the `data` of `start` has its labels."""
    return bool(labels["entries"] == labels["of"])


def epoch_of(event: Event) -> int:
    """The epoch that an event belongs to, 0 before the first."""
    return int(getattr(event, "epoch", 0))
