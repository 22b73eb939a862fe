"""What is set in a training script, as Python: optimizer and scheduler, augmentation, how sharing is learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import cast

import attrs

from mtsldsl.ir.model import Spec, Structure
from mtsldsl.ir.task_record import Task
from mtsldsl.language.constants import Constant, Named
from mtsldsl.language.kinds import Call, Key
from mtsldsl.language.literals import literal
from mtsldsl.language.optimization import OPTIMIZERS, SCHEDULERS, TORCH_OPTIMIZERS, TORCH_SCHEDULERS, goes_by_steps
from mtsldsl.methods.registry import METHODS
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class Knob(Record):
    """A constant at the top of a training script, and what is said of it."""

    name: str
    value: str
    comment: str = ""


@attrs.frozen(eq=False, repr=False)
class Made(Record):
    """A call that makes an optimizer or a schedule, and the constants that are its arguments."""

    call: str
    knobs: tuple[Knob, ...] = ()
    of_steps: bool = False
    """Whether it reads `steps`, those of the whole run."""


def optimizer_plan(optimizer: Named, rates: Mapping[str, float]) -> Made:
    """The optimizer of `parameters`, such as `torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)`; with factors
    of the rate of groups of them."""
    made, keys = TORCH_OPTIMIZERS[optimizer.name], _keys(OPTIMIZERS, optimizer)
    given = {  # a rate is always said
        name: value
        for name, value in optimizer.arguments.items()
        if name == "lr" or literal(cast(Constant, keys[name].default)) != literal(value)
    }
    fused = ["fused=True"] if made.fused else []
    if not rates:
        return _made_of(f"torch.optim.{made.name}", "parameters", given, keys, fused)
    of = "at_rates(parameters, LEARNING_RATE, RATES)"
    plan = _made_of(f"torch.optim.{made.name}", of, given, keys, fused)
    factors = ", ".join(f"{literal(name)}: {literal(factor)}" for name, factor in rates.items())
    knob = Knob("RATES", f"{{{factors}}}", "factors of the learning rate, by the layer, or the task of a head")
    return attrs.evolve(plan, knobs=(*plan.knobs, knob))


def scheduler_plan(scheduler: Named | None) -> Made:
    """The schedule of `optimizer`, such as `torch.optim.lr_scheduler.StepLR(optimizer, step_size=STEP_SIZE)`, or
    `None`."""
    if scheduler is None or scheduler.name == "none":
        return Made("None")
    called, keys = f"torch.optim.lr_scheduler.{TORCH_SCHEDULERS[scheduler.name]}", _keys(SCHEDULERS, scheduler)
    if goes_by_steps(scheduler):
        keys = {name: attrs.evolve(key, summary=key.summary.replace("epochs", "steps")) for name, key in keys.items()}
    given = {name: value for name, value in scheduler.arguments.items() if name != "by" and value is not None}
    more = {"cosine": [] if "T_max" in given else ["T_max=steps"], "one_cycle": _ONE_CYCLE}.get(scheduler.name, [])
    return attrs.evolve(_made_of(called, "optimizer", given, keys, more), of_steps=bool(more))


_ONE_CYCLE = [
    'max_lr=[group["lr"] for group in optimizer.param_groups]',
    "total_steps=steps",
    "cycle_momentum=False",
]
"""What the run says of a cycle: its highest rates are those of the optimizer, and momenta stay as they are."""


def _keys(kinds: Call, named: Named) -> Mapping[str, Key]:
    rule = kinds.rule(named.name)
    return {key.name: key for key in rule.keys} if rule else {}


def _made_of(
    called: str, of: str, given: Mapping[str, Constant], keys: Mapping[str, Key], more: Sequence[str] = ()
) -> Made:
    knobs = {name: _knob(keys[name], value) for name, value in given.items()}
    arguments = [of, *(f"{name}={knob.name}" for name, knob in knobs.items()), *more]
    return Made(f"{called}({', '.join(arguments)})", tuple(knobs.values()))


def _knob(key: Key, value: Constant) -> Knob:
    name = "LEARNING_RATE" if key.name == "lr" else key.name.upper()
    said = key.summary.upper().replace(" ", "_") == name
    return Knob(name, _setting(value), "" if said else key.summary)


def may_stop(task: Task) -> bool:
    """Whether a task may learn no more before the run ends."""
    return task.stop.name == "patience"


def rest_of_knobs(spec: Spec) -> str:
    """What is decided in the spec and is no constant of the script, since the session reads it there."""
    balance, keep = spec.train.balance, spec.train.keep
    kept = literal(keep) if isinstance(keep, str) else spec.train.kept
    arguments = [f"{name}={literal(value)}" for name, value in balance.arguments.items()]
    called = f"{balance.name}({', '.join(arguments)})" if arguments else balance.name
    (most, _), *others = Counter(task.weight for task in spec.tasks).most_common()
    weights = [f"{literal(task.weight)} of {task.name}" for task in spec.tasks if task.weight != most]
    weights.append(f"{literal(most)} of {'the others' if others else 'every task'}")
    stops = [f"patience({task.stop.arguments['epochs']}) of {task.name}" for task in spec.tasks if may_stop(task)]
    teachers = ""
    if spec.train.taught_by is not None:
        teachers = f"; teachers = {literal(spec.train.taught_by)}; teach = {literal(spec.train.teach)}"
    ema = "" if spec.train.ema is None else f"; ema = {literal(spec.train.ema)}"
    stop = f"; stop = {', '.join(stops)}" if stops else ""
    return (
        f"Read from the spec where it is used: data, losses, metrics; balance = {called}; keep = {kept}{ema}; "
        f"weight = {', '.join(weights)}{stop}{teachers}. "
        "Initial weights and phases have the same seed, evaluation the same precision."
    )


def _setting(value: Constant) -> str:
    """A list where torch's documentation has one (milestones), else a literal."""
    return f"[{', '.join(map(literal, value))}]" if isinstance(value, tuple) else literal(value)


