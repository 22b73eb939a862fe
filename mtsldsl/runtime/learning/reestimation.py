"""Statistics of batch normalisations, estimated anew.

After a transfer they belong to no network: the average of some networks' activations is not what their averaged weights
compute, and what stands behind a merged layer never saw its output. Up to half of what a merge seems to cost can be
that alone (REPAIR: Jordan et al. 2022, arXiv 2211.08403).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TypeGuard

import attrs
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Call, Value, inputs_of, upstream, wired
from mtsldsl.runtime.data import Mixed, Samples, batches
from mtsldsl.runtime.data.mixed import streamed
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.network.execution import alike, evaluating, run_calls
from mtsldsl.runtime.network.module_state import give_state
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.objectives.losses import sum_dtype

BATCHES = 25
"""Training batches that statistics are estimated from, or all of an epoch where it has fewer."""


@attrs.define
class _Statistics:
    """A batch normalisation, and the moments of its input by channel, about where its mean was before."""

    norm: _BatchNorm
    mean: Tensor
    variance: Tensor
    seen: Tensor
    momentum: float | None
    origin: Tensor
    total: Tensor
    squares: Tensor
    batches: Tensor
    count: int = 0

    @classmethod
    def of(cls, norm: _BatchNorm) -> _Statistics:
        """Nothing is added yet."""
        mean, variance, seen = norm.running_mean, norm.running_var, norm.num_batches_tracked
        assert mean is not None, "it tracks statistics"
        assert variance is not None
        assert seen is not None
        zero = torch.zeros_like(mean, dtype=sum_dtype(mean.device))
        origin = mean.to(zero)
        return cls(norm, mean, variance, seen, norm.momentum, origin, zero, zero.clone(), seen.clone())

    @contextmanager
    def collected(self) -> Iterator[None]:
        """While open, every forward pass of the normalisation is added: with a momentum of 1 it leaves the mean and the
        variance of its batch, which it needs for itself, so that nothing is computed twice."""
        handle = self.norm.register_forward_hook(self._add)
        self.norm.momentum = 1.0
        self.norm.train()
        try:
            yield
        finally:
            handle.remove()
            self.norm.momentum = self.momentum
            self.seen.copy_(self.batches)

    def _add(self, _: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        count = output.numel() // output.shape[1]
        apart = self.mean.to(self.origin) - self.origin
        # What is kept of the variance is divided by one less than the count.
        squares = self.variance.to(self.origin) * ((count - 1) / count) + apart.square()
        self.total += count * apart
        self.squares += count * squares
        self.count += count

    def keep(self) -> None:
        """Put the mean and variance of what was added in place of those that the normalisation has, if anything was."""
        if self.count:
            mean = self.total / self.count
            self.mean.copy_(self.origin + mean)
            self.variance.copy_(self.squares / self.count - mean.square())


@attrs.define
class _Network:
    """A network whose statistics are estimated: those of some of its normalisations, and the calls that these need."""

    spec: Spec
    model: nn.Module
    known: frozenset[Value]
    found: list[_Statistics]
    wanted: list[Value]

    @classmethod
    def of(cls, spec: Spec, model: nn.Module, known: frozenset[Value]) -> _Network:
        """All normalisations but those of values that are known."""
        model.train()  # what stays in evaluation mode even so is frozen by its own module
        norms, wanted = [], []
        for call in wired(spec):
            names = [copy.name for copy in call.copies]
            below = [module for name in names for module in model.get_submodule(name).modules() if _estimated(module)]
            if below and call.value not in known:
                norms += [module for module in below if module not in norms]
                wanted.append(call.value)
        model.eval()
        return cls(spec, model, known, [_Statistics.of(norm) for norm in norms], wanted)

    def calls(self, more: Iterable[Value] = ()) -> tuple[Call, ...]:
        """What computes the values that its normalisations take part in, and some more, from those that are known."""
        unknown = (call for call in wired(self.spec) if call.value not in self.known)
        return upstream(unknown, (*self.wanted, *more))

    def reads(self) -> set[Value]:
        """The values that are known and read."""
        return {value for call in self.calls() for value in call.reads if value in self.known}

    def run(self, known: Mapping[Value, Tensor], keep: Collection[Value], device: torch.device) -> dict[Value, Tensor]:
        """Take part in one batch, with what it is for: the values that are for tasks of those that are known."""
        served = frozenset(task for value in known for task in value.tasks)
        kept = [value for value in keep if value.tasks <= served]
        calls = [call for call in self.calls(kept) if call.value.tasks <= served]
        with located(self.model, self.spec), autocast(self.spec.train.precision, device):
            return run_calls(self.model, calls, known, kept)


def _estimated(module: nn.Module) -> TypeGuard[_BatchNorm]:
    return isinstance(module, _BatchNorm) and module.track_running_stats and module.training


@torch.no_grad()
def reestimate(networks: Sequence[tuple[Spec, nn.Module]], samples: Samples | Mixed, device: torch.device) -> None:
    """Give every batch normalisation of the networks the mean and variance (E[x²] - mean²) of its input over BATCHES
    fixed batches of training, of each source of samples, each normalised by its own statistics meanwhile, all else
    being as in evaluation.

    What a network computes as the first one does is computed once. The networks' modes and the count of batches they
    have seen stay as they were, as do normalisations that are not run and those that stay in evaluation mode when the
    network is put into training.
    """
    (spec, model), *others = networks
    whole = inputs_of(spec)
    with evaluating(*(model for _, model in networks)):
        first = _Network.of(spec, model, frozenset(whole))
        later = [_Network.of(*other, alike(spec, model, *other)) for other in others]
        found = [statistics for each in (first, *later) for statistics in each.found]
        if not found:
            return
        read = set[Value]().union(*(each.reads() for each in later))
        with ExitStack() as collecting:
            for statistics in found:
                collecting.enter_context(statistics.collected())
            for inputs in _fixed(spec, samples, device):
                values = first.run(inputs, read, device)
                for each in later:
                    each.run(values, (), device)
    for statistics in found:
        statistics.keep()
    for each in later:
        for name in (copy.name for call in wired(each.spec) if call.value in each.known for copy in call.copies):
            give_state(each.model.get_submodule(name), model.get_submodule(name).state_dict())


def _fixed(spec: Spec, samples: Samples | Mixed, device: torch.device) -> Iterator[dict[Value, Tensor]]:
    """The inputs of the same training batches each time, augmented as in training, by the values that they are."""
    for stream, own in streamed(spec, samples):
        of_epoch = batches(
            own.only(*spec.data.inputs),
            stream.data.batch,
            seed=spec.train.seed,
            shuffle=True,
            augment=stream.data.augment,
            device=device,
            drop_last=True,
        )
        served = frozenset(stream.tasks)
        for batch in islice(of_epoch, BATCHES):
            yield {Value(name, served): batch[name] for name in spec.data.inputs}
