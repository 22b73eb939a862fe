"""Work that other processes do ahead of this one, in the order in which it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

Asked = TypeVar("Asked")
Found = TypeVar("Found")


def in_turn(work: Callable[[Asked], Found], asked: Sequence[Asked], workers: int) -> Iterator[Found]:
    """What `work` gives for each, one after the other; by so many other processes, or with 0 in this one as it is
    wanted. `work` should give what is wrong rather than raise it, as an error loses its fields on its way here.

    Raises WorkerEnded where such a process is no more.
    """
    workers = min(workers, len(asked))
    if workers:
        # a generator of its own, as the loader draws a number, which nothing here depends on
        generator = torch.Generator()
        loader = DataLoader(
            _Work(work), batch_size=None, sampler=asked, num_workers=workers, collate_fn=_as_it_is, generator=generator
        )
        try:
            yield from loader
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker"):  # so torch tells of them, by text alone
                raise
            raise WorkerEnded(str(error)) from error
    else:
        yield from map(work, asked)


class WorkerEnded(RuntimeError):
    """A process that does work ahead ended by itself, or was ended."""


class _Work(Dataset[Found], Generic[Asked, Found]):
    def __init__(self, work: Callable[[Asked], Found]) -> None:
        self._work = work

    def __getitem__(self, asked: Asked) -> Found:
        return self._work(asked)


def _as_it_is(found: Found) -> Found:
    return found
