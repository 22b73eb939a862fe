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


def randomised(model: Any, seed: int = 0) -> Any:
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


class Attention(nn.Module):
    """timm's self-attention, one map for queries, keys and values."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        count, length, channels = x.shape
        parts = self.qkv(x).reshape(count, length, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind()
        weights = (query @ key.transpose(-2, -1) * (channels // self.heads) ** -0.5).softmax(-1)
        return self.proj((weights @ value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """timm's two linear maps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(0.5 * x * (1 + torch.erf(x / 2**0.5)))


class TimmBlock(nn.Module):
    """`timm.models.vision_transformer.Block`."""

    def __init__(self, channels: int, heads: int, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.attn = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.mlp = Mlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TimmVit(nn.Module):
    """`timm.models.VisionTransformer` up to its last normalisation; `head` is there and is not called. Without a class
    token, as with `class_token=False, global_pool="avg"`, it has none and `fc_norm` comes after the mean."""

    def __init__(
        self, channels: int, heads: int, depth: int, *, size: int = 16, token: bool = True, eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, channels, 4, 4)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels)) if token else None
        self.pos_embed = nn.Parameter(torch.zeros(1, (size // 4) ** 2 + token, channels))
        self.blocks = nn.Sequential(*(TimmBlock(channels, heads, eps) for _ in range(depth)))
        if token:
            self.norm = nn.LayerNorm(channels, eps=eps)
        else:
            self.fc_norm = nn.LayerNorm(channels, eps=eps)
        self.head = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = self.blocks(x + self.pos_embed)
        return self.norm(x) if self.cls_token is not None else x


class TorchvisionBlock(nn.Module):
    """torchvision's `EncoderBlock`."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(channels, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(channels, eps=1e-6)
        inner = nn.Linear(channels, 4 * channels), nn.GELU(), nn.Dropout(0.0), nn.Linear(4 * channels, channels)
        self.mlp = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TorchvisionEncoder(nn.Module):
    """torchvision's `Encoder`."""

    def __init__(self, channels: int, heads: int, depth: int, length: int) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.zeros(1, length, channels))
        self.layers = nn.Sequential()
        for number in range(depth):
            self.layers.add_module(f"encoder_layer_{number}", TorchvisionBlock(channels, heads))
        self.ln = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.ln(self.layers(x + self.pos_embedding))


class TorchvisionVit(nn.Module):
    """`torchvision.models.VisionTransformer` up to its last normalisation; `heads` is there and is not called."""

    def __init__(self, channels: int, heads: int, depth: int, *, size: int = 16) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.conv_proj = nn.Conv2d(3, channels, 4, 4)
        self.encoder = TorchvisionEncoder(channels, heads, depth, (size // 4) ** 2 + 1)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(channels, 10))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.conv_proj(x).flatten(2).transpose(1, 2)
        return self.encoder(torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1))
