"""Trains small networks, told as JSON on the standard input, and prints the number of each before it begins.

It runs in a process of its own, for what it looks for ends the process: a write beyond the memory of a tensor.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

STEPS = 3


class Case(TypedDict):
    """One network and what it is trained on."""

    model: str
    """The text of its model.py."""
    shape: list[int]
    """Of one sample."""
    batch: int
    channels_last: bool
    """Whether images and weights are in the order that training gives them, else in torch's usual one."""


def exercise(case: Case) -> None:
    """Train the network for some steps, and evaluate it once."""
    names: dict[str, Any] = {"__name__": "model"}
    exec(case["model"], names)
    memory = torch.channels_last if case["channels_last"] and len(case["shape"]) == 3 else torch.contiguous_format
    model = names["Model"]().to(memory_format=memory)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(STEPS):
        image = torch.rand(case["batch"], *case["shape"]).contiguous(memory_format=memory)
        train(model, optimizer, image.requires_grad_())
    with torch.no_grad():
        model.eval()(image)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, image: Tensor) -> None:
    """One step; the gradient of the image too, which is that of a layer that is not the first."""
    loss = torch.stack([output.square().mean() for output in model(image).values()]).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def write_beyond_a_tensor() -> None:
    """The damage that is looked for: four bytes after those of a tensor."""
    tensor = torch.empty(100, dtype=torch.uint8)
    ctypes.memset(tensor.data_ptr() + 100, 0x55, 4)


def project_with_a_stride() -> None:
    """The convolution that is not to be in generated code."""
    for inputs in (2, 3, 5):
        for size in (8, 16, 32):
            for batch in (1, 4, 16):
                conv = nn.Conv2d(inputs, 6, 1, stride=2, bias=False).to(memory_format=torch.channels_last)
                for _ in range(STEPS):
                    image = torch.rand(batch, inputs, size, size).contiguous(memory_format=torch.channels_last)
                    conv(image).sum().backward()


DAMAGE = {"write beyond a tensor": write_beyond_a_tensor, "project with a stride": project_with_a_stride}

if __name__ == "__main__":
    told = json.load(sys.stdin)
    if isinstance(told, str):
        DAMAGE[told]()
    else:
        for number, case in told:
            print(number, flush=True)
            exercise(case)
    print("end", flush=True)
