"""What runs reach on pictures as they are, and on corrupted ones: per corruption, in the mean, and as Delta-m."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import attrs

from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.objectives.metric_set import higher_is_better
from mtsldsl.runtime.objectives.relative_gain import Results, relative_gain
from mtsldsl.runtime.run.event_json import plain
from mtsldsl.runtime.studies.gain import delta_m

FORMAT_VERSION = 1

CLEAN, MEAN = "clean", "mean"
"""The rows beside those of corruptions: pictures as they are, and the mean over corruptions."""


@attrs.frozen(eq=False)
class RunRow:
    """A run: what its weights `of`, and `whose` they are in words, reach on clean pictures, and by corruption and
    severity. `counted` are the tasks that Delta-m is a mean of."""

    name: str
    of: str
    whose: tuple[str, ...]
    epochs: Mapping[str, int]
    samples: int
    counted: tuple[str, ...]
    clean: Evaluation
    corrupted: Mapping[tuple[str, int], Evaluation]

    @property
    def metrics(self) -> tuple[tuple[str, str], ...]:
        """Every metric, behind its task."""
        return tuple((task, key) for task, found in self.clean.metrics.items() for key in found)

    def change(self, value: float, task: str, key: str) -> float:
        """How much better than on clean pictures a value is, in percent: below 0 where it is worse."""
        return relative_gain(value, self.clean.metrics[task][key], better_high=higher_is_better(key))


@attrs.frozen(eq=False)
class Robustness:
    """Several runs under the same corruptions, each at every severity."""

    split: str
    seed: int
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    runs: tuple[RunRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """Clean, every corruption, and their mean."""
        return CLEAN, *self.corruptions, MEAN

    def results(self, run: RunRow, row: str) -> Results:
        """What a run has of every metric in a row: of a corruption the mean over severities, and in the last row the
        mean over corruptions."""
        if row == CLEAN:
            return run.clean.metrics
        names = self.corruptions if row == MEAN else (row,)
        found = [run.corrupted[name, severity].metrics for name in names for severity in self.severities]
        return {
            task: {key: fmean(each[task][key] for each in found) for key in values}
            for task, values in run.clean.metrics.items()
        }

    def against_clean(self, run: RunRow, row: str) -> float | None:
        """The Delta-m of a row against clean pictures; None where no task counts or it is no number."""
        return _gain(self.results(run, row), run.clean.metrics, run.counted)

    def against_first(self, run: RunRow, row: str) -> float | None:
        """The Delta-m of a row against the same row of the first run; None where it is that run, lacks a metric of it,
        or there is no number."""
        first = self.runs[0]
        if run is first or not set(_counted(first)) <= set(run.metrics):
            return None
        return _gain(self.results(run, row), self.results(first, row), first.counted)

    def as_json(self) -> dict[str, Any]:
        """What other programs read, with every number; `format_version` changes when what is there does."""
        found: dict[str, Any] = plain(
            {
                "format_version": FORMAT_VERSION,
                "split": self.split,
                "seed": self.seed,
                "corruptions": self.corruptions,
                "severities": self.severities,
                "runs": [self._run_as_json(run) for run in self.runs],
                "notes": self.notes,
            }
        )
        return found

    def _run_as_json(self, run: RunRow) -> dict[str, Any]:
        return {
            "run": run.name,
            "of": run.of,
            "epochs": run.epochs,
            "samples": run.samples,
            "counted": run.counted,
            "clean": attrs.asdict(run.clean),
            "corrupted": [
                {"corruption": name, "severity": severity, **attrs.asdict(found)}
                for (name, severity), found in run.corrupted.items()
            ],
            "rows": [
                {
                    "row": row,
                    "metrics": self.results(run, row),
                    "delta_m_against_clean": self.against_clean(run, row),
                    "delta_m_against_first": self.against_first(run, row),
                }
                for row in self.rows
            ],
        }


def _counted(run: RunRow) -> Iterator[tuple[str, str]]:
    return ((task, key) for task, key in run.metrics if task in run.counted)


def _gain(metrics: Results, baseline: Results, counted: Sequence[str]) -> float | None:
    if not counted:
        return None
    mean = delta_m(metrics, {task: baseline[task] for task in counted}).mean
    return mean if math.isfinite(mean) else None