@attrs.frozen(eq=False, repr=False)
class LearnerPlan(Record):
    """The learner of sharing: its settings, the expression that makes it of these, and where the names come from."""

    call: str
    knobs: tuple[Knob, ...]
    module: str
    names: tuple[str, ...]


def learner_plan(structure: Structure | None) -> LearnerPlan:
    """The learner of a method with its settings; of no structure the one that learns nothing."""
    if structure is None:
        return LearnerPlan("Learner()", (), "mtsldsl.runtime.structure.learner", ("Learner",))
    known = structure.known
    name = known.learner
    names = sorted({name, *_classes(structure.settings)})
    settings = Knob(
        "STRUCTURE",
        _made(structure.settings, known.later),
        "how it is learned which tasks share what",
    )
    module = f"{METHODS[structure.method].folder}.learner"
    return LearnerPlan(f"{name}(STRUCTURE)", (settings,), module, tuple(names))


def _made(value: object, later: Mapping[str, Constant] = MappingProxyType({})) -> str:
    """The expression that makes a record of settings, or a constant; without fields that only `later` versions have, at
    their defaults there, so that the code of a spec stays what it was."""
    if not attrs.has(type(value)):
        return literal(cast(Constant, value))  # what is no record is a constant of the language
    shown = ((name, part) for name, part in _parts(value) if name not in later or part != later[name])
    fields = (f"{name}={_made(part)}" for name, part in shown)
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


@attrs.frozen(eq=False, repr=False)
class MixedPlan(Record):
    """The knobs of a spec whose batches come from several sources: the samples of a batch and the augmentations, by
    data block, and the rule by which sources take turns."""

    batch: str
    augment: str
    sampling: str


def mixed_plan(spec: Spec) -> MixedPlan | None:
    """None where there is one source."""
    if len(spec.streams) == 1:
        return None
    sizes = ", ".join(f"{literal(data.name)}: {data.batch}" for data in spec.blocks)
    augment = ", ".join(f"{literal(data.name)}: {augmentations(data.augment)}" for data in spec.blocks)
    sampling = spec.train.sampling
    rule = f"Named({literal(sampling.name)}, {_arguments(sampling.arguments)})"
    return MixedPlan(f"{{{sizes}}}", f"{{{augment}}}", rule)


def _arguments(arguments: Mapping[str, Constant]) -> str:
    return f"{{{', '.join(f'{literal(name)}: {literal(value)}' for name, value in arguments.items())}}}"


def train_imports(learner: LearnerPlan, *, mixed: bool, rates: bool, warmup: bool, steps: bool) -> tuple[str, ...]:
    """What a training script imports of this package, in order; `mixed`: samples come from several sources; `rates`:
    some layers learn at others; `warmup`: the learning rate rises at first; `steps`: its schedule reads how many steps
    the run has."""
    needed = {
        "mtsldsl.language": ("Named",),
        "mtsldsl.runtime.data": ("Schedule",) if mixed else ("batches", "steps_per_epoch"),
        "mtsldsl.runtime.learning.evaluation": ("autocast",),
        "mtsldsl.runtime.learning.learned": ("NamedParameters", *(("at_rates",) if rates else ())),
        "mtsldsl.runtime.run.alone": ("run_alone",),
        "mtsldsl.runtime.run.session": ("Session",),
        "mtsldsl.runtime.structure.phase": ("structural_phase",),
        learner.module: learner.names,
        **({"mtsldsl.runtime.learning.schedule": ("steps_of_run",)} if steps else {}),
        **({"mtsldsl.runtime.learning.warmup": ("warmed_up",)} if warmup else {}),
    }
    return tuple(f"from {module} import {', '.join(names)}" for module, names in sorted(needed.items()))
