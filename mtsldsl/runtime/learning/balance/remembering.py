"""Weightings of torchjd that remember earlier steps, so that a checkpoint has what they remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from mtsldsl.runtime.learning.balance.balance import Losses, Rows
from mtsldsl.runtime.learning.balance.gradient import GradientBalance
from mtsldsl.runtime.learning.balance.gramian import gramian

if TYPE_CHECKING:
    from torchjd.aggregation import Weighting

_BETWEEN = ","
"""Between the names of tasks in a key of the `state_dict`; that of a helper has a `+`: `depth(edge+normal)`."""


class RememberingBalance(GradientBalance):
    """A weighting by the inner products of the tasks' gradients that remembers. Each set of tasks that are balanced
    together has a memory of its own: that of another set, where a batch has no label of a task or a phase has linked
    other tasks, is left as it is until that set comes back. What is remembered are some numbers a task.

    `make` gives the weighting of so many tasks, and `remembered` are its attributes that depend on earlier steps.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        make: Callable[[int], Weighting[Any]],
        remembered: Sequence[str],
        *,
        averages: bool,
    ) -> None:
        super().__init__(weights)
        self.memory = Memories(make, remembered)
        self._averages = averages
        make(2)  # what is not installed is noticed now

    def try_out(self) -> None:
        """Weigh two gradients once, for nothing."""
        self.memory.try_out(self.seen(torch.eye(2, dtype=torch.float64)))

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """The weights, by what is seen of the gradients."""
        products = gramian(tasks, list(rows.values()), exact=True)
        weights = self.memory.weigh(tuple(tasks), self.seen(products)).to(products.device, torch.float32)
        return weights * len(tasks) if self._averages else weights

    def seen(self, products: Tensor) -> Tensor:
        """What the weighting is given, of the inner products `(tasks, tasks)`."""
        return products


class Memories(nn.Module):
    """A weighting for each set of tasks, with what it remembers in the `state_dict`."""

    def __init__(self, make: Callable[[int], Weighting[Any]], remembered: Sequence[str]) -> None:
        super().__init__()
        self._make = make
        self._remembered = remembered
        self._weightings: dict[tuple[str, ...], Weighting[Any]] = {}
        self._saved: dict[tuple[str, ...], dict[str, Tensor]] = {}
        """Of sets that have not come back since the memory was loaded."""

    def weigh(self, tasks: tuple[str, ...], seen: Tensor) -> Tensor:
        """The weights of a set of tasks, which are remembered."""
        if tasks in self._saved:
            self._weightings[tasks] = self._reminded(self._saved.pop(tasks), seen)
        elif tasks not in self._weightings:
            self._weightings[tasks] = self._make(len(tasks))
        return self._weightings[tasks](seen)

    def try_out(self, seen: Tensor) -> Weighting[Any]:
        """A weighting that has weighed once; torch's random state is left as it was."""
        made = self._make(len(seen))
        with torch.random.fork_rng(devices=[]):
            made(seen)
        return made

    def forget(self) -> None:
        """Begin anew."""
        self._weightings.clear()
        self._saved.clear()

    def _reminded(self, saved: Mapping[str, Tensor], seen: Tensor) -> Weighting[Any]:
        made = self.try_out(seen)  # what it remembers of one step has the right types, shapes and devices
        for name in self._remembered:
            setattr(made, name, _like(getattr(made, name), saved.get(name), seen))
        return made

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        found = {tasks: self._tensors(each) for tasks, each in self._weightings.items()} | self._saved
        for tasks, tensors in found.items():
            destination.update({f"{prefix}{_BETWEEN.join(tasks)}.{name}": tensor for name, tensor in tensors.items()})

    def _tensors(self, weighting: Weighting[Any]) -> dict[str, Tensor]:
        found = {name: getattr(weighting, name) for name in self._remembered}
        return {name: _tensor(value) for name, value in found.items() if value is not None}

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *more: Any) -> None:
        self.forget()
        for key, tensor in state_dict.items():
            if key.startswith(prefix):
                names, _, name = key.removeprefix(prefix).partition(".")
                self._saved.setdefault(tuple(names.split(_BETWEEN)), {})[name] = tensor.clone()


def _tensor(value: Any) -> Tensor:
    return torch.tensor(value, dtype=torch.float64) if isinstance(value, float) else torch.as_tensor(value)


def _like(now: Any, saved: Tensor | None, seen: Tensor) -> Any:
    """What was saved, as a value of the kind that there is now."""
    if saved is None:
        return None
    match now:
        case np.ndarray():
            return saved.numpy()
        case int() | float():
            return type(now)(saved.item())
        case Tensor():
            return saved.to(now.device, now.dtype)
    return saved.to(seen.device)
