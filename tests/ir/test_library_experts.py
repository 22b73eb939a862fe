"""The mixtures of experts of the library are those of their papers, and train."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mtsldsl
from tests import prepared

LIBRARY = Path(__file__).parents[2] / "specs" / "library"

EXPERTS = {
    "mmoe": {task: [f"expert{number}" for number in range(1, 9)] for task in ("click", "buy")},
    "cgc": {task: ["shared1", "shared2", f"{task}1", f"{task}2"] for task in ("click", "buy")},
}
"""Which experts a task weighs: all (Ma et al., 2018, eq. 6), or the shared ones and its own (Tang et al., 2020, eq. 1)."""


class Published(nn.Module):
    """Experts of one hidden layer, a gate `softmax(W x)` without bias for each task, and towers."""

    def __init__(self, of_task: dict[str, list[str]], inputs: int = 32, width: int = 64) -> None:
        super().__init__()
        self.of_task = of_task
        names = sorted({name for names in of_task.values() for name in names})
        self.experts = nn.ModuleDict({name: nn.Linear(inputs, width) for name in names})
        self.gates = nn.ModuleDict({task: nn.Linear(inputs, len(names), bias=False) for task, names in of_task.items()})
        self.towers = nn.ModuleDict(
            {task: nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)) for task in of_task}
        )

    def forward(self, row: Tensor) -> dict[str, Tensor]:
        """(n, inputs) -> the logits of the tasks, (n, 1)."""
        outputs = {}
        for task, names in self.of_task.items():
            made = torch.stack([F.relu(self.experts[name](row)) for name in names], dim=1)
            outputs[task] = self.towers[task](torch.einsum("nk,nkd->nd", self.gates[task](row).softmax(1), made))
        return outputs


@pytest.mark.parametrize("name", EXPERTS)
def test_it_has_the_parameters_of_the_published_network_and_computes_the_same(name: str) -> None:
    spec = mtsldsl.load(LIBRARY / f"{name}.mtl")
    ours, published = mtsldsl.build_model(spec), Published(EXPERTS[name])
    state = {}
    for key, value in ours.state_dict().items():
        layer, copy, *rest = key.split(".")
        if layer == "heads":
            state[f"towers.{copy}.{ {'linear1': 0, 'linear2': 2}[rest[0]] }.{rest[1]}"] = value
        elif copy.startswith("gate("):
            state[f"gates.{copy[5:-1]}.weight"] = value
        else:
            state[f"experts.{copy}.{rest[-1]}"] = value
    published.load_state_dict(state)  # strict: neither has a tensor that the other lacks
    assert spec.cost().parameters == sum(each.numel() for each in published.parameters())
    row = torch.randn(7, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, wanted = ours(row), published(row)
    for task, value in wanted.items():
        torch.testing.assert_close(found[task], value)


class Progressive(nn.Module):
    """Levels of experts (Tang et al., 2020, 4.2): those of each task, and shared ones. A task's gate weighs its own experts and
    the shared ones, the shared gate all of a level; each gate and expert reads what the level before mixed for it."""

    def __init__(
        self, tasks: tuple[str, ...], levels: int = 2, experts: int = 2, inputs: int = 32, width: int = 64
    ) -> None:
        super().__init__()
        self.tasks = tasks
        self.levels = nn.ModuleList()
        for level in range(levels):
            size, last = width if level else inputs, level == levels - 1
            weighed = dict.fromkeys(tasks, 2 * experts) | ({} if last else {"shared": (len(tasks) + 1) * experts})
            made = {who: nn.ModuleList(nn.Linear(size, width) for _ in range(experts)) for who in (*tasks, "shared")}
            gates = {who: nn.Linear(size, count, bias=False) for who, count in weighed.items()}
            self.levels.append(nn.ModuleDict({"experts": nn.ModuleDict(made), "gates": nn.ModuleDict(gates)}))
        self.towers = nn.ModuleDict(
            {task: nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)) for task in tasks}
        )

    def forward(self, row: Tensor) -> dict[str, Tensor]:
        """(n, inputs) -> the logits of the tasks, (n, 1)."""
        reads = dict.fromkeys((*self.tasks, "shared"), row)
        for level in self.levels:
            made = {who: [F.relu(expert(reads[who])) for expert in level["experts"][who]] for who in reads}
            everything = [each for outputs in made.values() for each in outputs]
            reads = {
                who: torch.einsum(
                    "nk,nkd->nd",
                    gate(reads[who]).softmax(1),
                    torch.stack(everything if who == "shared" else made[who] + made["shared"], dim=1),
                )
                for who, gate in level["gates"].items()
            }
        return {task: self.towers[task](reads[task]) for task in self.tasks}


def progressive_place(key: str) -> str:
    """What a tensor of ours is called there: `shared2b.buy+click.linear1.bias` is `levels.1.experts.shared.1.bias`."""
    layer, copy, *rest = key.split(".")
    if layer == "heads":
        return f"towers.{copy}.{ {'linear1': 0, 'linear2': 2}[rest[0]] }.{rest[1]}"
    found = re.fullmatch(r"([a-z]+)(\d)([ab]?)", layer)
    assert found is not None
    who, level, expert = found.groups()
    part = f"experts.{who}.{'ab'.index(expert)}" if expert else f"gates.{who}"
    return f"levels.{int(level) - 1}.{part}.{rest[-1]}"


def test_progressive_layered_extraction_has_the_published_parameters_and_computes_the_same() -> None:
    spec = mtsldsl.load(LIBRARY / "ple.mtl")
    ours, published = mtsldsl.build_model(spec), Progressive(("click", "buy"))
    state = {progressive_place(key): value for key, value in ours.state_dict().items()}
    published.load_state_dict(state)  # strict: neither has a tensor that the other lacks
    assert spec.cost().parameters == sum(each.numel() for each in published.parameters()) == 47_042
    row = torch.randn(7, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, wanted = ours(row), published(row)
    for task, value in wanted.items():
        torch.testing.assert_close(found[task], value)


def test_each_task_reads_all_but_the_last_experts_and_gate_of_the_other() -> None:
    spec = mtsldsl.load(LIBRARY / "ple.mtl")
    model = mtsldsl.build_model(spec)
    model(torch.randn(7, 32, generator=torch.Generator().manual_seed(0)))["click"].sum().backward()
    unread = {name.partition(".")[0] for name, each in model.named_parameters() if each.grad is None}
    assert unread == {"buy1", "buy2a", "buy2b", "buy2", "heads"}
    read = sum(each.numel() for each in model.parameters() if each.grad is not None)
    assert spec.cost().tasks["click"].parameters == read == 34_113


@pytest.mark.parametrize("name", [*EXPERTS, "ple"])
@pytest.mark.soak
def test_it_trains_from_the_command_line(name: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    row = generator.normal(size=(1200, 32)).astype("f4")
    scores = row @ generator.normal(size=(32, 2)).astype("f4")
    arrays = {"row": row, "click": scores[:, :1] > 0, "buy": scores[:, 1:] > 0}
    splits = {"train": slice(0, 800), "validation": slice(800, 1000), "test": slice(1000, 1200)}
    np.savez(
        tmp_path / "table.npz",
        **{
            f"{split}/{key}": value[part].astype("f4")
            for split, part in splits.items()
            for key, value in arrays.items()
        },
    )
    run = ["-m", "mtsldsl", "train", str(LIBRARY / f"{name}.mtl"), "--json", "--runs", str(tmp_path)]
    changed = ["--set", f"data.path={tmp_path / 'table.npz'}", "--set", "train.epochs=6", "--set", "data.batch=32"]
    done = prepared.run(*run, *changed)
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    metrics = next(event for event in events if event["event"] == "test")["metrics"]
    assert all(metrics[task]["accuracy" if "accuracy" in metrics[task] else "f1"] > 0.8 for task in ("click", "buy"))
