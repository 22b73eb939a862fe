"""The block `train`."""

from __future__ import annotations

import attrs

from mtsldsl.ir.blocks import read_block
from mtsldsl.ir.definitions import Definitions
from mtsldsl.ir.keep import Tasks, read_keep
from mtsldsl.ir.model import Train
from mtsldsl.ir.problems import BROKEN, Broken, Problems
from mtsldsl.ir.scope import Bound
from mtsldsl.language.constants import Named
from mtsldsl.language.kinds import EPOCHS
from mtsldsl.language.optimization import goes_by_steps, nesterov_without_momentum
from mtsldsl.language.schema import TRAIN
from mtsldsl.syntax import tree


def read_train(section: tree.Section, tasks: Tasks, definitions: Definitions, problems: Problems) -> Train | Broken:
    """The train block, with defaults for values that are reported."""
    values = read_block(section, TRAIN, definitions.scope, problems).standing()
    epochs: int | Broken = values["epochs"]
    keep: str | Named | Broken | Bound = values["keep"]
    if isinstance(keep, Bound):
        keep = _one_mean(read_keep(keep, tasks, problems), values["ema"], problems)
    if isinstance(epochs, Broken):
        return BROKEN
    scheduler: Named = values["scheduler"]
    if scheduler.name == "cosine" and scheduler.arguments["T_max"] is None and not goes_by_steps(scheduler):
        scheduler = attrs.evolve(scheduler, arguments={**scheduler.arguments, "T_max": epochs})
    return Train(
        epochs,
        _with_momentum(values["optimizer"], problems),
        None if scheduler.name == "none" else scheduler,
        values["balance"],
        values["precision"],
        values["seed"],
        EPOCHS[0] if isinstance(keep, Broken) else keep,
        span=section.span,
        sampling=values["sampling"],
        accumulate=values["accumulate"],
        clip=values["clip"],
        warmup=values["warmup"],
        stop=values["stop"],
        ema=values["ema"],
        init=values["init"],
        teachers=values["teachers"],
        teach=values["teach"],
    )


def _one_mean(keep: str | Named | Broken, ema: float | None, problems: Problems) -> str | Named | Broken:
    """What is kept, unless that is a mean of the weights where `ema` is one already; which is reported."""
    if ema is None or not isinstance(keep, Named):
        return keep
    part = f"`{keep.name}` keeps a mean of the weights, and `ema` evaluates and keeps another in their place"
    return problems.add("MTL202", part, "leave one of them out: `ema`, or this with `keep = last`", keep.span)


def _with_momentum(optimizer: Named, problems: Problems) -> Named:
    """The optimizer, without Nesterov momentum where that cannot be; which is reported."""
    if not nesterov_without_momentum(optimizer):
        return optimizer
    problems.add(
        "MTL202",
        "Nesterov momentum needs a momentum above 0 and no dampening",
        "write `momentum=0.9` beside `nesterov=true`, and leave `dampening` out",
        optimizer.span,
    )
    return attrs.evolve(optimizer, arguments={**optimizer.arguments, "nesterov": False})
