"""Work that other processes do ahead of this one, in the order in which it is asked for."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from statistics import median
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import attrs
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mtsldsl.diagnostics import Diagnostic, MtlError, Span
from mtsldsl.runtime.data.read_samples import Rows

Task = TypeVar("Task")
Found = TypeVar("Found")

Asked: TypeAlias = tuple[Rows, Sequence[str], tuple[int, int]]
"""The numbers of samples, the fields that are read of them, and the key, as `Reader` has them."""


QUICK = 0.02
"""Seconds in which a batch is read that is read here: to hand it on takes longer, and processes take a while to start.
`benchmarks/workers.py --handing` measures what that takes."""


def seconds_of(work: Callable[[Task], object], asked: Sequence[Task]) -> float:
    """How long `work` takes for one of these, done here."""
    taken = []
    for each in asked:
        start = time.perf_counter()
        work(each)
        taken.append(time.perf_counter() - start)
    return median(taken) if taken else 0.0


class Processes:
    """So many processes beside this one; with 0 this one works itself, as work is wanted.

    To start them takes longer than many passes over small data do, so they stay: the next pass of the same work finds
    them. They end with this, so no `work` may lead to it. Nothing of them goes along where this is copied to another
    process.
    """

    def __init__(self, count: int, called: str, span: Span | None) -> None:
        """What they read is `called` so in reports, and is declared at `span`."""
        self.count, self.called, self.span = count, called, span
        self._started: _Started | None = None

    def __reduce__(self) -> tuple[type[Processes], tuple[int, str, Span | None]]:
        return Processes, (self.count, self.called, self.span)

    def worth_while(self, seconds: float, batch: int) -> Processes:
        """These, or none where samples that take so long each are read no quicker by them, a batch at a time."""
        return self if not self.count or seconds * batch >= QUICK else Processes(0, self.called, self.span)

    def remark_on_none(self, given: int, batch: int) -> Iterator[str]:
        """What a person should know where these are none, and `given` were asked for."""
        if given and not self.count:
            yield (
                f"`--workers {given}` does nothing for {self.called}: a batch of {batch} is read in less than "
                f"{1000 * QUICK:g} ms, and would take longer to be handed on"
            )

    def in_turn(self, work: Callable[[Task], Found], asked: Sequence[Task]) -> Iterator[Found]:
        """What `work` gives for each, one after the other. What is asked for once is done here, where it takes no
        longer. An MtlError that it raises is raised when its turn comes; MTL607 where a process is no more, whatever it
        was at: starting, reading, or waiting for the next pass."""
        if not self.count or len(asked) < 2:
            yield from map(work, asked)
            return
        started = self._started
        if started is None or started.work != work or started.busy:  # a pass within another has its own
            started = _Started.of(work, self.count)
        self._started, started.busy, started.asked[:] = started, True, asked
        try:
            for found in started.found():
                if isinstance(found, _Wrong):
                    raise MtlError(found.diagnostics)
                yield found
        except (RuntimeError, OSError, EOFError) as error:
            if not _is_of_ended(error):
                raise
            self._started = None
            cause = f"a process that reads samples of {self.called} has ended: {error}"
            remedy = (
                "see that they have enough memory, shared memory too (/dev/shm), and that no code ends its process; or "
                "read in one process, with `--workers 0`, where an error is seen"
            )
            raise MtlError.of("MTL607", cause, remedy, self.span) from error
        finally:
            started.busy = False


def _is_of_ended(error: Exception) -> bool:
    """Whether it says that a process is no more, and is none that its work has raised: torch tells of either by text
    alone. What a process sends is fetched from it, which fails where it ends after it has sent it."""
    said = str(error)
    return said.startswith("DataLoader worker") if isinstance(error, RuntimeError) else not said.startswith("Caught ")


@attrs.define(eq=False)
class _Started:
    """Processes that do the same work in every pass, and the list of what is asked of them in this one."""

    work: Callable[[Any], Any]
    asked: list[Any]
    loader: DataLoader[Any]
    busy: bool = False
    children: list[BaseProcess] = attrs.field(factory=list)
    """The processes, once they are there."""

    @classmethod
    def of(cls, work: Callable[[Any], Any], count: int) -> _Started:
        asked: list[Any] = []
        loader = DataLoader(
            _Work(work),
            batch_size=None,
            sampler=asked,
            num_workers=count,
            collate_fn=_as_it_is,
            worker_init_fn=_end_with_parent if threading.current_thread() is threading.main_thread() else None,
            persistent_workers=True,
            # of its own, as the loader draws a number, which nothing here depends on
            generator=torch.Generator(),
        )
        started = cls(work, asked, loader)
        # a loader that is garbage with what leads to it, as a traceback does, has lost its queues before it ends its
        # processes, and waits for each in vain for seconds; so something else holds it
        weakref.finalize(started, _let_go, loader).atexit = False
        return started

    def found(self) -> Iterator[Any]:
        """What is asked for, in its order. Raises RuntimeError as torch does where a process has ended."""
        with _told_of_ended():
            self._require_alive()
            before = set(active_children())
            iterator = iter(self.loader)
            self.children += [child for child in active_children() if child not in before]
        while True:
            with _told_of_ended():
                self._require_alive()
                try:
                    found = next(iterator)
                except StopIteration:
                    return
            yield found

    def _require_alive(self) -> None:
        """Raise as torch does where a process has ended while nobody waited for it."""
        ended = [str(child.pid) for child in self.children if not child.is_alive()]
        if ended:
            raise RuntimeError(f"DataLoader worker (pid {', '.join(ended)}) ended before it was asked")


def _end_with_parent(_: int) -> None:
    """Let the system end this process when the one that has started it is gone, however it ended: one that waits for
    what it has read to be taken would wait for ever. On Linux alone; elsewhere torch looks every few seconds."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


