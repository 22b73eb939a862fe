"""The blocks that say how to train: `train` and `structure`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.ir.blocks import BlockValues, read_block
from mtsldsl.ir.definitions import Definitions
from mtsldsl.ir.keep import EPOCHS, Tasks, read_keep
from mtsldsl.ir.model import Structure, Train
from mtsldsl.ir.problems import BROKEN, Broken, Problems
from mtsldsl.ir.scope import Bound
from mtsldsl.language.constants import Named
from mtsldsl.language.schema import STRUCTURE, TRAIN
from mtsldsl.syntax import tree

NO_STRUCTURE = "none"
"""The label of a `structure` block that is kept but has no effect."""


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


def read_structure(
    section: tree.Section, train: Train | Broken, definitions: Definitions, problems: Problems
) -> Structure | Broken | None:
    """The structure block; None where its label is `none`, though its keys are checked all the same."""
    block = read_block(section, STRUCTURE, definitions.scope, problems)
    if section.labels[0].text == NO_STRUCTURE:
        return None
    phases = block["phases"]
    if not isinstance(phases, Broken):
        _check_phases(phases, train, block, problems)
    transfer = block["transfer"]
    if isinstance(transfer, Broken) or isinstance(phases, Broken):
        return BROKEN
    transfer = _check_transfer(transfer, phases, train, block, problems)
    if block.broken:
        return BROKEN
    return Structure(
        section.labels[0].text,
        phases,
        block["similarity"],
        block["threshold"],
        block["align"],
        transfer,
        span=section.span,
    )


def _item_span(block: BlockValues, key: str, index: int) -> Span:
    """The span of one item of a list that is written in the block."""
    value = block.entries[key].value if key in block.entries else None
    return value.items[index].span if isinstance(value, tree.List) else block.place(key)


def _check_phases(phases: Sequence[int], train: Train | Broken, block: BlockValues, problems: Problems) -> None:
    for index in range(1, len(phases)):
        if phases[index] <= phases[index - 1]:
            problems.add(
                "MTL503",
                f"the phase at epoch {phases[index]} comes after the one at epoch {phases[index - 1]}",
                "list the epochs in rising order, each once",
                _item_span(block, "phases", index),
            )
            return
    if isinstance(train, Broken):
        return
    late = [index for index, epoch in enumerate(phases) if epoch > train.epochs]
    if late:
        count = len(late)
        problems.add(
            "MTL501",
            f"{'a structural phase comes' if count == 1 else f'{count} structural phases come'} after the last epoch, "
            f"{train.epochs}",
            f"let every phase be at epoch {train.epochs} or before, or train for at least {max(phases)} epochs",
            _item_span(block, "phases", late[0]),
        )


def _check_transfer(
    transfer: Named, phases: Sequence[int], train: Train | Broken, block: BlockValues, problems: Problems
) -> Named:
    """The transfer with one number of epochs for each phase, and a learning rate."""
    if transfer.name != "amalgamate":
        return transfer
    arguments: dict[str, Any] = dict(transfer.arguments)
    if isinstance(arguments["epochs"], int):
        arguments["epochs"] = (arguments["epochs"],) * len(phases)
    elif len(arguments["epochs"]) != len(phases):
        given, wanted = len(arguments["epochs"]), len(phases)
        problems.add(
            "MTL502",
            f"`amalgamate` has epochs for {given} {'phase' if given == 1 else 'phases'}, and there "
            f"{'is' if wanted == 1 else 'are'} {wanted}",
            f"give {wanted} numbers, or one number for all",
            block.place("transfer"),
        )
    if arguments["lr"] is None and not isinstance(train, Broken):
        arguments["lr"] = train.optimizer.arguments["lr"]
    return attrs.evolve(transfer, arguments=arguments)
