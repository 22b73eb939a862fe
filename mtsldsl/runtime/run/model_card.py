"""The model card of an exported file: what a person who is given the file should know, from the record of its run."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch.utils.flop_counter import FlopCounterMode

from mtsldsl import __version__
from mtsldsl.diagnostics.printable import printable
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.methods.evidence import Event
from mtsldsl.pages.page import page
from mtsldsl.runtime.data.picture_recipe import picture_recipe
from mtsldsl.runtime.network.execution import evaluating
from mtsldsl.runtime.network.portable import BATCHES, FORMS, TOLERANCE
from mtsldsl.runtime.network.served import Served
from mtsldsl.runtime.objectives import higher_is_better
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.event_lines import label_lines, said_of_teachers, said_of_thresholds, short
from mtsldsl.runtime.run.events import Number
from mtsldsl.runtime.run.exported import Exported
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_beside import thresholds_kept
from mtsldsl.runtime.run.kept_epoch import last
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.runtime.run.selection import said_of_mean, steps_of_mean
from mtsldsl.runtime.run.teaching import cost_of_teachers

OUTPUTS = {
    "classes": "logits of the classes, along the first dimension of a sample",
    "values": "the values, in the units of the data",
    "unit_vectors": "vectors, of any length: divide them by it",
    "binary": "logits: the sigmoid is how likely yes is",
    "reconstruct": "the input, reconstructed",
}
"""What an output is, by the kind of its target."""


@attrs.frozen
class Result:
    """A loss or metric of a task at the epoch that is kept; None where it was not measured."""

    task: str
    epoch: int
    name: str
    better: str
    validation: Number
    test: Number


def model_card(made: Exported, folder: RunFolder, drawing: str) -> str:
    """The Markdown of the card, with `drawing` as its picture of the sharing."""
    network, recorded = made.network, list(read_events(folder.events))
    spec = network.spec
    start = next(event for event in recorded if isinstance(event, events.Start))
    parameters, flops = _cost(made)
    results = _results(made, recorded)
    steps = steps_of_mean(folder.events, set(made.epochs.values()))
    given = network.inputs if FORMS[made.form].computes else tuple(spec.data.inputs)
    return page(
        "mtsldsl.runtime.run",
        "model_card.md",
        {"number": short, "code": _code, "fenced": _fenced, "quoted": json.dumps},
        file=made.path.name,
        made=made,
        spec=spec,
        stem=Path(spec.source.name).stem,
        digest=digest(spec),
        tasks=[spec.task(name) for name in network.tasks],
        inputs=[
            (data, name, shape, ", ".join(names))
            for data, names in network.read
            for name, shape in data.inputs.items()
            if name in given
        ],
        recipes=[picture_recipe(data, name) for data, _ in network.read for name in data.pictures if name in given],
        given=given,
        several=len(network.read) > 1,
        outputs={name: _output(made, name) for name in network.tasks},
        results=results,
        alone=made.of in made.network.spec.sharing.tasks,
        thresholds=said_of_thresholds(thresholds_kept(folder, made.epochs, made.of)),
        mean=said_of_mean(steps) if steps else None,
        tested=any(each.test is not None for each in results),
        labels=label_lines(start.data),
        places=_places(spec, start),
        drawing=drawing,
        parameters=parameters,
        flops=flops,
        start=start,
        begun=last(recorded, events.Begun),
        taught=last(recorded, events.Taught),
        teachers=said_of_teachers(cost) if (cost := cost_of_teachers(folder.events)) is not None else None,
        tolerance=TOLERANCE,
        batches=BATCHES,
        versions={"mtsldsl": __version__, "torch": torch.__version__, "Python": platform.python_version()},
    )


def _output(made: Exported, name: str) -> str:
    """What an output is: of a file with the weights alone, whose scale is to be undone, and which class, or column of
    the table, is which."""
    task = made.network.spec.task(name)
    scale = made.scales.get(name)
    if scale is not None and not FORMS[made.form].computes:
        pairs = zip(scale.deviation, scale.mean, strict=True)
        numbers = ", ".join(f"{deviation!r} x + {mean!r}" for deviation, mean in pairs)
        columns = f": {', '.join(map(_code, task.columns))}" if task.columns else ""
        return f"x, of which the values in the units of the data are {numbers}{columns}"
    classes = made.names.get(name, task.columns)
    said = OUTPUTS[task.target.kind]
    if task.by_token:
        said = f"for each token {said.replace('first dimension', 'last dimension')}"
    return f"{said}: {', '.join(map(_code, classes))}" if classes else said


def _cost(made: Exported) -> tuple[int, int]:
    """The parameters of what is exported, and the floating-point operations of one sample."""
    network = made.network
    weights = {name: value.numel() for name, value in network.model.named_parameters()} if made.only is None else {}
    flops = 0
    for data, tasks in network.read:
        served = Served(network.model, network.spec, tasks)
        with evaluating(network.model), FlopCounterMode(display=False) as counter:
            samples = network.samples(data, 1)
            served(*(samples[name] for name in served.inputs))
        flops += counter.get_total_flops()
        weights |= {name: value.numel() for name, value in served.named_parameters()}
    return sum(weights.values()), flops


def _results(made: Exported, recorded: Sequence[Event]) -> list[Result]:
    """For each task its loss and metrics, validated at the epoch of the weights, and of the test of just these."""
    validated = {event.epoch: event for event in recorded if isinstance(event, events.Validation)}
    tests = [event for event in recorded if isinstance(event, final_events.Test)]
    found = []
    for name, epoch in made.epochs.items():
        task, on = made.network.spec.task(name), validated[epoch]
        test = next((event for event in tests if event.epochs[name] == epoch), None)
        lost = test.losses[name] if test else None
        found.append(Result(name, epoch, f"loss {task.loss.name}", "lower", on.losses.get(name), lost))
        for key, value in on.metrics[name].items():
            better = "higher" if higher_is_better(key) else "lower"
            found.append(Result(name, epoch, key, better, value, test.metrics[name].get(key) if test else None))
    return found


def _places(spec: Spec, start: events.Start) -> list[tuple[str, str | None, Mapping[str, Any]]]:
    """Of each data block its kind, where it was, and what else decides its samples."""
    read = start.read or {}
    blocks = read.get("blocks", {spec.data.name: read})
    return [
        (f"{data.kind} {data.label}" if data.label else data.kind, found.get("given"), found.get("settings") or {})
        for data in spec.blocks
        if (found := blocks.get(data.name)) is not None
    ]


def _code(text: object) -> str:
    """Any text as code of Markdown, on one line."""
    return f"`{printable(str(text)).replace('`', '?')}`"


def _fenced(text: str, kind: str) -> str:
    """Lines as a block of code, whatever is in them."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{kind}\n{text.rstrip()}\n{fence}"
