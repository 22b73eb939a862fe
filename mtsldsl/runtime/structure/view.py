"""What a learner may see of a run while it decides: nothing in it changes the network that is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Protocol

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.wiring import Value
from mtsldsl.runtime.data import Mixed, Samples, batches
from mtsldsl.runtime.data.joined import joined
from mtsldsl.runtime.data.mixed import streamed
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.learning.finite import UNREPEATED, Anomaly, find_anomaly, recorded
from mtsldsl.runtime.learning.learned import OptimizerFactory
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.network.execution import Reduction, averaged, evaluating, features, run_layers
from mtsldsl.runtime.network.inputs import Inputs, inputs_in
from mtsldsl.runtime.network.optimizer_state import ParameterState
from mtsldsl.runtime.network.places import located
from mtsldsl.sharing import Sharing


class Watcher(Protocol):
    """Who is told of the work inside a phase."""

    def begin_stage(self, title: str, steps: int) -> None:
        """Work of so many steps begins."""

    def advance(self) -> None:
        """One step is done."""


def _without_text(sharing: Sharing, decisions: Sequence[Decision]) -> Spec:
    raise NotImplementedError("there is no text to rewrite")


def _without_validation(spec: Spec, model: nn.Module) -> Evaluation:
    raise NotImplementedError("there is no validation set")


@attrs.frozen(eq=False)
class View:
    """A run as a learner sees it at the end of an epoch. `samples` are those of training.

    `decided` is the epoch that decisions are written down with: it counts those of earlier runs of the same text too.
    """

    spec: Spec
    model: nn.Module
    samples: Samples | Mixed
    device: torch.device
    position: Position
    decided: int
    make_optimizer: OptimizerFactory
    watcher: Watcher
    say: Callable[..., None]
    """Write an event of the learner's own: `say(kind, ...)`, of a kind that is among the method's `findings`; the epoch
    is added."""
    optimizer_state: Callable[[], Mapping[str, ParameterState]] = dict
    """What the optimizer of the run has of each parameter, by name."""
    rewritten: Callable[[Sharing, Sequence[Decision]], Spec] = _without_text
    """The spec with another sharing, and more lines of `history`, as its text says them."""
    evaluate: Callable[[Spec, nn.Module], Evaluation] = _without_validation
    """What a network of a spec reaches on validation; what is decided by that is chosen on validation."""

    def features(self, wanted: Sequence[Value], count: int, reduced: Reduction = averaged) -> Mapping[Value, Tensor]:
        """The values of layers, `reduced` to (n, ...), by default pooled to (n, channels) float32, for up to `count`
        training samples drawn by the spec's seed, in evaluation mode. The values are of the same samples, those of all
        sources whose tasks they are for, as far as the inputs have one shape.

        Raises MtlError MTL803 where one is not finite, with the place that it comes from.
        """
        found: dict[Value, Tensor] = {}
        for tasks in self.comparable(task for value in wanted for task in value.tasks):
            own = [value for value in wanted if value.tasks <= tasks]
            found |= self._features(own, self.inputs(tasks), count, reduced)
        return {value: found[value] for value in wanted}

    def comparable(self, tasks: Iterable[str]) -> list[frozenset[str]]:
        """The tasks, those together whose inputs have one shape."""
        return self.spec.with_alike_inputs(tasks)

    def inputs(self, tasks: Iterable[str]) -> Samples:
        """The training inputs of all sources whose tasks these are, one after the other; of one shape."""
        names, wanted = tuple(self.spec.data.inputs), frozenset(tasks)
        parts = [own for stream, own in streamed(self.spec, self.samples) if wanted.intersection(stream.tasks)]
        return joined([part.only(*names) for part in parts])

    def labelled(
        self, count: int, *, second_half: bool = False
    ) -> Iterator[list[tuple[tuple[str, ...], Mapping[str, Tensor]]]]:
        """Up to `count` training samples of each source, drawn by the spec's seed, or those behind the first half of
        them, in batches that are not augmented: at each turn one of every source that has any left, behind the tasks
        that it serves."""
        streams, samples = zip(*streamed(self.spec, self.samples), strict=True)
        sources = [
            batches(self._drawn(own, count, second_half), stream.data.batch, shuffle=False, device=self.device)
            for stream, own in zip(streams, samples, strict=True)
        ]
        for turn in zip_longest(*sources):
            yield [(stream.tasks, batch) for stream, batch in zip(streams, turn, strict=True) if batch is not None]

    def _drawn(self, samples: Samples, count: int, second_half: bool = False) -> Samples:
        """Up to so many of the samples, drawn by the spec's seed."""
        generator = torch.Generator().manual_seed(self.spec.train.seed)
        drawn = torch.randperm(len(samples), generator=generator)[:count]
        return samples.take(drawn[len(drawn) // 2 :] if second_half else drawn)

    def _features(
        self, wanted: Sequence[Value], samples: Samples, count: int, reduced: Reduction
    ) -> Mapping[Value, Tensor]:
        read = self._drawn(samples, count)

        def inputs() -> Iterator[Inputs]:
            for batch in batches(read, self.spec.data.batch, shuffle=False, device=self.device):
                yield inputs_in(batch, self.spec.data)

        with located(self.model, self.spec), evaluating(self.model):
            found = features(self.model, self.spec, inputs(), wanted, len(read), reduced)
            if not all(feature.isfinite().all() for feature in found.values()):
                raise self._anomaly(inputs(), wanted).error("an activation that is compared")
        return found

    def _anomaly(self, inputs: Iterable[Inputs], wanted: Sequence[Value]) -> Anomaly:
        """Where the first activation comes from that is not finite, by a second pass that looks at everything."""
        with recorded(self.model, self.spec) as outputs:
            for given in inputs:
                run_layers(self.model, self.spec, given, wanted)
                if found := find_anomaly(self.model, self.spec, given, outputs):
                    return found
        return UNREPEATED
