"""The networks that a learner trains beside the run's own: which epoch of each is kept, and what that reaches.

They are kept by the rules of the run's own network, each by itself: `<method>/<name>.mtl` with its weights beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.learning.beside import Beside
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model, place
from mtsldsl.runtime.objectives.relative_gain import Results
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.checkpoint import MEAN, WEIGHTS, copy_whole, keep_network, load_weights
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.record_file import EventLog, read_events
from mtsldsl.runtime.run.selection import (
    Best,
    Selection,
    best_so_far,
    gains,
    mean_of,
    name_of_set,
    thresholds_of,
    voting,
)

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII)


@attrs.define
class KeptBeside:
    """Those of a run, with the best epochs so far of each, by the first of its names."""

    folder: RunFolder
    data: Splits[Any]
    constant: Results
    _selections: dict[str, Selection] = attrs.field(factory=dict)

    def resume(self, epoch: int) -> None:
        """Know again what was kept up to that epoch, by the events of the run."""
        for event in read_events(self.folder.events):
            if isinstance(event, events.Beside) and event.epoch <= epoch:
                selection = self._selections.setdefault(event.names[0], Selection("best"))
                for tasks, score in event.best:
                    score = float("nan") if score is None else score
                    selection.best[name_of_set(tasks)] = Best(tuple(tasks), event.epoch, score)

    def end_epoch(self, training: Training, log: EventLog) -> None:
        """Log the validation of each, and keep its weights where they are the best so far."""
        for each in training.learner.beside():
            spec, epoch = each.spec, training.epoch
            found = evaluate(each.kept, spec, self.data.validation, training.device, thresholds=None)
            gained = gains(found.metrics, self.constant)
            selection = self._selections.setdefault(each.names[0], Selection(spec.train.keep))
            selection.keep = spec.train.keep
            selection.note_sets(selection.sets(spec), spec, epoch, gained, found.metrics)
            best = [each for each in selection.best.values() if each.epoch == epoch]
            log.write(
                events.Beside(
                    epoch=epoch,
                    names=each.names,
                    losses=found.losses,
                    metrics=found.metrics,
                    gain=mean_of(gained[task] for task in voting(spec, gained)),
                    best=[(one.tasks, one.score) for one in best],
                    thresholds=found.thresholds or None,
                )
            )
            self._keep(each, [task for one in best for task in one.tasks])

    def improving(self, epoch: int, patience: int) -> bool:
        """Whether one of them was better within so many epochs; where the last is kept, that is not looked at."""
        looked_at = (each for each in self._selections.values() if not each.latest)
        return any(each.epochs_since_better(epoch) < patience for each in looked_at)

    def _keep(self, each: Beside, tasks: Sequence[str]) -> None:
        self.folder.beside.mkdir(exist_ok=True)
        for name in each.names:
            keep_network(self.folder.beside / name, each.spec, each.kept, tasks, each.spec.source)

    def finish(self, training: Training, own: final_events.Test, log: EventLog) -> None:
        """Report the test set once for each, the run's `own` among them; that is kept under its names too."""
        learner = training.learner
        if not learner.own_names:
            return
        self.folder.beside.mkdir(exist_ok=True)
        for name in learner.own_names:
            for ending in (f".{WEIGHTS}", ".mtl"):
                copy_whole(self.folder.best / f"{MEAN}{ending}", self.folder.beside / f"{name}{ending}")
        log.write(
            final_events.BesideTest(
                names=learner.own_names,
                own=True,
                losses=own.losses,
                metrics=own.metrics,
                epochs=own.epochs,
                parameters=own.parameters,
                flops=own.flops,
                thresholds=own.thresholds,
            )
        )
        for each in learner.beside():
            spec, model = each.spec, place(build_model(each.spec), each.spec, training.device)
            load_weights(self.folder.beside / f"{each.names[0]}.{WEIGHTS}", model)
            epochs = self._selections[each.names[0]].epochs()
            thresholds = thresholds_of(self.folder.events, epochs, each.names[0])
            test = evaluate(model, spec, self.data.test, training.device, thresholds=thresholds)
            cost = spec.cost()
            log.write(
                final_events.BesideTest(
                    names=each.names,
                    losses=test.losses,
                    metrics=test.metrics,
                    epochs=epochs,
                    parameters=cost.parameters,
                    flops=cost.flops,
                    thresholds=test.thresholds or None,
                )
            )


def names_beside(folder: RunFolder) -> list[str]:
    """What the networks beside a run's own are called, once they are kept."""
    return sorted(path.stem for path in folder.beside.glob("*.mtl"))


def called(folder: RunFolder, of: str) -> str:
    """The name of the network beside the run's own that is meant, as it is kept: a budget may be given as `1` or `.5`.
    Any other name stays as it is."""
    names = names_beside(folder)
    if of in names or not _NUMBER.fullmatch(of):
        return of
    return next((name for name in names if _NUMBER.fullmatch(name) and float(name) == float(of)), of)


def epochs_kept(folder: RunFolder, spec: Spec, of: str = MEAN) -> dict[str, int]:
    """The epoch whose weights each task has in what `load_best` gives."""
    if of not in names_beside(folder):
        found = Selection(spec.train.keep, best_so_far(folder.events)).epochs(of)
        if not found:
            raise MtlError.of("MTL801", f"`{folder.path}` has no finished epoch yet", "let the run end its first epoch")
        return found
    return dict(tested(folder, of).epochs)


def thresholds_kept(folder: RunFolder, epochs: Mapping[str, int], of: str = MEAN) -> dict[str, Any]:
    """The thresholds that validation chose for them."""
    if of not in names_beside(folder):
        return thresholds_of(folder.events, epochs)
    return dict(tested(folder, of).thresholds or {})


def tested(folder: RunFolder, name: str) -> final_events.BesideTest:
    """What a network of that name has reached on the test set. Raises MtlError MTL801 before the run ends."""
    every = (each for each in read_events(folder.events) if isinstance(each, final_events.BesideTest))
    found = next((each for each in every if name in each.names), None)
    if found is None:
        raise MtlError.of(
            "MTL801", f"`{folder.path}` has not ended, and `{name}` is not evaluated yet", "let the run end"
        )
    return found
