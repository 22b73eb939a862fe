"""The attention network of the library is that of its paper, and trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mtsldsl
from tests import prepared

PATH = Path(__file__).parents[2] / "specs" / "library" / "mtan.mtl"
TASKS = {"segment": 5, "depth": 1, "normal": 3}
"""The tasks, and the channels of their answers."""


def convolution(before: int, after: int, kernel: int, end: nn.Module) -> nn.Sequential:
    padding = kernel // 2
    return nn.Sequential(nn.Conv2d(before, after, kernel, padding=padding, bias=False), nn.BatchNorm2d(after), end)


class Published(nn.Module):
    """The encoder of Liu, Johns and Davison (2019), section 3: shared blocks of two convolutions, whose features are u and
    p; masks a = h(g([u; f(a' * p')])) of each task, where a' * p' is what the block before gave; f is for all tasks."""

    def __init__(self, width: int = 32, blocks: int = 3) -> None:
        super().__init__()
        sizes = [width * 2**block for block in range(blocks)]
        before = [3, *sizes]
        self.first = nn.ModuleList(convolution(before[i], size, 3, nn.ReLU()) for i, size in enumerate(sizes))
        self.last = nn.ModuleList(convolution(size, size, 3, nn.ReLU()) for size in sizes)
        self.between = nn.ModuleList(convolution(size, 2 * size, 3, nn.ReLU()) for size in sizes[:-1])
        self.g = nn.ModuleDict(
            {
                task: nn.ModuleList(
                    convolution(size if i == 0 else 2 * size, size, 1, nn.ReLU()) for i, size in enumerate(sizes)
                )
                for task in TASKS
            }
        )
        self.h = nn.ModuleDict(
            {task: nn.ModuleList(convolution(size, size, 1, nn.Sigmoid()) for size in sizes) for task in TASKS}
        )
        self.heads = nn.ModuleDict(
            {
                task: nn.Sequential(
                    nn.Conv2d(sizes[-1], sizes[-1], 3, padding=1), nn.ReLU(), nn.Conv2d(sizes[-1], channels, 1)
                )
                for task, channels in TASKS.items()
            }
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(n, 3, h, w) -> the answers of the tasks, (n, channels, h, w)."""
        shared: list[tuple[Tensor, Tensor]] = []
        x = image
        for first, last in zip(self.first, self.last, strict=True):
            u = first(F.max_pool2d(x, 2) if shared else x)
            x = last(u)
            shared.append((u, x))
        attended: dict[str, Tensor] = {}
        for block, (u, p) in enumerate(shared):
            for task in TASKS:
                mask = u
                if block > 0:
                    passed = F.max_pool2d(self.between[block - 1](attended[task]), 2)
                    mask = torch.cat([u, passed], dim=1)
                attended[task] = self.h[task][block](self.g[task][block](mask)) * p
        answers = {task: self.heads[task](attended[task]) for task in TASKS}
        size = image.shape[-2:]
        return {
            task: F.interpolate(answer, size=size, mode="bilinear", align_corners=False)
            for task, answer in answers.items()
        }


def place(key: str) -> str:
    """What a tensor of ours is called there: `a2.mask1.conv2.weight` is `h.segment.1.0.weight`."""
    layer, copy, module, name = key.split(".")
    kind, number = module[:-1], int(module[-1])
    if layer == "heads":
        return f"heads.{copy}.{2 * number - 2}.{name}"
    block = int(layer[1:]) - 1
    part = {"u": "first", "p": "last", "f": "between"}.get(layer[0])
    if part is None:
        part = f"{'gh'[number - 1]}.{list(TASKS)[int(copy.removeprefix('mask')) - 1]}"
    return f"{part}.{block}.{ {'conv': 0, 'norm': 1}[kind] }.{name}"


def test_it_has_the_parameters_of_the_published_encoder_and_computes_the_same() -> None:
    spec = mtsldsl.load(PATH)
    ours, published = mtsldsl.build_model(spec), Published()
    published.load_state_dict({place(key): value for key, value in ours.state_dict().items()})  # strict
    assert spec.cost().parameters == sum(each.numel() for each in published.parameters()) == 1_017_065
    generator = torch.Generator().manual_seed(0)
    for training in (True, True, False):  # the statistics that f keeps are those of all tasks, one after the other
        ours.train(training)
        published.train(training)
        image = torch.rand(3, 3, 64, 64, generator=generator)
        with torch.no_grad():
            found, wanted = ours(image), published(image)
        for task, value in wanted.items():
            torch.testing.assert_close(found[task], value)


def test_a_mask_learns_from_its_task_alone_and_what_is_shared_from_all() -> None:
    model = mtsldsl.build_model(mtsldsl.load(PATH, {"width": 2}))
    learning: dict[str, set[str]] = {}
    for task, answer in model(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))).items():
        model.zero_grad()
        answer.square().sum().backward(retain_graph=True)
        for name, each in model.named_parameters():
            if each.grad is not None and not name.startswith("heads."):
                learning.setdefault(".".join(name.split(".")[:2]), set()).add(task)
    masks = {f"a{block}.mask{number}": {task} for block in (1, 2, 3) for number, task in enumerate(TASKS, start=1)}
    shared = {f"{layer}.depth+normal+segment": set(TASKS) for layer in ("u1", "p1", "u2", "p2", "u3", "p3", "f1", "f2")}
    assert learning == masks | shared


@pytest.mark.soak
def test_it_trains_from_the_command_line(tmp_path: Path) -> None:
    changed = {
        "width": "4",
        "train.epochs": "3",
        "data.images": "64",
        "data.batch": "8",
        "train.optimizer": "adam(lr=1e-2)",
    }
    settings = [part for key, value in changed.items() for part in ("--set", f"{key}={value}")]
    run = ["-m", "mtsldsl", "train", str(PATH), "--json", "--device", "cpu", "--runs", str(tmp_path)]
    done = prepared.run(*run, *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    losses = [event["losses"] for event in events if event["event"] == "epoch"]
    assert all(losses[-1][task] < losses[0][task] for task in TASKS), losses
