"""Running a part of a network: the layers' components that some of its activations depend on, each once.

What a component reads and which components exist is taken from the spec, the modules from the network by name, so that
nothing hooks into the network's own `forward`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.similarity import pooled
from mtsldsl.sharing import component_name
from mtsldsl.spec import Spec

Place: TypeAlias = tuple[str, frozenset[str]]
"""A copy of a layer: the layer's name and the tasks that share the copy."""

Source: TypeAlias = Place | None
"""What a copy of a layer reads: a copy of an earlier layer, or None for the network's input."""


def reads(spec: Spec, place: Place) -> tuple[Source, ...]:
    """What the copy at `place` reads, in the order of its module's arguments.

    The tasks need not be one component of the layer: for tasks that are about to share it, this is what they all read.
    Raises ValueError where they do not read the same.
    """
    layer, tasks = place
    sources: list[Source] = []
    for name in spec.layer(layer).body.inputs:
        if name == spec.data.input:
            sources.append(None)
            continue
        components = {spec.sharing.component(name, task) for task in tasks}
        if len(components) != 1:
            raise ValueError(f"{sorted(tasks)} do not share {name}, which {layer} reads")
        sources.append((name, components.pop()))
    return tuple(sources)


def ancestors(spec: Spec, places: Iterable[Place]) -> tuple[Place, ...]:
    """The places and all that they depend on, each once, what is read before what reads it."""
    needed: set[Place] = set()
    waiting = list(places)
    while waiting:
        place = waiting.pop()
        if place not in needed:
            needed.add(place)
            waiting += [source for source in reads(spec, place) if source is not None]
    order = {layer.name: index for index, layer in enumerate(spec.layers)}
    return tuple(sorted(needed, key=lambda place: (order[place[0]], component_name(place[1]))))


def component(model: nn.Module, place: Place) -> nn.Module:
    """The network's module for one copy of a layer."""
    layer, tasks = place
    return model.get_submodule(f"{layer}.{component_name(tasks)}")


def run_layers(model: nn.Module, spec: Spec, image: Tensor, wanted: Iterable[Place]) -> dict[Place, Tensor]:
    """The outputs of the wanted copies of layers for `image` (n, c, h, w), running only what they depend on.

    In the modes and with the gradients that the modules have at the time. An activation is dropped as soon as nothing
    more reads it.
    """
    keep = list(dict.fromkeys(wanted))
    return _run(model, spec, image, keep, ancestors(spec, keep))


def layer_inputs(
    model: nn.Module, spec: Spec, image: Tensor, wanted: Iterable[Place]
) -> dict[Place, tuple[Tensor, ...]]:
    """What copies of layers read for `image` (n, c, h, w): for each place the tensors to call a module for it with.

    The tasks of a place need not share the layer yet, only all that it reads.
    """
    places = list(dict.fromkeys(wanted))
    sources = {place: reads(spec, place) for place in places}
    before = list(dict.fromkeys(source for read in sources.values() for source in read if source is not None))
    outputs = _run(model, spec, image, before, ancestors(spec, before))
    return {
        place: tuple(image if source is None else outputs[source] for source in read) for place, read in sources.items()
    }


def _run(
    model: nn.Module, spec: Spec, image: Tensor, keep: Sequence[Place], order: Sequence[Place]
) -> dict[Place, Tensor]:
    sources = {place: reads(spec, place) for place in order}
    readers = Counter(source for read in sources.values() for source in read)
    readers.update(keep)  # one more reader, which never comes
    outputs: dict[Place, Tensor] = {}
    for place in order:
        arguments = [image if source is None else outputs[source] for source in sources[place]]
        outputs[place] = component(model, place)(*arguments)
        for source in sources[place]:
            readers[source] -= 1
            if source is not None and not readers[source]:
                del outputs[source]
    return {place: outputs[place] for place in keep}


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
    model: nn.Module, spec: Spec, image_batches: Iterable[Tensor], wanted: Iterable[Place], samples: int
) -> dict[Place, Tensor]:
    """The pooled activations (samples, channels) float32 of copies of layers, from one pass over images (n, c, h, w).

    In evaluation mode and without gradients; only what is wanted is run, and no batch is taken after `samples` images.
    There are fewer rows where there are fewer images. Raises MtlError MTL804 where there is none.
    """
    places = list(dict.fromkeys(wanted))
    if not places:
        return {}
    order = ancestors(spec, places)
    parts: Mapping[Place, list[Tensor]] = {place: [] for place in places}
    device = next(iter(model.state_dict().values())).device
    seen = 0
    with evaluating(model):
        for batch in image_batches:
            image = batch[: samples - seen].to(device)
            for place, output in _run(model, spec, image, places, order).items():
                parts[place].append(pooled(output))
            seen += len(image)
            if seen >= samples:
                break
    if not seen:
        raise MtlError.of(
            "MTL804",
            "there are no images to compare the tasks' layers with",
            "give a training set that is not empty, and a positive number of samples",
        )
    return {place: torch.cat(found) for place, found in parts.items()}
