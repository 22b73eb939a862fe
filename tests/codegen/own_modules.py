"""Modules as a person may have them, which golden/own and golden/taps name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Gate(nn.Module):
    """Each channel of an image times a weight between 0 and 1."""

    def __init__(self, channels: int, start: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, image: Tensor) -> Tensor:
        return image * torch.sigmoid(self.weight)


class Fuse(nn.Module):
    """A convolution of two images, the second brought to the size of the first."""

    def __init__(self, channels: Sequence[int], mode: str = "nearest", bias: bool | None = None) -> None:
        super().__init__()
        self.mode = mode
        self.conv = nn.Conv2d(sum(channels[:2]), channels[2], 1, bias=bool(bias))

    def forward(self, image: Tensor, other: Tensor) -> Tensor:
        resized = nn.functional.interpolate(other, image.shape[-2:], mode=self.mode)
        joined: Tensor = self.conv(torch.cat([image, resized], dim=1))
        return joined


class Model(nn.Module):
    """The mean of an image over its height and width; called like the class that the generated code defines."""

    def forward(self, image: Tensor) -> Tensor:
        return image.mean((-2, -1))


class Pyramid(nn.Module):
    """A backbone with features of two sizes and their tokens, as networks that are made elsewhere give them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        self.down = nn.Conv2d(width, 2 * width, 3, 2, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        low = torch.relu(self.stem(image))
        high = torch.relu(self.down(low))
        return {"low": low, "high": high, "tokens": high.flatten(2).transpose(1, 2), "image": image}


class InOrder(Pyramid):
    """The same features in their order."""

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return tuple(super().forward(image).values())[:3]
