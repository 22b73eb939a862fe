"""Running a part of a network: the copies of layers that some of its values depend on, each once.

What there is to call is taken from the spec's wiring, the modules from the network by name, so that nothing hooks into
the network's own `forward`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import attrs
import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Call, Value, bodies, common_reads, inputs_of, upstream, wired
from mtsldsl.runtime.network.inputs import Inputs, as_values, each_of
from mtsldsl.runtime.network.side_by_side import SideBySide
from mtsldsl.sharing import Copy


def run_layers(model: nn.Module, spec: Spec, inputs: Inputs, wanted: Iterable[Value]) -> dict[Value, Tensor]:
    """The wanted values for `inputs`, running only what they depend on; all tasks read the same.

    In the modes and with the gradients that the modules have at the time. An activation is dropped as soon as nothing
    more reads it.
    """
    keep = list(dict.fromkeys(wanted))
    return run_calls(model, upstream(wired(spec), keep), as_values(spec, inputs), keep)


def alike(spec: Spec, model: nn.Module, other_spec: Spec, other_model: nn.Module) -> frozenset[Value]:
    """The values that two networks compute in the same way from the same input: by the same calls of copies of layers
    whose weights and statistics are equal, bit for bit. A person's own module may keep what its state does not show, so
    that nothing is known of what it computes."""
    own = {copy for copy, body in bodies(spec).items() if any(step.operator == "module" for step in body.steps)}
    calls = {call.value: call for call in wired(spec) if own.isdisjoint(call.modules)}
    found = set(inputs_of(spec))
    for call in wired(other_spec):
        same = calls.get(call.value) == call and found.issuperset(call.reads)
        names = [copy.name for copy in call.modules]
        if same and all(_equal(model.get_submodule(name), other_model.get_submodule(name)) for name in names):
            found.add(call.value)
    return frozenset(found)


def _equal(module: nn.Module, other: nn.Module) -> bool:
    state, other_state = module.state_dict(), other.state_dict()
    return state.keys() == other_state.keys() and all(torch.equal(state[name], other_state[name]) for name in state)


def layer_inputs(
    model: nn.Module, spec: Spec, inputs: Inputs, wanted: Iterable[Copy]
) -> dict[Copy, tuple[Tensor, ...]]:
    """What copies of layers read for `inputs`: for each the tensors to call a module for it with.

    The tasks of a copy need not share the layer yet, only all that it reads.
    """
    reads = {copy: common_reads(spec, copy) for copy in wanted}
    found = run_layers(model, spec, inputs, (value for each in reads.values() for value in each))
    return {copy: tuple(found[value] for value in each) for copy, each in reads.items()}


def run_calls(
    model: nn.Module, calls: Sequence[Call], known: Mapping[Value, Tensor], keep: Iterable[Value]
) -> dict[Value, Tensor]:
    """The values to keep, after making the calls, in this order, from values that are known."""
    return Route.of(model, calls, keep).run(known)


@attrs.frozen(eq=False)
class _Stop:
    """A call of a route, and the places of the values that it reads and gives.

    A copy that makes the same for several values of a layer is called once: each module stands with the number of what
    it makes, counted in its layer.
    """

    call: Call
    first: bool
    """Of its layer."""
    modules: Sequence[tuple[int, nn.Module]]
    at_once: Sequence[tuple[Sequence[int], SideBySide]]
    """Those that no stop before this calls and that can be computed at once."""
    gate: nn.Module | None
    reads: Sequence[int]
    value: int
    done: Sequence[int]
    """What nothing reads after it."""


@attrs.frozen(eq=False)
class Route:
    """Calls of a network, and the values to keep: modules are looked up and values numbered once, for many runs."""

    stops: Sequence[_Stop]
    known: Mapping[Value, int]
    """What is to be known, by value the place."""
    kept: Mapping[Value, int]

    @classmethod
    def of(cls, model: nn.Module, calls: Sequence[Call], keep: Iterable[Value], gated: Collection[str] = ()) -> Route:
        """The route of the calls, in this order. At layers that are `gated`, to which `run` is given gates, copies that
        are alike may be computed at once, which gives the same but for rounding."""
        kept = tuple(dict.fromkeys(keep))
        readers = Counter(value for call in calls for value in call.reads)
        readers.update(kept)  # one more reader, which never comes
        places: dict[Value, int] = {}
        for value in (*(value for call in calls for value in (*call.reads, call.value)), *kept):
            places.setdefault(value, len(places))
        computed = {call.value for call in calls}
        stops = []
        layer, numbers = "", dict[tuple[Copy, tuple[Value, ...]], int]()
        for call in calls:
            first = call.layer != layer
            if first:
                layer, numbers = call.layer, {}
            known_before = len(numbers)
            modules = [
                (numbers.setdefault((copy, call.reads), len(numbers)), model.get_submodule(copy.name))
                for copy in call.copies
            ]
            new = [each for each in modules if each[0] >= known_before]
            at_once = _at_once(new, call) if call.layer in gated else []
            gate = None if call.gate is None else model.get_submodule(call.gate.name)
            readers[call.value] += 1  # the call itself
            done = []
            for value in (*call.reads, call.value):
                readers[value] -= 1
                if not readers[value]:
                    done.append(places[value])
            reads = [places[value] for value in call.reads]
            stops.append(_Stop(call, first, modules, at_once, gate, reads, places[call.value], done))
        known = {value: place for value, place in places.items() if value not in computed}
        return cls(stops, known, {value: places[value] for value in kept})

    def run(
        self,
        known: Mapping[Value, Tensor],
        gates: Mapping[str, Mapping[str, Tensor]] = {},
        *,
        each_module: bool = False,
    ) -> dict[Value, Tensor]:
        """The values to keep, from values that are known. With `each_module` none is computed but by its module, so
        that hooks see it.

        At layers with `gates`, by task a number for each of the copies of its call, a value is the sum of what the
        copies give, each times its number.
        """
        values = {place: known[value] for value, place in self.known.items()}
        made: dict[int, Tensor] = {}
        for stop in self.stops:
            if stop.first:
                made = {}
            call, reads = stop.call, [values[place] for place in stop.reads]
            for numbers, alike in () if each_module else stop.at_once:
                if alike.pays(len(reads[0])):
                    made.update(zip(numbers, alike(*reads), strict=True))
            for number, module in stop.modules:
                if number not in made:
                    made[number] = module(*reads)
            terms = [made[number] for number, _ in stop.modules]
            if call.layer in gates and terms:
                (task,) = call.value.tasks
                values[stop.value] = _gated(terms, gates[call.layer][task])
            else:
                shares = None if stop.gate is None else stop.gate(reads[0]).softmax(1)
                values[stop.value] = _joined(terms, reads, shares, call)
            for place in stop.done:
                del values[place]
        return {value: values[place] for value, place in self.kept.items()}


def _joined(terms: Sequence[Tensor], reads: Sequence[Tensor], shares: Tensor | None, call: Call) -> Tensor:
    """What a call gives of what its copies make, as the generated code computes it: the mean, or with its gate's shares
    (n, copies) the weighted sum."""
    if not terms:
        return reads[0].new_zeros(reads[0].shape[0], *call.shape)
    if shares is not None:
        weights = shares.reshape(shares.shape[0], -1, *[1] * len(call.shape)).unbind(1)
        terms = [weight * term for weight, term in zip(weights, terms, strict=True)]
    first, *rest = terms
    if shares is not None:
        return sum(rest, start=first)
    return sum(rest, start=first) / len(terms) if rest else first


def _gated(terms: Sequence[Tensor], gates: Tensor) -> Tensor:
    """The sum of the terms, each times its gate."""
    first, *rest = (gate * term for gate, term in zip(gates.to(terms[0].dtype).unbind(), terms, strict=True))
    return sum(rest, start=first)


def _at_once(modules: Sequence[tuple[int, nn.Module]], call: Call) -> list[tuple[Sequence[int], SideBySide]]:
    """Which of the modules of a call, by their numbers, are computed at once."""
    if len(call.reads) > 1:
        return []
    of_class = defaultdict[type[nn.Module], list[tuple[int, nn.Module]]](list)
    for number, module in modules:
        of_class[type(module)].append((number, module))
    tried = ([*zip(*each, strict=True)] for each in of_class.values())
    found = [(numbers, SideBySide.of(alike, call.shape)) for numbers, alike in tried]
    return [(numbers, alike) for numbers, alike in found if alike is not None]


def pooled(activation: Tensor) -> Tensor:
    """The mean over space or tokens, (n, channels) float32, of (n, c, h, w), (n, length, c) or (n, c)."""
    if activation.ndim == 4:
        return activation.mean((2, 3), dtype=torch.float32)
    if activation.ndim == 3:
        return activation.mean(1, dtype=torch.float32)
    if activation.ndim == 2:
        return activation.float()
    raise ValueError(f"an activation is (n, c, h, w), (n, length, c) or (n, c), not {tuple(activation.shape)}")


Reduction: TypeAlias = Callable[[Value, Tensor, int, int], Tensor]
"""What is kept of an activation of a value: given it, the number of its first sample, and that of all samples."""


def averaged(_: Value, activation: Tensor, first: int, samples: int) -> Tensor:
    """Its mean over space or tokens."""
    return pooled(activation)


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every part of the modules has the mode that it had."""
    modes = {part: part.training for module in modules for part in module.modules()}
    try:
        for module in modules:
            module.eval()
        with torch.no_grad():
            yield
    finally:
        for part, training in modes.items():
            part.training = training


