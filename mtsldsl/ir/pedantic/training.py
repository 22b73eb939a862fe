"""Warnings about how the network is trained and measured."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import Diagnostic, Span
from mtsldsl.ir.ignoring import sift
from mtsldsl.ir.model import Data, Spec
from mtsldsl.ir.pedantic.reading import Check, Reading, warn
from mtsldsl.language.beginnings import fillable
from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.language.optimization import goes_by_steps, misfit_of_schedule, misfit_of_stop
from mtsldsl.syntax import tree

_ADAPTIVE_RATE, _PLAIN_RATE = 0.1, 1.0
"""Learning rates above these are unusual: of optimizers that scale each step by the gradient's size, and of others."""

_ONE_NUMBER = frozenset(("accuracy", "pixel_accuracy", "error"))
"""Metrics of classes that are one number, or 1 minus it."""


def high_rates(reading: Reading) -> Iterator[Diagnostic]:
    """MTL941: learning rates above what is usual for the optimizer."""
    optimizer = reading.spec.train.optimizer
    rate = number(optimizer.arguments, "lr")
    usual = _PLAIN_RATE if optimizer.name == "sgd" else _ADAPTIVE_RATE
    if rate > usual:
        cause = f"a learning rate of {rate:g} is unusually high for `{optimizer.name}`"
        remedy = f"lower it: {'1e-2' if optimizer.name == 'sgd' else '1e-3'} is usual"
        yield warn("MTL941", cause, remedy, optimizer.span or reading.place("train", "optimizer"))


def misfit_schedules(reading: Reading) -> Iterator[Diagnostic]:
    """MTL942: schedules that do not come to their end, also where the run may stop before, or that raise the learning
    rate; of one that goes by steps the start of a run knows how many there are."""
    scheduler, epochs = reading.spec.train.scheduler, reading.spec.train.epochs
    if scheduler is None:
        return
    said = None if goes_by_steps(scheduler) else misfit_of_schedule(scheduler, epochs, "epoch")
    for misfit in filter(None, (said, misfit_of_stop(scheduler, reading.spec.train.stop, epochs))):
        yield warn("MTL942", *misfit, scheduler.span or reading.place("train", "scheduler"))


def means_not_reached(reading: Reading) -> Iterator[Diagnostic]:
    """MTL942: a mean over the last steps of all epochs, where the run may end before they come."""
    train = reading.spec.train
    stops = train.stop.name == "patience" and number(train.stop.arguments, "epochs") < train.epochs
    if train.average is not None and stops:
        cause = (
            f"`{train.kept}` is a mean over the last of the steps of all {train.epochs} epochs, and "
            "`stop` may end the run before they come"
        )
        yield warn("MTL942", cause, "leave `stop` out, or keep another epoch", reading.place("train", "keep"))


def lone_balances(reading: Reading) -> Iterator[Diagnostic]:
    """MTL943: a balance of one task, and turns that one source of samples is to take."""
    balance = reading.spec.train.balance
    if len(reading.spec.tasks) == 1 and balance.name != "equal":
        cause = f"there is a single task, and nothing for `{balance.name}` to balance"
        yield warn("MTL943", cause, "leave `balance` out", balance.span or reading.place("train", "balance"))
    sampling = reading.spec.train.sampling
    if len(reading.spec.streams) == 1 and sampling.name != "proportional":
        cause = f"there is a single source of samples, and none for it to take turns with by `{sampling.name}`"
        yield warn("MTL943", cause, "leave `sampling` out", sampling.span or reading.place("train", "sampling"))


def large_batches(reading: Reading) -> Iterator[Diagnostic]:
    """MTL944: a batch of more samples than the text says there are to train on; data sets are not looked at."""
    for data in reading.spec.blocks:
        there, batch = data_kind(data.kind).training_samples(data.options), data.batch
        if there is not None and batch > there:
            cause = f"a batch is {batch} samples, and there are {there} to train on, so training will not begin"
            remedy = "take a smaller `batch`, or more samples to train on"
            yield warn("MTL944", cause, remedy, reading.place_of_data(data, "batch"))


def frozen_chances(reading: Reading) -> Iterator[Diagnostic]:
    """MTL945: frozen layers, and heads, that no weights are known for: what `init` of a run fills is not looked at."""
    spec = reading.spec
    if not spec.frozen:
        return
    cost = spec.cost()
    amounts = {**{name: each.total for name, each in cost.layers.items()}, **cost.heads}
    filled = fillable(spec.train.init, spec.backbone.layers, spec.sharing.tasks)
    by_line: dict[Span | None, list[str]] = {}
    for name, value in spec.tuning.items():
        if name in spec.frozen and name not in filled and (amounts[name].parameters or amounts[name].declared):
            by_line.setdefault(value.span, []).append(f"`{name}`" if name in spec.backbone else f"the head of `{name}`")
    for span, names in by_line.items():
        what, is_so = (names[0], "is") if len(names) == 1 else (f"{names[0]} to {names[-1]}", "are")
        cause = f"{what} {is_so} frozen, and nothing in the spec says with which weights, so that chance does"
        yield warn("MTL945", cause, "write `init = start(...)` in `train`, or begin the run with `--weights`", span)


