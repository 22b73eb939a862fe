"""Processes that train one network, each on its part of every batch, by torch.distributed.

A loss is a function of sums over entries. What each process has summed is added up before the loss is made of it, so
that the loss is that of the whole batch, whatever labels are missing in one part or the other; and the gradients of
the parts add up to that of the whole. All else is computed by every process alike, from the same weights and random
numbers, and so comes to the same.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.runtime.objectives.losses import sum_dtype

_SAID = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What the environment of such a process has: set by torchrun, or by whoever starts the processes."""


@attrs.frozen
class Ranks:
    """This process among `size`, whose places are counted from 0."""

    rank: int = 0
    size: int = 1

    @classmethod
    def of_environment(cls, device: torch.device) -> Ranks:
        """This process among those that the environment tells of, once all of them have met; alone where it tells of
        none. Raises MtlError MTL809 where they cannot meet."""
        if not all(os.environ.get(name) for name in _SAID) or os.environ["WORLD_SIZE"] == "1":
            return cls()
        from torch import distributed

        if not distributed.is_initialized():
            try:
                distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
            except (ValueError, distributed.DistError) as error:
                said = ", ".join(f"{name}={os.environ[name]}" for name in _SAID)
                cause = f"the processes that the environment tells of cannot meet: {str(error).splitlines()[0]}"
                raise MtlError.of("MTL809", cause, f"start them all, or unset what is wrong of {said}") from None
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    def part(self, tensor: Tensor) -> Tensor:
        """This process's samples of a batch, whose sizes differ by one at most."""
        return tensor.tensor_split(self.size)[self.rank] if self.several else tensor

    def part_of(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The same of every field."""
        return {name: self.part(each) for name, each in batch.items()} if self.several else batch

    def added(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """What they add up to over all processes."""
        if not self.several:
            return tensors
        from torch import distributed

        found: list[Tensor] = []
        for bucket in buckets(tensors):
            flat = torch.cat([each.detach().flatten() for each in bucket])
            distributed.all_reduce(flat)
            parts = torch.split(flat, [each.numel() for each in bucket])
            for each, part in zip(bucket, parts, strict=True):
                found.append(torch.empty_like(each).copy_(part.view(each.shape)))
        return found

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the `.grad` of those that have one."""
        if self.several:
            known = [(each, each.grad) for each in parameters if each.grad is not None]
            for (each, _), total in zip(known, self.added([grad for _, grad in known]), strict=True):
                each.grad = total

    def wait(self) -> None:
        """Until all processes are here."""
        if self.several:
            from torch import distributed

            distributed.barrier()

    def whole(self, losses: BatchLosses) -> BatchLosses:
        """The losses of the whole batch from those of the parts; the gradients of each are those of its own part."""
        if not self.several:
            return losses
        parts = [part for each in losses.joint for part in each.sums]
        known = self.added([part.detach().to(sum_dtype(part.device)) for part in parts])
        # The number is that of all, to the bit the same in each process; the gradient is that of the part.
        sums = iter([every.to(part) + (part - part.detach()) for part, every in zip(parts, known, strict=True)])
        return losses.with_sums([tuple(next(sums) for _ in each.sums) for each in losses.joint])

    def even(self, model: nn.Module, *others: nn.Module) -> None:
        """Let what layers keep beside their weights, such as the statistics of batch normalisations, be the mean over
        the processes: each has seen its own samples.

        Raises MtlError MTL809 where the processes do not have the same weights, in the network or in `others`.
        """
        if not self.several:
            return
        from torch import distributed

        buffers = [each for each in model.buffers() if each.is_floating_point()]
        for each, total in zip(buffers, self.added(buffers), strict=True):
            each.copy_(total / self.size)
        kept = [tensor for module in (model, *others) for tensor in module.state_dict().values()]
        most = torch.tensor([_bits(each) for each in kept] or [0], device=next(iter(kept), torch.empty(0)).device)
        least = most.clone()
        distributed.all_reduce(most, distributed.ReduceOp.MAX)
        distributed.all_reduce(least, distributed.ReduceOp.MIN)
        if not torch.equal(most, least):
            cause = "the processes that train this network together have come to different weights"
            remedy = "run them on machines of one kind with the same versions of all libraries"
            raise MtlError.of("MTL809", cause, f"{remedy}, or train in one process")


def _bits(tensor: Tensor) -> int:
    """A number that tensors share whose bits are the same, and hardly any others do."""
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return zlib.crc32(data.numpy().data)


_BUCKET = 2**22
"""Numbers that are sent at once."""


def buckets(tensors: Iterable[Tensor]) -> Iterator[Sequence[Tensor]]:
    """The tensors in their order, some of one type and device at a time."""
    bucket: list[Tensor] = []
    for each in tensors:
        first = bucket[0] if bucket else each
        full = sum(other.numel() for other in bucket) + each.numel() > _BUCKET
        if bucket and (full or (each.dtype, each.device) != (first.dtype, first.device)):
            yield bucket
            bucket = []
        bucket.append(each)
    if bucket:
        yield bucket
