"""Which of several processes says why their run has ended."""

from __future__ import annotations

import os
import signal
from contextlib import ContextDecorator

RUN_ID = "mtsldsl"
"""By which processes know that `start_processes` has started them."""

LOST = 75
"""The exit status (EX_TEMPFAIL) of such a process that another one has left alone: it has nothing to say."""


def watched_over() -> bool:
    """Whether `start_processes` has started this process, and says why the run has ended."""
    return os.environ.get("TORCHELASTIC_RUN_ID") == RUN_ID


class LastWords(ContextDecorator):
    """A process that fails in here says why and ends by itself, even where the launcher would end it for another
    that has failed. So its exit status tells whether it has said it: the launcher's signal does where it has not."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and watched_over():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