def missing_teachers(reading: Reading) -> Iterator[Diagnostic]:
    """MTL958: how much teachers count, where there are none."""
    train = reading.spec.train
    place = reading.place("train", "teach")
    said = any(
        isinstance(item, tree.Entry) and item.key.text == "teach"
        for section in reading.sections("train")
        for item in section.items
    )
    if said and train.teach and train.teachers is None:
        cause = "`teach` says how much teachers count, and there are no `teachers`"
        yield warn("MTL958", cause, 'name them, as in `teachers = "runs/each/1"`, or leave `teach` out', place)


def equal_metrics(reading: Reading) -> Iterator[Diagnostic]:
    """MTL951: metrics of a task that are one number; those that it has by default are not looked at."""
    for task in reading.spec.tasks:
        if task.target.kind == "classes":
            same = [metric for metric in task.metrics if metric.name in _ONE_NUMBER and metric.span]
            for first, second in list(combinations(same, 2))[:1]:
                sense = "is 1 minus" if "error" in (first.name, second.name) else "is the same as"
                cause = f"for `{task.name}` the metric `{second.name}` {sense} `{first.name}`"
                yield warn("MTL951", cause, "leave one of them out", second.span)


def zero_weights(reading: Reading) -> Iterator[Diagnostic]:
    """MTL952: tasks whose loss counts for nothing."""
    for task in reading.spec.tasks:
        if task.weight == 0:
            cause = f"the loss of `{task.name}` counts for nothing, so its head is never trained"
            place = reading.place("task", "weight", task.name)
            yield warn("MTL952", cause, "give it a weight, or leave the task out", place)


def idle_augmentations(reading: Reading) -> Iterator[Diagnostic]:
    """MTL953: augmentations that do the same to every sample, or nothing, or nothing more than one before."""
    for data in reading.spec.blocks:
        yield from _idle_augmentations(reading, data)


def _idle_augmentations(reading: Reading, data: Data) -> Iterator[Diagnostic]:
    flipped = False
    for augmentation in data.augment:
        cause, remedy = _idle(augmentation), "leave it out, or give it something to choose from"
        if cause is None and augmentation.name == "hflip" and flipped:
            cause, remedy = "a second `hflip` gives no image that one alone does not give", "leave one of them out"
        flipped |= augmentation.name == "hflip"
        if cause:
            yield warn("MTL953", cause, remedy, augmentation.span or reading.place_of_data(data, "augment"))


def _idle(augmentation: Named) -> str | None:
    match augmentation.name, augmentation.arguments.get("factors"), augmentation.arguments.get("p"):
        case "random_scale", tuple(factors), _ if set(factors) == {1}:
            return "`random_scale` scales nothing: its only factor is 1"
        case "hflip", _, 0:
            return "`hflip` with probability 0 never happens"
        case "hflip", _, 1:
            return "`hflip` with probability 1 mirrors every sample alike"
    return None


def targets_not_mirrored(reading: Reading) -> Iterator[Diagnostic]:
    """MTL954: several numbers for a whole picture that is mirrored, as positions of key points or a direction are."""
    for task in reading.spec.tasks:
        data, target = reading.spec.data_of(task.name), task.target
        flips = [each for each in data.augment if each.name == "hflip"]
        several = target.kind == "unit_vectors" or (target.kind == "values" and target.channels > 1)
        if flips and ((several and len(task.head.shape) == 1) or task.by_token):
            what = "answers for each token" if task.by_token else f"{target.channels} numbers"
            cause = (
                f"`hflip` mirrors the pictures, and the {what} that `{task.name}` learns of each stay as they are: "
                "where they say what is left and right, as positions do, half of them become wrong"
            )
            span = flips[0].span or reading.place_of_data(data, "augment")
            yield warn("MTL954", cause, "leave `hflip` out, unless the numbers do not depend on the side", span)


def remarks_on_mirroring(spec: Spec) -> tuple[str, ...]:
    """What MTL954 says, for those who do not ask for warnings about a spec, but where a comment ignores it."""
    if not any(each.name == "hflip" for data in spec.blocks for each in data.augment):
        return ()
    kept, _ = sift(targets_not_mirrored(Reading.of(spec)))
    return tuple(f"{each.cause}; {each.remedy}" for each in kept)


TRAINING: tuple[Check, ...] = (
    high_rates,
    misfit_schedules,
    means_not_reached,
    lone_balances,
    large_batches,
    equal_metrics,
    zero_weights,
    idle_augmentations,
    targets_not_mirrored,
    frozen_chances,
    missing_teachers,
)
"""All checks of this module."""
