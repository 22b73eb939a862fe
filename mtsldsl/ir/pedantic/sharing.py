"""Warnings about what is shared and how that is learned."""

from __future__ import annotations

from collections.abc import Iterator

from mtsldsl.diagnostics import Diagnostic
from mtsldsl.ir.pedantic.reading import Check, Reading, warn
from mtsldsl.sharing import Sharing, unmerged
from mtsldsl.syntax import tree


def empty_sharing(reading: Reading) -> Iterator[Diagnostic]:
    """MTL921: a `sharing` block with which every task has its own copy of every layer."""
    spec = reading.spec
    for section in reading.sections("sharing"):
        if section.items and len(spec.tasks) > 1 and spec.sharing == Sharing.each(spec.backbone, spec.sharing.tasks):
            cause = "the block shares nothing, as if it were not there"
            yield warn("MTL921", cause, "leave it out", section.kind.span)


def contradicted_history(reading: Reading) -> Iterator[Diagnostic]:
    """MTL922: merges of the history that the sharing does not have."""
    spec = reading.spec
    for decision in spec.history:
        apart = [
            task for task in decision.tasks if task not in spec.sharing.component(decision.layer, decision.tasks[0])
        ]
        if apart:
            cause = f"the history merges `{decision.layer}`, where the sharing keeps `{apart[0]}` apart"
            yield warn("MTL922", cause, "share the layer, or leave the decision out", decision.span)


def useless_phases(reading: Reading) -> Iterator[Diagnostic]:
    """MTL931, MTL932: phases that can merge nothing, or whose merges are never trained."""
    spec = reading.spec
    if spec.structure is None:
        return
    if len(spec.tasks) == 1:
        cause = "there is a single task, so no phase can ever find two that may merge"
        yield warn("MTL931", cause, "leave `structure` out", reading.place("structure", "phases"))
    elif not unmerged(spec.sharing):
        cause = "the sharing leaves no layer at which two tasks may still merge, so no phase can find one"
        remedy = "leave `structure` out, or start from a sharing with lines left to decide"
        yield warn("MTL931", cause, remedy, reading.place("structure", "phases"))
    elif spec.structure.phases[-1] >= spec.train.epochs:
        cause = f"what the phase at epoch {spec.structure.phases[-1]} merges is never trained: it is the last epoch"
        remedy = "let the last phase come earlier, or train for longer"
        yield warn("MTL932", cause, remedy, reading.item("structure", "phases", -1))


def idle_thresholds(reading: Reading) -> Iterator[Diagnostic]:
    """MTL933: thresholds that every similarity is above, or none."""
    structure = reading.spec.structure
    if structure is None:
        return
    least = -1 if structure.similarity.arguments.get("debiased") else 0
    place = reading.place("structure", "threshold")
    if structure.threshold >= 1:
        cause = f"no similarity is above {structure.threshold:g}, so nothing will ever merge"
    elif structure.threshold <= least:
        cause = f"every similarity is above {structure.threshold:g}, so everything will merge"
    else:
        return
    yield warn("MTL933", cause, f"take a threshold between {least} and 1, such as 0.8", place)


def missing_samples(reading: Reading) -> Iterator[Diagnostic]:
    """MTL934: a similarity from more training images than are rendered; other data sets are not looked at."""
    spec = reading.spec
    there = reading.training_images
    if spec.structure is None or there is None or not _asks_for_samples(reading):
        return
    wanted = int(str(spec.structure.similarity.arguments["samples"]))
    if wanted > there:
        cause = f"the similarity asks for {wanted} training images, and there are {there}"
        remedy = "ask for fewer `samples`, or render more `images`"
        yield warn("MTL934", cause, remedy, spec.structure.similarity.span or reading.place("structure", "similarity"))


def _asks_for_samples(reading: Reading) -> bool:
    """Whether the number of samples is written down: the default is meant as a bound."""
    return any(
        isinstance(item, tree.Entry)
        and item.key.text == "similarity"
        and isinstance(item.value, tree.Call)
        and any(argument.name is None or argument.name.text == "samples" for argument in item.value.arguments)
        for section in reading.sections("structure")
        for item in section.items
    )


SHARING: tuple[Check, ...] = (empty_sharing, contradicted_history, useless_phases, idle_thresholds, missing_samples)
"""All checks of this module."""
