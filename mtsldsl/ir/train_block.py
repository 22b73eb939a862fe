"""The block `train`."""

from __future__ import annotations

import attrs

from mtsldsl.ir.blocks import read_block
from mtsldsl.ir.definitions import Definitions
from mtsldsl.ir.keep import EPOCHS, Tasks, read_keep
from mtsldsl.ir.model import Train
from mtsldsl.ir.problems import BROKEN, Broken, Problems
from mtsldsl.ir.scope import Bound
from mtsldsl.language.constants import Named
from mtsldsl.language.schema import TRAIN
from mtsldsl.syntax import tree


def read_train(section: tree.Section, tasks: Tasks, definitions: Definitions, problems: Problems) -> Train | Broken:
    """The train block, with defaults for values that are reported."""
    values = read_block(section, TRAIN, definitions.scope, problems).standing()
    epochs: int | Broken = values["epochs"]
    keep: str | Broken | Bound = values["keep"]
    if isinstance(keep, Bound):
        keep = read_keep(keep, tasks, problems)
    if isinstance(epochs, Broken):
        return BROKEN
    _check_nesterov(values["optimizer"], problems)
    scheduler: Named = values["scheduler"]
    if scheduler.name == "cosine" and scheduler.arguments["T_max"] is None:
        scheduler = attrs.evolve(scheduler, arguments={**scheduler.arguments, "T_max": epochs})
    return Train(
        epochs,
        values["optimizer"],
        None if scheduler.name == "none" else scheduler,
        values["balance"],
        values["precision"],
        values["seed"],
        EPOCHS[0] if isinstance(keep, Broken) else keep,
        span=section.span,
    )


def _check_nesterov(optimizer: Named, problems: Problems) -> None:
    given = optimizer.arguments
    if given.get("nesterov") and (given["momentum"] == 0 or given["dampening"] != 0):
        problems.add(
            "MTL202",
            "Nesterov momentum needs a momentum above 0 and no dampening",
            "write `momentum=0.9` beside `nesterov=true`, and leave `dampening` out",
            optimizer.span,
        )
