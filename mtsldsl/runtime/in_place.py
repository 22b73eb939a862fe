"""`train --in-place`: writing what a run decides into the person's own file, as that file is now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.sharing import Sharing
from mtsldsl.spec import Decision, Spec, load, rewritten
from mtsldsl.syntax import write_text_atomically


@attrs.define
class InPlace:
    """A person's spec file that a run keeps up to date. `known` is the sharing that the run last left, or found, there.

    Whoever saves the file meanwhile keeps that edit: each time, the text is read anew and only its `sharing` and
    `history` are edited. Where the file no longer fits the run it is left alone, from then on.
    """

    path: Path
    known: Sharing
    given_up: bool = False

    def update(self, evolved: Spec, decisions: Sequence[Decision]) -> str | None:
        """Bring the file to the sharing of `evolved`; the reason where it was left alone, None where it was written."""
        if self.given_up:
            return None
        try:
            current = load(self.path)
            reason = self._misfit(current, evolved)
            if reason is None and current.sharing != evolved.sharing:  # equal where a resumed run repeats a phase
                after = rewritten(current, evolved.sharing, decisions)
                write_text_atomically(self.path, after.source.text, after.source.bom)
            self.known = evolved.sharing
        except MtlError as error:
            reason = error.diagnostics[0].cause
        self.given_up = reason is not None
        return reason

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
