"""Ctrl-C, and the signal by which a system ends a process: a run ends after the step in hand."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

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
    _heard_of: tuple[int, ...] = ()
    _owner: int = attrs.field(factory=os.getpid)

    @contextmanager
    def over(self) -> Iterator[None]:
        """While open, these signals are dealt with here, where this is the main thread, which alone hears of them; but
        not those that the process was started to ignore."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {number: signal.getsignal(number) for number in _ASKING}
        self._heard_of = tuple(number for number, handler in before.items() if handler is not signal.SIG_IGN)
        for number in self._heard_of:
            signal.signal(number, self._heard)
        try:
            yield
        finally:
            for number in self._heard_of:
                signal.signal(number, before[number])

    @property
    def asked(self) -> bool:
        """Whether a signal waits."""
        return self._asked is not None

    def end_if_asked(self) -> None:
        """Raise EndedBySignal where one waits."""
        if self._asked is not None:
            self._end(self._asked)

    def _heard(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a process that reads samples is ended by the one that has started it
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        first, self._asked = self._asked is None, number
        if not (first and self.waits):
            self._end(number)

    def _end(self, number: int) -> NoReturn:
        """Raise it; whoever asks once more is not heard, as the process is about to end."""
        for each in self._heard_of:
            signal.signal(each, signal.SIG_IGN)
        self._heard_of = ()
        raise EndedBySignal(number)
