"""What is set in a training script, as Python: optimizer and scheduler, augmentation, how sharing is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import attrs

from mtsldsl.codegen.literals import literal
from mtsldsl.ir.model import Structure
from mtsldsl.language.constants import Constant, Named
from mtsldsl.language.optimization import OPTIMIZERS, TORCH_OPTIMIZERS, TORCH_SCHEDULERS
from mtsldsl.methods.registry import METHODS, method
from mtsldsl.records import Record


def optimizer_call(optimizer: Named) -> str:
    """The optimizer of `parameters`, such as `torch.optim.Adam(parameters, lr=0.001, fused=True)`."""
    made, rule = TORCH_OPTIMIZERS[optimizer.name], OPTIMIZERS.rule(optimizer.name)
    defaults = {key.name: key.default for key in rule.keys if key.name != "lr"} if rule else {}  # a rate is always said
    arguments = [
        f"{name}={literal(value)}"
        for name, value in optimizer.arguments.items()
        if name not in defaults or literal(cast(Constant, defaults[name])) != literal(value)
    ]
    return f"torch.optim.{made.name}({', '.join(['parameters', *arguments, *(['fused=True'] if made.fused else [])])})"


def scheduler_call(scheduler: Named | None) -> str:
    """The schedule of `optimizer`, such as `torch.optim.lr_scheduler.StepLR(optimizer, step_size=10)`, or `None`."""
    if scheduler is None or scheduler.name == "none":
        return "None"
    arguments = [f"{key}={_setting(value)}" for key, value in scheduler.arguments.items()]
    return f"torch.optim.lr_scheduler.{TORCH_SCHEDULERS[scheduler.name]}({', '.join(['optimizer', *arguments])})"


def _setting(value: Constant) -> str:
    """A list where torch's documentation has one (milestones), else a literal."""
    return f"[{', '.join(map(literal, value))}]" if isinstance(value, tuple) else literal(value)


@attrs.frozen(eq=False, repr=False)
class LearnerPlan(Record):
    """The learner of sharing: its class, the expression that makes it, and where the names in that come from."""

    name: str
    call: str
    module: str
    names: tuple[str, ...]


def learner_plan(structure: Structure | None) -> LearnerPlan:
    """The learner of a method with its settings; of no structure the one that learns nothing."""
    if structure is None:
        return LearnerPlan("Learner", "Learner()", "mtsldsl.runtime.structure.learner", ("Learner",))
    name = method(structure.method).learner
    names = sorted({name, *_classes(structure.settings)})
    return LearnerPlan(
        name, f"{name}({_made(structure.settings)})", f"{METHODS[structure.method]}.learner", tuple(names)
    )


def _made(value: object) -> str:
    """The expression that makes a record of settings, or a constant."""
    if not attrs.has(type(value)):
        return literal(cast(Constant, value))  # what is no record is a constant of the language
    fields = (f"{name}={_made(part)}" for name, part in _parts(value))
    return f"{type(value).__name__}({', '.join(fields)})"


def _classes(value: object) -> Iterator[str]:
    """The names of the classes of a record and of those in it."""
    if attrs.has(type(value)):
        yield type(value).__name__
        for _, part in _parts(value):
            yield from _classes(part)


def _parts(record: object) -> Iterator[tuple[str, object]]:
    """The fields of a record with their values."""
    kind = cast("type[attrs.AttrsInstance]", type(record))  # `attrs.has` does not narrow
    return ((field.name, getattr(record, field.name)) for field in attrs.fields(kind))


def augmentations(given: Sequence[Named]) -> str:
    """What is done to training samples, such as `(Named("hflip", {"p": 0.5}),)`."""
    calls = [f"Named({literal(each.name)}, {_arguments(each.arguments)})" for each in given]
    return f"({', '.join(calls)}{',' if len(calls) == 1 else ''})"


def _arguments(arguments: Mapping[str, Constant]) -> str:
    return f"{{{', '.join(f'{literal(name)}: {literal(value)}' for name, value in arguments.items())}}}"


def train_imports(learner: LearnerPlan) -> tuple[str, ...]:
    """What a training script imports of this package, in order."""
    needed = {
        "mtsldsl.language": ("Named",),
        "mtsldsl.runtime.data": ("batches", "steps_per_epoch"),
        "mtsldsl.runtime.learning.evaluation": ("autocast",),
        "mtsldsl.runtime.learning.training": ("NamedParameters",),
        "mtsldsl.runtime.run.alone": ("run_alone",),
        "mtsldsl.runtime.run.session": ("Session",),
        "mtsldsl.runtime.structure.phase": ("structural_phase",),
        learner.module: learner.names,
    }
    return tuple(f"from {module} import {', '.join(names)}" for module, names in sorted(needed.items()))
