"""Looking ahead in a step: what the losses would be after a step along the gradient of one task alone.

Nothing is changed by it: weights, gradients, statistics and random numbers are afterwards what they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import attrs
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies, needed, wired
from mtsldsl.runtime.learning.loss_scale import NarrowOverflowError, finite
from mtsldsl.runtime.learning.next_step import NextStep
from mtsldsl.runtime.learning.random_state import random_state, set_random_state
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.runtime.objectives.losses import sum_dtype
from mtsldsl.sharing import Copy

Gains: TypeAlias = Mapping[tuple[str, str], float]
"""For a donor and a recipient, which may be one task, by which part the recipient's loss falls; below 0 it rises."""

Weights: TypeAlias = Mapping[str, nn.Parameter]
"""By their names in the network."""

Moved: TypeAlias = Mapping[nn.Parameter, Tensor]
"""Where parameters are after a step, of the network or of a learner."""


def shared_weights(spec: Spec, model: nn.Module) -> dict[str, Weights]:
    """For each task, and each that helps, those weights that its output depends on, and that of another too."""
    calls = wired(spec)
    used = {
        task.name: dict.fromkeys(copy for call in needed(calls, [task.name]) for copy in call.modules)
        for task in spec.trained
    }
    users = Counter(copy for copies in used.values() for copy in copies)
    weights = {
        copy: {
            f"{copy.name}.{name}": parameter
            for name, parameter in model.get_submodule(copy.name).named_parameters()
            if parameter.requires_grad
        }
        for copy, many in users.items()
        if many > 1
    }
    return {
        task: {name: each for copy in copies if copy in weights for name, each in weights[copy].items()}
        for task, copies in used.items()
    }


def losses_that_count(losses: BatchLosses) -> dict[str, Tensor]:
    """Those that have a label in the batch, and are not 0."""
    labelled = losses.labelled()
    return {
        task: loss
        for task, loss in losses.values.items()
        if (task not in labelled or bool(labelled[task])) and float(loss.detach())
    }


@attrs.frozen(eq=False)
class Cosines:
    """The cosines (tasks, tasks) of the gradients of some tasks on the parameters of one copy of a layer; NaN where a
    gradient is 0."""

    tasks: tuple[str, ...]
    values: Tensor


