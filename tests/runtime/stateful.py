"""Modules whose state is of every kind that torch allows: what a run can keep, and what it cannot."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Tied(nn.Module):
    """Two layers of one weight, and one of them by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 6)
        self.b = nn.Linear(6, 6)
        self.b.weight = self.a.weight
        self.again = self.b

    def forward(self, row: Tensor) -> Tensor:
        found: Tensor = self.b(self.a(row).relu())
        return found


class Views(nn.Module):
    """Buffers that are parts of another."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("full", torch.linspace(1, 2, 12))
        self.full: Tensor
        self.register_buffer("part", self.full[:6])
        self.part: Tensor
        self.register_buffer("rest", self.full[3:9])

    def forward(self, row: Tensor) -> Tensor:
        if self.training:
            self.part.mul_(0.99)
        return row * self.full[:6]


class Counting(nn.Module):
    """What it has seen is a tensor that torch does not copy by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.zeros(())

    def get_extra_state(self) -> Tensor:
        return self.seen

    def set_extra_state(self, state: Tensor) -> None:
        self.seen = state

    def forward(self, row: Tensor) -> Tensor:
        if self.training:
            self.seen += len(row)
        return row / (1 + self.seen)


class Slashed(nn.Module):
    """Names with what stands between the parts of a path."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("w", "w/x", "w/exp_avg", "/"):
            self.register_parameter(name, nn.Parameter(torch.rand(6)))

    def forward(self, row: Tensor) -> Tensor:
        return row * torch.stack([*self.parameters()]).sum(0)


class Noted(nn.Module):
    def get_extra_state(self) -> dict[str, int]:
        return {"seen": 3}

    def set_extra_state(self, state: Any) -> None:
        pass

    def forward(self, row: Tensor) -> Tensor:
        return row


class OneWay(Counting):
    set_extra_state = nn.Module.set_extra_state


class Kept(nn.Module):
    """A buffer, which is what it is given."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        made = {
            "complex128": lambda: torch.zeros(2, dtype=torch.complex128),
            "sparse": lambda: torch.eye(3).to_sparse(),
            "spread": lambda: torch.zeros(1).expand(4),
        }
        self.register_buffer("kept", made[kind]())

    def forward(self, row: Tensor) -> Tensor:
        return row
