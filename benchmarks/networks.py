"""The networks that benchmarks compare with ours: five tasks on images, written by hand, and the spec of the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Batch: TypeAlias = Mapping[str, Tensor]

TASKS = {"segment": 5, "depth": 1, "normal": 3, "edge": 1, "repeat": 3}
"""The channels of every task's output."""

LAYERS = ("stem", "enc1", "enc2", "enc3", "dec2", "dec1", "heads")

SPEC = """\
mtl 1

let width = 16

data scenes {
  input = image(3, 64, 64)
  batch = 8
}

task segment {
  target = classes(5, ignore=255)
  head   = conv2d(5, 1) | resize_as(image)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  loss   = l1
}

task normal {
  target = unit_vectors(3)
  head   = conv2d(3, 1) | resize_as(image)
  loss   = cosine
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
  loss   = balanced_bce
}

task repeat {
  target = reconstruct
  head   = conv2d(3, 1) | resize_as(image)
  loss   = mse
}

block basic(channels, stride=1) =
    residual(conv2d(channels, 3, stride=stride) | batch_norm | relu | conv2d(channels, 3) | batch_norm) | relu

block up(channels, skip) =
    resize_as(skip) | concat(skip) | conv2d(channels, 3) | batch_norm | relu

backbone {
  stem = conv2d(width, 3, stride=2) | batch_norm | relu
  enc1 = basic(width)
  enc2 = basic(width * 2, stride=2)
  enc3 = basic(width * 4, stride=2)
  dec2 = up(width * 2, skip=enc2)
  dec1 = up(width, skip=enc1)
}

train {
  epochs    = 1
  optimizer = adam(lr=1e-3)
}
"""

SHARING = """
sharing {
  stem..enc1 = all
  enc2..enc3 = segment + edge, depth + normal, repeat
  dec2       = segment, depth + normal, edge, repeat
  dec1       = each
}
"""
"""After most merges."""

BETWEEN = """
sharing {
  stem..enc1 = all
  enc2..dec1 = each
}
"""
"""Where half of the encoder has merged."""


class Basic(nn.Module):
    """A residual block."""

    def __init__(self, inputs: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, channels, h / stride, w / stride)."""
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        picked = x[:, :, :: self.stride, :: self.stride]  # a projection with a stride corrupts memory in oneDNN on AVX2
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(picked), inplace=True)


class Up(nn.Module):
    """Takes the size of a skip, joins it, and convolves."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The result has the height and width of `skip`."""
        x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return F.relu(self.norm(self.conv(torch.cat([x, skip], dim=1))), inplace=True)


def make_stem(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )


class Network(nn.Module):
    """One task's network."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.stem = make_stem(width)
        self.enc1 = Basic(width, width)
        self.enc2 = Basic(width, 2 * width, stride=2)
        self.enc3 = Basic(2 * width, 4 * width, stride=2)
        self.dec2 = Up(6 * width, 2 * width)
        self.dec1 = Up(3 * width, width)
        self.heads = nn.Conv2d(width, channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, channels, h, w)."""
        enc1 = self.enc1(self.stem(image))
        enc2 = self.enc2(enc1)
        x = self.dec1(self.dec2(self.enc3(enc2), enc2), enc1)
        return F.interpolate(self.heads(x), size=image.shape[-2:], mode="bilinear", align_corners=False)


class ByHand(nn.Module):
    """A network written by hand; `places` has for each layer of ours where its copies are, `{}` for a copy's name."""

    places: ClassVar[Mapping[str, str]] = {}


class Separate(ByHand):
    """A network for each task."""

    places: ClassVar = {layer: f"networks.{{}}.{layer}" for layer in LAYERS}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({task: Network(width, channels) for task, channels in TASKS.items()})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(n, 3, h, w) -> the outputs of the tasks."""
        return {task: network(image) for task, network in self.networks.items()}


class Between(ByHand):
    """The network of BETWEEN."""

    places: ClassVar = {layer: layer if layer in ("stem", "enc1") else f"{layer}.{{}}" for layer in LAYERS}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = make_stem(width)
        self.enc1 = Basic(width, width)
        self.enc2 = nn.ModuleDict({task: Basic(width, 2 * width, stride=2) for task in TASKS})
        self.enc3 = nn.ModuleDict({task: Basic(2 * width, 4 * width, stride=2) for task in TASKS})
        self.dec2 = nn.ModuleDict({task: Up(6 * width, 2 * width) for task in TASKS})
        self.dec1 = nn.ModuleDict({task: Up(3 * width, width) for task in TASKS})
        self.heads = nn.ModuleDict({task: nn.Conv2d(width, channels, 1) for task, channels in TASKS.items()})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(n, 3, h, w) -> the outputs of the tasks."""
        enc1 = self.enc1(self.stem(image))
        outputs = {}
        for task in TASKS:
            enc2 = self.enc2[task](enc1)
            x = self.dec1[task](self.dec2[task](self.enc3[task](enc2), enc2), enc1)
            outputs[task] = F.interpolate(
                self.heads[task](x), size=image.shape[-2:], mode="bilinear", align_corners=False
            )
        return outputs