@attrs.frozen(eq=False)
class Probe:
    """A step in training, whose losses have a graph still. `rate` is the learning rate by which it is looked ahead
    where a weight has none of its own, `random` the random state before its forward pass."""

    spec: Spec
    model: nn.Module
    optimizer: Optimizer
    device: torch.device
    losses: Mapping[str, Tensor]
    """Of those that have a label in the batch, and are not 0."""
    losses_of: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
    """The same of other outputs."""
    shared: Mapping[str, Weights]
    """What `shared_weights` says."""
    rate: float
    random: Tensor
    run: Callable[[], Mapping[str, Tensor]]
    """The step's forward pass, once more."""
    position: Position
    ranks: Ranks = attrs.field(factory=Ranks)
    _weights: Weights = attrs.field(init=False)
    """All that are shared."""
    _rates: Mapping[nn.Parameter, float] = attrs.field(init=False)
    """Those of their groups in the optimizer."""
    _buffers: Sequence[dict[str, Tensor | None]] = attrs.field(init=False)
    """Those of each module that has some."""

    @_weights.default
    def _all_shared(self) -> Weights:
        return {name: each for shared in self.shared.values() for name, each in shared.items()}

    @_rates.default
    def _all_rates(self) -> Mapping[nn.Parameter, float]:
        groups = self.optimizer.param_groups
        rates = {each: group["lr"] for group in groups for each in group["params"]} if len(groups) > 1 else {}
        return {each: rates[each] for each in self._weights.values() if each in rates}

    def rate_of(self, parameter: nn.Parameter) -> float:
        """The learning rate of a parameter, where it is shared."""
        return self._rates.get(parameter, self.rate)

    @_buffers.default
    def _all_buffers(self) -> Sequence[dict[str, Tensor | None]]:
        return [module._buffers for module in self.model.modules() if module._buffers]

    def gains(self) -> Gains:
        """1 - L_j(θ - η ∇L_i) / L_j(θ) for the batch, with θ the weights that several tasks share (Fifty et al., 2021,
        eq. 1): what one task has of its own, its head above all, stays where it is."""
        weights = {name: (each.detach(), self.rate_of(each)) for name, each in self._weights.items()}

        def ahead(gradient: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            found = ((name, *weights[name], each) for name, each in gradient.items())
            return {name: weight - rate * each for name, weight, rate, each in found}

        return self._gains(ahead)

    def gains_of_optimizer(self) -> Gains:
        """The same with the step that the optimizer would make of ∇L_i alone in place of -η ∇L_i: with its moments as
        they are, its weight decay and all else."""
        return self._gains(NextStep(self.optimizer, self._weights).along)

    def first_order(self) -> Gains:
        """η <∇L_i, ∇L_j> / L_j over the weights that both use: what `gains` comes to for a small rate."""
        tasks = list(self.losses)
        gradients = [self._gradient(task) for task in tasks]
        size = len(tasks), len(tasks)
        inner = {self.rate: torch.zeros(size, dtype=sum_dtype(self.device), device=self.device)}
        for name in dict.fromkeys(name for gradient in gradients for name in gradient):
            rate = self.rate_of(self._weights[name])
            inner.setdefault(rate, torch.zeros_like(inner[self.rate]))
            users = [place for place, gradient in enumerate(gradients) if name in gradient]
            rows = torch.stack([gradients[place][name].flatten() for place in users]).to(inner[rate])
            inner[rate][torch.tensor(users)[:, None], users] += rows @ rows.T
        losses = [float(self.losses[task].detach()) for task in tasks]
        first, *others = ((rate, product.tolist()) for rate, product in inner.items())
        found = {}
        for i, donor in enumerate(tasks):
            for j, (recipient, loss) in enumerate(zip(tasks, losses, strict=True)):
                terms = (rate * product[i][j] / loss for rate, product in others)
                found[donor, recipient] = sum(terms, first[0] * first[1][i][j] / loss)
        return found

    def _gains(self, ahead: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]) -> Gains:
        """With `ahead` that says where weights are after a step along a gradient."""
        found: dict[tuple[str, str], float] = {}
        now = random_state(self.device)
        try:
            before = self._before()
            for donor in before:
                moved = {self._weights[name]: value for name, value in ahead(self._gradient(donor)).items()}
                after = self._losses_with(moved)
                found |= {(donor, task): 1 - float(after[task]) / loss for task, loss in before.items()}
        finally:
            set_random_state(now, self.device)
        return found

    def _gradient(self, task: str) -> dict[str, Tensor]:
        """Of the loss of a task, on the weights that it shares. Raises `NarrowOverflowError` where fp16 has no such
        number."""
        weights = self.shared[task]
        if not weights:
            return {}
        found = torch.autograd.grad(self.losses[task], list(weights.values()), retain_graph=True, allow_unused=True)
        known = {name: each for name, each in zip(weights, found, strict=True) if each is not None}
        added = self.ranks.added(list(known.values()))
        if self.spec.train.precision == "fp16" and not finite(added):
            raise NarrowOverflowError
        return dict(zip(known, added, strict=True))

    def cosines(self) -> dict[Copy, Cosines]:
        """<∇L_i, ∇L_j> / (|∇L_i| |∇L_j|) on the parameters of each copy of a layer that several tasks share, of all of
        them together, in double precision."""
        gradients = {task: self._gradient(task) for task in self.losses}
        found: dict[Copy, Cosines] = {}
        for copy in copies(self.spec):
            tasks = tuple(task for task in gradients if task in copy.component)
            if len(tasks) < 2:
                continue
            names = dict.fromkeys(name for task in tasks for name in gradients[task] if copy.holds(name))
            if names:
                rows = [[gradients[task].get(name) for name in names] for task in tasks]
                found[copy] = Cosines(tasks, _cosines(rows))
        return found

    def _before(self) -> dict[str, float]:
        """The losses before the step, in the arithmetic of those after it."""
        losses = self.losses if self.spec.train.precision == "fp32" else self._losses_with({})
        return {task: float(losses[task].detach()) for task in self.losses}

    def losses_at(self, moved: Moved) -> Mapping[str, Tensor]:
        """The losses of the batch with some parameters in other places: what the step would compute there."""
        now = random_state(self.device)
        try:
            return self._losses_with(moved)
        finally:
            set_random_state(now, self.device)

    @torch.no_grad()
    def _losses_with(self, moved: Moved) -> Mapping[str, Tensor]:
        """The losses of the batch with some weights in other places, with the random numbers of the step.

        Always in fp32: in bf16 a step is mostly less than what the next number of a weight is away.
        """
        set_random_state(self.random, self.device)
        with self._elsewhere(moved):
            outputs = self.run()
        return self.losses_of(outputs)

    @contextmanager
    def _elsewhere(self, moved: Moved) -> Iterator[None]:
        """While open, weights have other values, and buffers may be written to or replaced.

        What `torch.func.functional_call` does, which would look for the names of all parameters and buffers each time:
        of small networks that takes longer than to compute them.
        """
        kept = [(weight, weight.data) for weight in moved]
        buffers = [(own, dict(own)) for own in self._buffers]
        try:
            for weight, value in moved.items():
                weight.data = value
            for own, before in buffers:
                own.update({name: None if each is None else each.clone() for name, each in before.items()})
            yield
        finally:
            for weight, data in kept:
                weight.data = data
            for own, before in buffers:
                own.update(before)


def _cosines(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Of the rows, each a vector in pieces: a piece that is None is 0."""
    products = []
    for pieces in zip(*gradients, strict=True):
        some = next((piece for piece in pieces if piece is not None), None)
        if some is not None:
            flat = torch.stack([torch.zeros_like(some) if piece is None else piece for piece in pieces]).flatten(1)
            products.append(flat.double() @ flat.double().T)
    if not products:
        return torch.full((len(gradients), len(gradients)), torch.nan, dtype=torch.float64)
    gram = torch.stack(products).sum(0)
    norms = gram.diagonal().sqrt()
    return gram / norms.outer(norms)
