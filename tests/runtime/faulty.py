"""Modules that go wrong when a test wants them to."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Faulty(nn.Module):
    """Sound in the other mode (`train` or `eval`), for the first `after` calls, and after `before` of them."""

    def __init__(self, mode: str = "train", after: int = 0, before: int = 1_000_000) -> None:
        super().__init__()
        self.mode = mode
        self.after = after
        self.before = before
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        if self.training != (self.mode == "train"):
            return image
        self.calls += 1
        return self.fault(image) if self.after < self.calls <= self.before else image

    def fault(self, image: Tensor) -> Tensor:
        raise NotImplementedError


class Nan(Faulty):
    def fault(self, image: Tensor) -> Tensor:
        return image * float("nan")


class Misshapen(Faulty):
    def fault(self, image: Tensor) -> Tensor:
        return image @ torch.ones(3, 3)


class Refusing(Faulty):
    def fault(self, image: Tensor) -> Tensor:
        assert image.shape[1] == 3
        return image


class SteepRoot(nn.Module):
    """Finite, with a gradient that is not."""

    def forward(self, image: Tensor) -> Tensor:
        return image + torch.sqrt(image * 0)


class Huge(nn.Module):
    """Finite numbers whose squares are not."""

    def forward(self, image: Tensor) -> Tensor:
        return image * 1e25
