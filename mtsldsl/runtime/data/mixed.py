"""Samples of several sources in one run: which batch comes next, and whom it serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import attrs
import torch
from torch import Tensor

from mtsldsl.ir.model import Spec, Stream
from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.data.batches import batches, generator, steps_per_epoch
from mtsldsl.runtime.data.samples import Samples
from mtsldsl.seeds import seed_of


@attrs.frozen(eq=False)
class Mixed:
    """The samples of each source of a spec that has several, by the sources' names and in their order."""

    parts: Mapping[str, Samples]
    streams: tuple[Stream, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    def of_task(self, task: str) -> Samples:
        """The samples that a task reads."""
        return next(self.parts[stream.name] for stream in self.streams if task in stream.tasks)


def streamed(spec: Spec, samples: Samples | Mixed) -> Iterator[tuple[Stream, Samples]]:
    """Every source of a spec with its samples."""
    if isinstance(samples, Samples):
        (stream,) = spec.streams
        yield stream, samples
    else:
        for stream in samples.streams:
            yield stream, samples.parts[stream.name]


def read_by(samples: Samples | Mixed, task: str) -> Samples:
    """The samples that a task reads."""
    return samples if isinstance(samples, Samples) else samples.of_task(task)


def shares(steps: Sequence[int], sampling: Named) -> list[int]:
    """How many batches each source gives to an epoch, from how many it has; every source gives one at least.

    - `proportional`: all that it has.
    - `equal`: as many batches in all as the sources have, each source the same number of them, rounded up.
    - `temperature(x)`: as many in all as the sources have, each in proportion to what it has to the power of x, rounded
      to the nearest: 1 is proportional, 0 equal.
    - `round_robin`: as many as the largest source has.
    """
    total = sum(steps)
    match sampling.name:
        case "proportional":
            return list(steps)
        case "equal":
            return [-(-total // len(steps))] * len(steps)
        case "round_robin":
            return [max(steps)] * len(steps)
        case "temperature":
            weights = [each ** number(sampling.arguments, "power") for each in steps]
            return [max(1, round(total * weight / sum(weights))) for weight in weights]
    raise ValueError(f"there is no sampling {sampling.name!r}")


@attrs.frozen(eq=False)
class Schedule:
    """The batches of an epoch: `order` has for each of them the place of its source.

    The order is drawn from `seed` and `epoch`: all batches shuffled, or with `round_robin` rounds of one batch of every
    source, each round in an order of its own. A source that gives more batches than it has goes through its samples
    again, in another order; one that gives fewer, and each source's last samples short of a batch, are left out.
    """

    mixed: Mixed
    batch: Mapping[str, int]
    order: Sequence[int]
    seed: int
    epoch: int

    @classmethod
    def of(cls, mixed: Mixed, batch: Mapping[str, int], sampling: Named, *, seed: int, epoch: int) -> Schedule:
        """The schedule of batches of so many samples, by data block."""
        steps = [steps_per_epoch(mixed.parts[each.name], batch[each.data.name]) for each in mixed.streams]
        given = shares(steps, sampling)
        chance = generator(seed, epoch, 0)
        if sampling.name == "round_robin":
            rounds = (torch.randperm(len(given), generator=chance).tolist() for _ in range(given[0]))
            order = [place for each in rounds for place in each]
        else:
            every = torch.tensor([place for place, times in enumerate(given) for _ in range(times)])
            order = every[torch.randperm(len(every), generator=chance)].tolist()
        return cls(mixed, batch, order, seed, epoch)

    def __len__(self) -> int:
        return len(self.order)

    @property
    def samples(self) -> int:
        """How many samples its batches have in all."""
        streams = self.mixed.streams
        return sum(self.batch[streams[place].data.name] for place in self.order)

    def batches(
        self, augment: Mapping[str, Sequence[Named]], device: torch.device | str, first: int = 0
    ) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
        """Each batch from the one with the number `first` on, as `batches` gives it, behind the tasks that it serves;
        `augment` is by data block."""
        given = Counter(self.order[:first])
        sources = [
            self._endless(stream, augment, device, given[place]) for place, stream in enumerate(self.mixed.streams)
        ]
        for place in self.order[first:]:
            yield self.mixed.streams[place].tasks, next(sources[place])

    def _endless(
        self, stream: Stream, augment: Mapping[str, Sequence[Named]], device: torch.device | str, given: int
    ) -> Iterator[dict[str, Tensor]]:
        """The batches of a source, and those of its samples in another order when they end, without the first that were
        `given`."""
        block = stream.data.name
        samples = self.mixed.parts[stream.name]
        rounds, first = divmod(given, max(steps_per_epoch(samples, self.batch[block]), 1))
        for again in count(rounds):
            yield from batches(
                samples,
                self.batch[block],
                seed=seed_of(self.seed, stream.name, again),
                epoch=self.epoch,
                shuffle=True,
                augment=augment[block],
                device=device,
                drop_last=True,
                first=first if again == rounds else 0,
            )
