"""Ctrl-C, and the signal by which a system ends a process: a run ends after the step in hand."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs

_ASKING = (signal.SIGINT, signal.SIGTERM)


class EndedBySignal(KeyboardInterrupt):
    """The process is asked to end, by this signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@attrs.define
class Signals:
    """What the process was asked for while it is `over` something. A first signal waits, where it may, until
    `end_if_asked`; a second one, and any elsewhere, raises EndedBySignal at once."""

    waits: bool = False
    """Whether it may wait."""
    _asked: int | None = None
    _owner: int = attrs.field(factory=os.getpid)

    @contextmanager
    def over(self) -> Iterator[None]:
        """While open, these signals are dealt with here, where this is the main thread, which alone hears of them; but
        not those that the process was started to ignore."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {number: signal.getsignal(number) for number in _ASKING}
        heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        for number in heard:
            signal.signal(number, self._heard)
        try:
            yield
        finally:
            for number in heard:
                signal.signal(number, before[number])

    @property
    def asked(self) -> bool:
        """Whether a signal waits."""
        return self._asked is not None

    def end_if_asked(self) -> None:
        """Raise EndedBySignal where one waits."""
        if self._asked is not None:
            raise EndedBySignal(self._asked)

    def _heard(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a process that reads samples is ended by the one that has started it
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        first, self._asked = self._asked is None, number
        if not (first and self.waits):
            raise EndedBySignal(number)
