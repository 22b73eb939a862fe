"""Records as a text would make them, with every default in its place."""

from __future__ import annotations

from mtsldsl.datasets.kind import COMMON
from mtsldsl.datasets.registry import data_kind
from mtsldsl.ir import Body, Data, Step, Target, Task, Train
from mtsldsl.language import Constant, Named, Shape
from mtsldsl.language.holding import completed, named
from mtsldsl.language.schema import BALANCES, LOSSES, METRICS, OPTIMIZERS

TRAIN = Train(1, named(OPTIMIZERS, "adam"), None, named(BALANCES, "equal"), "fp32", 0)


def data_of(kind: str, name: str, shape: Shape, batch: int, **options: Constant) -> Data:
    """A data block; of files that are nowhere unless `options` says where they are."""
    known = data_kind(kind)
    keys = [key for key in known.block.keys or () if key.name not in COMMON]
    nowhere = {known.place: "nowhere"} if known.place else {}
    return Data(kind, name, shape, batch, options=completed(keys, nowhere | options))


def gives(shape: Shape, **reads: Shape) -> Body:
    """A head that gives a shape, whatever it reads, by a module that nobody makes."""
    arguments = {"target": "nowhere:Module", "out": shape, "parameters": None, "flops": None}
    return Body(tuple(reads), tuple(reads.values()), (Step("module", arguments, tuple(reads), shape),), 0, shape)


def loss_of(target: Target, name: str | None = None, **arguments: Constant) -> Named:
    """A loss of the target, by default its first."""
    call = LOSSES[target.kind]
    return named(call, name or call.rules[0].name, **arguments)


def metric_of(target: Target, name: str, **arguments: Constant) -> Named:
    """A metric of the target."""
    return named(METRICS[target.kind], name, **arguments)


def task_of(
    name: str,
    target: Target,
    head: Body,
    loss: Named | None = None,
    metrics: tuple[Named, ...] = (),
    field: str | None = None,
) -> Task:
    """A task, by default with its target's first loss and last metric, which every head has."""
    last = METRICS[target.kind].rules[-1].name
    return Task(name, target, head, loss or loss_of(target), metrics or (metric_of(target, last),), field=field)