class Shared(ByHand):
    """The network of SHARING."""

    places: ClassVar = {layer: layer if layer in ("stem", "enc1") else f"{layer}.{{}}" for layer in LAYERS}

    def __init__(self, width: int) -> None:
        super().__init__()
        encoders = ("edge+segment", "depth+normal", "repeat")
        decoders = ("segment", "depth+normal", "edge", "repeat")
        self.stem = make_stem(width)
        self.enc1 = Basic(width, width)
        self.enc2 = nn.ModuleDict({name: Basic(width, 2 * width, stride=2) for name in encoders})
        self.enc3 = nn.ModuleDict({name: Basic(2 * width, 4 * width, stride=2) for name in encoders})
        self.dec2 = nn.ModuleDict({name: Up(6 * width, 2 * width) for name in decoders})
        self.dec1 = nn.ModuleDict({task: Up(3 * width, width) for task in TASKS})
        self.heads = nn.ModuleDict({task: nn.Conv2d(width, channels, 1) for task, channels in TASKS.items()})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(n, 3, h, w) -> the outputs of the tasks."""
        enc1 = self.enc1(self.stem(image))
        enc2 = {name: layer(enc1) for name, layer in self.enc2.items()}
        enc3 = {name: layer(enc2[name]) for name, layer in self.enc3.items()}
        solid = self.dec2["depth+normal"](enc3["depth+normal"], enc2["depth+normal"])
        dec2 = {
            "segment": self.dec2["segment"](enc3["edge+segment"], enc2["edge+segment"]),
            "depth": solid,
            "normal": solid,
            "edge": self.dec2["edge"](enc3["edge+segment"], enc2["edge+segment"]),
            "repeat": self.dec2["repeat"](enc3["repeat"], enc2["repeat"]),
        }
        outputs = {}
        for task in TASKS:
            x = self.heads[task](self.dec1[task](dec2[task], enc1))
            outputs[task] = F.interpolate(x, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return outputs


def losses_by_hand(outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """The losses of SPEC for these outputs: pixels without a label, a depth or a normal do not count."""
    measured = batch["depth"] > 0
    depth = ((outputs["depth"] - batch["depth"]).abs() * measured).sum() / measured.sum().clamp(min=1)
    known = batch["normal"].any(dim=1)
    # quicker than F.cosine_similarity, as the given normals have length 1
    length = outputs["normal"].square().sum(dim=1).clamp(min=1e-12).sqrt()
    cosine = (outputs["normal"] * batch["normal"]).sum(dim=1) / length
    normal = ((1 - cosine) * known).sum() / known.sum().clamp(min=1)
    weight = 0.05 + 0.9 * batch["edge"]
    losses = {
        "segment": F.cross_entropy(outputs["segment"], batch["label"], ignore_index=255),
        "depth": depth,
        "normal": normal,
        "edge": F.binary_cross_entropy_with_logits(outputs["edge"], batch["edge"], weight),
    }
    if "repeat" in outputs:
        losses["repeat"] = F.mse_loss(outputs["repeat"], batch["image"])
    return losses


def load_weights(by_hand: ByHand, ours: nn.Module) -> None:
    """Give the model written by hand the weights and buffers of ours; every copy of a layer has its own place."""
    assert sum(map(torch.numel, by_hand.parameters())) == sum(map(torch.numel, ours.parameters()))
    for layer, place in by_hand.places.items():
        for name, component in ours.get_submodule(layer).named_children():
            target = by_hand.get_submodule(place.format(name))
            target.load_state_dict(dict(zip(target.state_dict(), component.state_dict().values(), strict=True)))


def make_batch(size: int, images: int) -> dict[str, Tensor]:
    """Random images and targets as `mtsldsl.runtime.data.batches` gives them, some pixels without a target."""
    torch.manual_seed(0)
    known = torch.rand(images, 1, size, size) > 0.1
    return {
        "image": torch.rand(images, 3, size, size).contiguous(memory_format=torch.channels_last),
        "label": torch.where(known[:, 0], torch.randint(5, (images, size, size)), 255),
        "depth": torch.rand(images, 1, size, size).add(1.0) * known,
        "normal": F.normalize(torch.randn(images, 3, size, size), dim=1) * known,
        "edge": (torch.rand(images, 1, size, size) < 0.1).float(),
    }
