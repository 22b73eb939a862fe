"""Networks of torchvision and timm, written anew in plain PyTorch with their names of modules: ResNets, VGG, ViT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

BASIC, BOTTLENECK = 1, 4
"""By what a block widens its channels."""


class Block(nn.Module):
    """torchvision's `BasicBlock` and `Bottleneck`, which strides in the 3 x 3 convolution."""

    def __init__(self, before: int, channels: int, stride: int, widened: int) -> None:
        super().__init__()
        after = channels * widened
        sizes = [(3, stride), (3, 1)] if widened == BASIC else [(1, 1), (3, stride), (1, 1)]
        here = before
        for number, (kernel, step) in enumerate(sizes, 1):
            out = after if number == len(sizes) else channels
            setattr(self, f"conv{number}", nn.Conv2d(here, out, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(out))
            here = out
        self.count = len(sizes)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = torch.relu(y) if number < self.count else y
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """`torchvision.models.ResNet`, and timm's, up to the pooling; `fc` is there and is not called."""

    def __init__(self, depths: Sequence[int], widened: int, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        here = width
        for number, depth in enumerate(depths, 1):
            channels, blocks = width * 2 ** (number - 1), []
            for place in range(depth):
                blocks.append(Block(here, channels, 2 if number > 1 and place == 0 else 1, widened))
                here = channels * widened
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.stages = len(depths)
        self.fc = nn.Linear(here, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        return x


class VggFeatures(nn.Module):
    """`torchvision.models.vgg13_bn`, and timm's, up to the last pooling, which is left out."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        here = 3
        for channels in (width, width * 2, width * 4, width * 8, width * 8):
            for _ in range(2):
                modules += [nn.Conv2d(here, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
                here = channels
            modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules[:-1])

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.features(x)
        return features


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """The network with all its numbers drawn, statistics of batch normalisations too, to evaluate it."""
    chance = torch.Generator().manual_seed(seed)
    state: dict[str, Any] = model.state_dict()
    for name, tensor in state.items():
        drawn = torch.randn(tensor.shape, generator=chance)
        if name.endswith("running_var"):
            tensor.copy_(1 + drawn.abs())
        elif name.endswith("weight") and tensor.dim() == 1:
            tensor.copy_(0.6 + 0.1 * drawn)
        elif tensor.dim() > 1:
            tensor.copy_(drawn * (1 / tensor[0].numel()) ** 0.5)
        elif tensor.is_floating_point():
            tensor.copy_(drawn * 0.1)
    return model.eval()
