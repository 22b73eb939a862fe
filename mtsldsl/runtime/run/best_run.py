"""The best weights of a run, evaluated on its data as the run itself would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Mixed, Samples, Splits, load_data
from mtsldsl.runtime.learning.evaluation import Evaluation, evaluate
from mtsldsl.runtime.network.source_file import original_spans
from mtsldsl.runtime.objectives import Thresholds
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.checkpoint import MEAN
from mtsldsl.runtime.run.data_record import recorded_places, warn_of_other_code, warn_of_other_data
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_beside import called, epochs_kept, thresholds_kept
from mtsldsl.runtime.run.selection import lacks_thresholds, steps_of_mean
from mtsldsl.runtime.run.threads import use_threads


@attrs.frozen(eq=False)
class BestRun:
    """The spec and the network of a run with its best weights, or those of the task `of` alone, or a network that was
    trained beside the run's own, on a device."""

    path: Path
    folder: RunFolder
    spec: Spec
    model: nn.Module
    of: str
    device: torch.device
    threads: int
    """With so many it is evaluated."""

    @classmethod
    def open(
        cls, path: Path, of: str, settings: Mapping[str, str], device: torch.device, threads: int | None
    ) -> BestRun:
        """Raises MtlError as `load_best` does."""
        folder = RunFolder.open(path)
        of = called(folder, of)
        spec, model = load_best(folder, device, of, settings)
        use_threads(threads, spec, device, folder.events)
        return cls(path, folder, spec, model, of, device, torch.get_num_threads())

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those that are evaluated."""
        names = self.spec.sharing.tasks
        return (self.of,) if self.of in names else names

    @property
    def whose(self) -> tuple[str, ...]:
        """What a person is told of the weights where they are not those that the run is known by."""
        if self.of == MEAN:
            return ()
        own = self.of in self.spec.sharing.tasks
        return (f"weights of {self.of}'s own best epoch" if own else f"the network `{self.of}`",)

    @property
    def epochs(self) -> dict[str, int]:
        """The epoch whose weights each task has."""
        return epochs_kept(self.folder, self.spec, self.of)

    @property
    def averaged(self) -> int | None:
        """How many steps the weights are a mean over; None where they are none."""
        return steps_of_mean(self.folder.events, set(self.epochs.values()))

    def data(self, *, cache: bool, workers: int) -> Splits[Any]:
        """What it was trained on; where that is other data now, a person is told."""
        with self._computing():
            warn_of_other_code(self.spec, self.folder.events)
            found = load_data(self.spec, recorded_places(self.spec, self.folder.events), cache=cache, workers=workers)
            warn_of_other_data(self.spec, found, self.folder.events)
            return found

    def thresholds(self, data: Splits[Any]) -> dict[str, Thresholds]:
        """Those of metrics that have some, as validation chose them; where the run did not measure one, as it is set
        now, they are chosen there first."""
        found = thresholds_kept(self.folder, self.epochs, self.of)
        chosen = [task for task in self.spec.tasks if task.name in self.tasks]
        if unknown := [task.name for task in chosen if lacks_thresholds(task, found)]:
            with self._computing():
                found |= evaluate(
                    self.model, self.spec, data.validation, self.device, unknown, thresholds=None
                ).thresholds
        return found

    def evaluated(
        self, samples: Samples | Mixed, thresholds: Mapping[str, Thresholds], spec: Spec | None = None
    ) -> Evaluation:
        """On some samples; by another spec where its tasks read other fields of these."""
        tasks = [self.of] if self.of in self.spec.sharing.tasks else None
        with self._computing():
            return evaluate(self.model, spec or self.spec, samples, self.device, tasks, thresholds=thresholds)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """With its own number of threads, and places of errors in the file that a person wrote."""
        torch.set_num_threads(self.threads)
        with original_spans(self.spec):
            yield
