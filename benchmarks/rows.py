"""Networks of linear layers on rows of numbers, as benchmarks/networks.py has them of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from networks import Batch, ByHand
from torch import Tensor, nn

KINDS = {"classes": ("classes(4)", 4, "cross_entropy"), "mse": ("values(1)", 1, "mse"), "l1": ("values(1)", 1, "l1")}
"""Tasks in turn: the target, the outputs and the loss."""

ROW = 32
WIDTH = 64
HIDDEN = ("hidden1", "hidden2", "hidden3")


def tasks_of(count: int) -> dict[str, str]:
    """So many tasks by name, each of a kind."""
    kinds = list(KINDS)
    return {f"task{number:02}": kinds[number % len(kinds)] for number in range(count)}


def spec_of(tasks: Mapping[str, str], batch: int) -> str:
    """The text of the network of these tasks, each alone."""
    blocks = [
        f"task {task} {{\n  target = {target}\n  head   = linear({outputs})\n  loss   = {loss}\n}}"
        for task, (target, outputs, loss) in ((task, KINDS[kind]) for task, kind in tasks.items())
    ]
    layers = "\n".join(f"  {layer} = linear({WIDTH}) | relu" for layer in HIDDEN)
    data = f'data arrays {{\n  path  = "rows.npz"\n  input = row({ROW})\n  batch = {batch}\n}}'
    train = "train {\n  epochs    = 1\n  optimizer = adam(lr=1e-3)\n}"
    return "\n\n".join(["mtl 1", data, *blocks, f"backbone {{\n{layers}\n}}", train, ""])


class Network(nn.Module):
    """One task's network."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(ROW, WIDTH)
        self.hidden2 = nn.Linear(WIDTH, WIDTH)
        self.hidden3 = nn.Linear(WIDTH, WIDTH)
        self.heads = nn.Linear(WIDTH, outputs)

    def forward(self, row: Tensor) -> Tensor:
        """(n, 32) -> (n, outputs)."""
        x = F.relu(self.hidden1(row), inplace=True)
        x = F.relu(self.hidden2(x), inplace=True)
        found: Tensor = self.heads(F.relu(self.hidden3(x), inplace=True))
        return found


class Rows(ByHand):
    """A network for each task."""

    places: ClassVar = {layer: f"networks.{{}}.{layer}" for layer in (*HIDDEN, "heads")}

    def __init__(self, tasks: Mapping[str, str]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({task: Network(KINDS[kind][1]) for task, kind in tasks.items()})

    def forward(self, row: Tensor) -> dict[str, Tensor]:
        """(n, 32) -> the outputs of the tasks."""
        return {task: network(row) for task, network in self.networks.items()}


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classes": F.cross_entropy,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
}


def losses_of_rows(tasks: Mapping[str, str], outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """The losses by kind; every row has all labels."""
    return {task: LOSSES[kind](outputs[task], batch[task]) for task, kind in tasks.items()}


def make_rows(tasks: Mapping[str, str], count: int) -> dict[str, Tensor]:
    """Random rows and targets."""
    torch.manual_seed(0)
    targets = {
        task: torch.randint(4, (count,)) if kind == "classes" else torch.randn(count, 1) for task, kind in tasks.items()
    }
    return {"row": torch.randn(count, ROW), **targets}
