"""The best epochs of a run: each is judged by what it reaches on validation, and the weights of the best are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mtsldsl.diagnostics import Source
from mtsldsl.editing import rewritten
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.objectives.constant import constant_metrics
from mtsldsl.runtime.objectives.relative_gain import Results
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.checkpoint import keep_own_weights, keep_weights
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_beside import KeptBeside
from mtsldsl.runtime.run.record_file import EventLog
from mtsldsl.runtime.run.selection import OWN, Best, Selection, best_so_far, gains, last_merge, mean_of, voting


@attrs.define
class BestEpochs:
    """Those of a run's own network, by `selection`, and of the networks that are trained beside it."""

    folder: RunFolder
    selection: Selection
    since: int | None = None
    """The epoch at whose end tasks last merged: earlier ones are of another network."""
    _constant: Results = attrs.field(factory=dict)
    _beside: KeptBeside | None = None

    @classmethod
    def of(cls, spec: Spec, folder: RunFolder, epoch: int = 0) -> BestEpochs:
        """Of a run of a spec; those that its record has up to the epoch after which it goes on."""
        selection = Selection(spec.train.keep)
        if not epoch:
            return cls(folder, selection)
        selection.best.update(best_so_far(folder.events, epoch))
        return cls(folder, selection, last_merge(folder.events, epoch))

    def compare_with_constant(self, spec: Spec, data: Splits[Any]) -> Results:
        """What the best constant answer reaches on validation, by which epochs are judged from now on."""
        self._constant = constant_metrics(spec.tasks, data.validation)
        self._beside = KeptBeside(self.folder, data, self._constant)
        return self._constant

    def resume(self, epoch: int) -> None:
        """Go on with the networks beside after an epoch."""
        if self._beside is not None:
            self._beside.resume(epoch)

    def end_epoch(self, training: Training, validation: Evaluation, log: EventLog) -> None:
        """Log the validation, and keep the weights of the present structure where they are the best so far."""
        gained = gains(validation.metrics, self._constant)
        found = self._better(training, validation, gained)
        chosen = [task for name, best in found.items() if not name.startswith(OWN) for task in best.tasks]
        log.write(
            events.Validation(
                epoch=training.epoch,
                losses=validation.losses,
                metrics=validation.metrics,
                gains=gained,
                gain=mean_of(gained[task] for task in voting(training.spec, gained)),
                best=self.selection.marked(training.epoch),
                since=self.since,
                averaged=training.averaged_steps,
                thresholds=validation.thresholds or None,
            )
        )
        own = {name for name in found if name.startswith(OWN)}
        if found:
            source = _present_source(training)
            keep_weights(self.folder, training, chosen, source)
            keep_own_weights(self.folder, training, [found[name].tasks[0] for name in own], source)
        for name, best in found.items():
            log.write(events.Best(epoch=best.epoch, own=name in own, tasks=best.tasks, score=best.score))
        if self._beside is not None:
            self._beside.end_epoch(training, log)

    def _better(self, training: Training, validation: Evaluation, gained: Mapping[str, float]) -> dict[str, Best]:
        """What this epoch is the best of so far, by the names of `Selection.best`."""
        selection, epoch = self.selection, training.epoch
        sets = selection.sets(training.spec, whole=training.present is not training.spec)
        selection.note_sets(sets, training.spec, epoch, gained, validation.metrics)
        for task, gain in gained.items():
            selection.note(f"{OWN}{task}", (task,), epoch, gain)
        return {name: best for name, best in selection.best.items() if best.epoch == epoch}

    def improving(self, epoch: int, patience: int) -> bool:
        """Whether a set of tasks, or a network beside, was better within so many epochs."""
        if self.selection.epochs_since_better(epoch) < patience:
            return True
        return self._beside is not None and self._beside.improving(epoch, patience)

    def begin_anew(self, epoch: int) -> None:
        """From the end of this epoch on the network is another one."""
        self.selection.best.clear()
        self.since = epoch

    def finish(self, training: Training, own: final_events.Test, log: EventLog) -> None:
        """Report the test set for the networks beside, once it is known for the run's `own`."""
        if self._beside is not None:
            self._beside.finish(training, own, log)


def _present_source(training: Training) -> Source:
    """The text of the spec as it would be if the run ended here, without what helps in training alone."""
    present = training.present.served()
    same = present is training.spec
    return training.spec.source if same else rewritten(training.spec, present.sharing).source
