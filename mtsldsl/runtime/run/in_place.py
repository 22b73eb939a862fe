"""`train --in-place`: writing what a run decides into the person's own file, as that file is now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, rewritten
from mtsldsl.ir import Decision, Spec
from mtsldsl.runtime.run.display import warn
from mtsldsl.runtime.run.event_lines import warning_lines
from mtsldsl.runtime.run.events import LeftAlone, Start
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.sharing import Sharing
from mtsldsl.syntax import ChangedMeanwhileError, write_text_atomically

_MOST_TRIES = 3
"""How often an update is begun anew because the file was saved while it was made."""


def _absolute(path: Path) -> Path:
    return path.absolute()


@attrs.define
class InPlace:
    """A person's spec file that a run keeps up to date. `known` is the sharing that the run last left, or found, there.

    Whoever saves the file meanwhile keeps that edit: each time, the text is read anew and only its `sharing` and
    `history` are edited. Where the file no longer fits the run it is left alone, from then on; `reason` is why.
    """

    path: Path = attrs.field(converter=_absolute)
    """Absolute, for a run may go on in another folder."""
    known: Sharing
    reason: str | None = None

    @classmethod
    def of_run(cls, folder: RunFolder, spec: Spec, epoch: int) -> InPlace | None:
        """That which a run keeps up to date, by its record until this epoch; `spec` is the one that it goes on from."""
        path, reason = None, None
        for event in read_events(folder.events):
            if isinstance(event, Start):
                path = event.in_place
            elif isinstance(event, LeftAlone) and event.epoch <= epoch:
                reason = event.reason
        return cls(Path(path), spec.sharing, reason) if path else None

    def left_alone(self, folder: RunFolder, epoch: int) -> LeftAlone:
        """The event of that, with where the evolved spec is."""
        return LeftAlone(epoch=epoch, file=str(self.path), reason=str(self.reason), evolved=str(folder.spec))

    def warn(self, folder: RunFolder, epoch: int) -> None:
        """Tell a person where it is left alone."""
        if self.reason is not None:
            for line in warning_lines(self.left_alone(folder, epoch)):
                warn(line)

    def update(self, evolved: Spec, decisions: Sequence[Decision]) -> bool:
        """Bring the file to the sharing of `evolved`; false where it is left alone."""
        if self.reason is None:
            try:
                self.reason = self._write(evolved, decisions)
            except MtlError as error:
                self.reason = error.diagnostics[0].cause
        return self.reason is None

    def _write(self, evolved: Spec, decisions: Sequence[Decision]) -> str | None:
        """None, or why the file does not fit."""
        for left in reversed(range(_MOST_TRIES)):
            current = load(self.path)
            reason = self._misfit(current, evolved)
            if reason is not None:
                return reason
            if current.sharing != evolved.sharing:  # equal where a resumed run repeats a phase
                after = rewritten(current, evolved.sharing, decisions).source
                try:
                    write_text_atomically(self.path, after.text, after.bom, expected=current.source)
                except ChangedMeanwhileError:
                    if not left:
                        raise
                    continue
            break
        self.known = evolved.sharing
        return None

    def _misfit(self, current: Spec, evolved: Spec) -> str | None:
        if set(current.sharing.tasks) != set(evolved.sharing.tasks):
            return "its tasks are no longer those of the run"
        if current.layers != evolved.layers:
            return "its backbone is no longer that of the run"
        if current.sharing.tasks != evolved.sharing.tasks:
            return "its tasks are in another order than those of the run"
        if current.sharing not in (self.known, evolved.sharing):
            return "its sharing was changed by someone else"
        return None