def features(
    model: nn.Module,
    spec: Spec,
    batches: Iterable[Inputs],
    wanted: Iterable[Value],
    samples: int,
    reduced: Reduction = averaged,
) -> dict[Value, Tensor]:
    """The values of layers, by default pooled to (samples, channels) float32, from one pass over batches of inputs.

    In evaluation mode and without gradients; only what is wanted is run, and no batch is taken after so many `samples`.
    There are fewer rows where there are fewer samples. Raises MtlError MTL804 where there is none.
    """
    keep = list(dict.fromkeys(wanted))
    if not keep:
        return {}
    calls = upstream(wired(spec), keep)
    parts: Mapping[Value, list[Tensor]] = {value: [] for value in keep}
    device = next(iter(model.state_dict().values())).device
    seen = 0
    with evaluating(model):
        for batch in batches:
            inputs = tuple(each[: samples - seen].to(device) for each in each_of(batch))
            for value, output in run_calls(model, calls, as_values(spec, inputs), keep).items():
                parts[value].append(reduced(value, output, seen, samples))
            seen += len(inputs[0])
            if seen >= samples:
                break
    if not seen:
        raise MtlError.of(
            "MTL804",
            "there are no images to compare the tasks' layers with",
            "give a training set that is not empty, and a positive number of samples",
        )
    return {value: torch.cat(found) for value, found in parts.items()}