_torchs: list[Any] = []
"""What torch does at the signal of a process that has ended, once it has said so."""


@contextmanager
def _told_of_ended() -> Iterator[None]:
    """While open, torch hears of a process that ends, and raises RuntimeError. Elsewhere it would do so in the midst of
    whatever goes on in this process, as a step of training."""
    if os.name == "nt" or threading.current_thread() is not threading.main_thread():  # which alone hears of signals
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    if _torchs:
        signal.signal(signal.SIGCHLD, _torchs[0])
    try:
        yield
    finally:
        now = signal.getsignal(signal.SIGCHLD)
        if not _torchs and now is not before:
            _torchs.append(now)
        signal.signal(signal.SIGCHLD, before)


@attrs.frozen
class _Wrong:
    """What an error says, which loses its fields on its way from one process to another."""

    diagnostics: tuple[Diagnostic, ...]


class _Work(Dataset[Any], Generic[Task, Found]):
    def __init__(self, work: Callable[[Task], Found]) -> None:
        self._work = work

    def __getitem__(self, asked: Task) -> Found | _Wrong:
        try:
            return self._work(asked)
        except MtlError as error:
            return _Wrong(tuple(error.diagnostics))


def _let_go(_: object) -> None:
    """What holds the other is gone."""


def _as_it_is(found: Found) -> Found:
    return found


class Samplewise(Protocol):
    """What reads samples by their numbers, and knows nothing of processes."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """What one sample has of each field."""

    def stacked(self, asked: Asked) -> dict[str, Tensor]:
        """These fields of the samples, in memory of their own."""


@attrs.frozen(eq=False)
class ReadAhead:
    """A `Reader` of what `source` reads, by processes beside this one."""

    source: Samplewise
    processes: Processes

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """What one sample has of each field."""
        return self.source.shapes

    def in_turn(
        self, lists: Sequence[Rows], fields: Sequence[str], key: tuple[int, int]
    ) -> Iterator[dict[str, Tensor]]:
        """For each of several lists of numbers these fields of the samples, stacked."""
        return self.processes.in_turn(self.source.stacked, [(rows, fields, key) for rows in lists])
