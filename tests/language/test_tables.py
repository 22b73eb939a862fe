"""What the language knows is what the runtime does, for every kind of name and every argument of it."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torchjd.aggregation import _aligned_mtl as aligned

from mtsldsl import datasets, methods
from mtsldsl.datasets.kind import COMMON
from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import Source
from mtsldsl.ir import Body, Layer, Spec, Step, Target
from mtsldsl.language import Named, schema
from mtsldsl.language.holding import keys_of
from mtsldsl.language.kinds import AVERAGE, EPOCHS, KEPT, REQUIRED, Call, CallRule, Choice, Key
from mtsldsl.language.optimization import (
    SAMPLINGS,
    SCHEDULERS,
    STOPS,
    TORCH_OPTIMIZERS,
    TORCH_SCHEDULERS,
    nesterov_without_momentum,
)
from mtsldsl.language.targets import TARGETS
from mtsldsl.language.tuning import TUNINGS
from mtsldsl.methods.mtsl.language import CHOICES, TRANSFERS, Amalgamate, Settings
from mtsldsl.methods.registry import METHODS, decision_rules, method
from mtsldsl.methods.similarities import CKA, RECORDS, SIMILARITIES
from mtsldsl.methods.temperature import TEMPERATURES
from mtsldsl.runtime.data import augment
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.learning import balance
from mtsldsl.runtime.learning.balance import SOLVERS
from mtsldsl.runtime.learning.evaluation import NARROW, autocast
from mtsldsl.runtime.network import pretrained
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.objectives.by_target import OBJECTIVES
from mtsldsl.runtime.run.selection import Selection
from mtsldsl.runtime.structure import similarities
from mtsldsl.runtime.structure.learner import Learner
from mtsldsl.runtime.structure.similarities import cka
from mtsldsl.sharing import Backbone, Sharing
from mtsldsl.sharing.overlapping import Singles
from tests.language import test_operators as operators
from tests.language.values import right_calls
from tests.records import TRAIN, data_of, task_of
from tests.runtime.data.factories import LAYOUT, numbered_pixels

CPU = torch.device("cpu")


def names(call: Call) -> set[str]:
    return {rule.name for rule in call.rules}


def of_targets(table: Mapping[str, Call]) -> set[str]:
    return {f"{target}.{name}" for target, call in table.items() for name in names(call)}


def flat(table: Mapping[str, Iterable[str]]) -> set[str]:
    return {f"{target}.{name}" for target, inside in table.items() for name in inside}


def files(package: Any, name: str = "*.py") -> set[str]:
    """The files of a package by their stems, or the folders in it that have a file of that name."""
    (place,) = package.__path__
    found = Path(place).glob(name if name == "*.py" else f"*/{name}")
    return {path.stem if name == "*.py" else path.parent.name for path in found}


def transfers() -> set[str]:
    """What an MTSL learner may be made of as its transfer: a record, or none for the mean that every merge starts
    from."""
    kinds = typing.get_args(typing.get_type_hints(Settings)["transfer"])
    return {"average" if kind is type(None) else kind.__name__.lower() for kind in kinds}


def choices(rule: CallRule, name: str) -> set[str]:
    kind = next(key.kind for key in rule.keys if key.name == name)
    assert isinstance(kind, Choice)
    return set(kind.names)


def records_of(record: type, field: str) -> set[str]:
    """The records that a field of settings may be."""
    return {each.__name__.lower() for each in typing.get_args(typing.get_type_hints(record)[field])} - {"nonetype"}


def mentioned(said: Iterable[str], *modules: str, otherwise: str | None = None) -> set[str]:
    """Those of the names that modules have in their texts, or as a constant that they import; and what is done where it
    is none of these."""
    words: set[str] = {otherwise} if otherwise else set()
    for name in modules:
        module = import_module(name)
        nodes = ast.walk(ast.parse(inspect.getsource(module)))
        words |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        for value in vars(module).values():
            words |= {each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, str)}
    return set(said) & words


def all_choices(kind: Any) -> Iterator[frozenset[str]]:
    """The names of every choice that is made in a value of a kind."""
    if isinstance(kind, Choice):
        yield frozenset(kind.names)
    if isinstance(kind, Call):
        if kind.rules:
            yield frozenset(names(kind))
        for rule in kind.rules:
            for key in (*rule.keys, *([rule.rest] if rule.rest else [])):
                yield from all_choices(key.kind)
    for inner in (getattr(kind, "item", None), getattr(kind, "kind", None)):
        if inner is not None:
            yield from all_choices(inner)


def choices_of_the_language() -> Iterator[tuple[str, frozenset[str]]]:
    """Every choice that a key, or an argument in its value or of a decision, gives, with where it is made. Those of
    operators are computed one by one in `test_operators`; which losses and metrics go with a target is a table of
    tables."""
    blocks = [block for several in schema.BLOCKS.values() for block in several]
    blocks += [data_kind(name).block for name in DATASETS] + [method(name).block for name in METHODS]
    kinds = [(f"{block.kind} {key.name}", key.kind) for block in blocks for key in block.keys or ()]
    objectives = [rule for call in (*schema.LOSSES.values(), *schema.METRICS.values()) for rule in call.rules]
    rules = [*objectives, *(rule.call for rule in decision_rules().values())]
    kinds += [(f"{rule.name} {key.name}", key.kind) for rule in rules for key in rule.keys]
    kinds.append(("tuning", TUNINGS))
    for where, kind in kinds:
        for each in all_choices(kind):
            yield where, each


RUNTIME = "mtsldsl.runtime"
LOADERS = [f"{DATASETS[name]}.load" for name in ("arrays", "folder", "python")]

INSIDE = {"__init__", "balance", "gradient", "gramian", "preference", "remembering", "scalarizer"}
"""What balances are made of."""

TABLES = {
    "targets": (names(schema.TARGET), set(OBJECTIVES)),
    "losses": (of_targets(schema.LOSSES), flat({kind: each.losses for kind, each in OBJECTIVES.items()})),
    "metrics": (of_targets(schema.METRICS), flat({kind: each.metrics for kind, each in OBJECTIVES.items()})),
    "balances": (
        names(schema.BALANCES),
        files(balance) - INSIDE,
    ),
    "balances with solvers": (names(schema.BALANCES) & set(SOLVERS), set(SOLVERS)),
    "optimizers": (names(schema.OPTIMIZERS), set(TORCH_OPTIMIZERS)),
    "schedulers": (names(schema.SCHEDULER), set(TORCH_SCHEDULERS)),
    "schedules": (names(SCHEDULERS), {*TORCH_SCHEDULERS, "none"}),
    "augmentations": (names(schema.AUGMENTATIONS), set(augment.AUGMENTATIONS)),
    "similarities": (names(SIMILARITIES), files(similarities) - {"__init__", "beyond", "compared_features"}),
    "records of similarities": (names(SIMILARITIES), set(RECORDS)),
    "kernels": (choices(CKA, "kernel"), set(typing.get_args(cka.Kernel))),
    "transfers": (names(TRANSFERS), transfers()),
    "what merges": (names(CHOICES), records_of(Settings, "choose")),
    "stops": (names(STOPS), mentioned(names(STOPS), f"{RUNTIME}.run.stopping", otherwise="none")),
    "samplings": (names(SAMPLINGS), mentioned(names(SAMPLINGS), f"{RUNTIME}.data.mixed")),
    "tunings": (names(TUNINGS), mentioned(names(TUNINGS), "mtsldsl.ir.model")),
    "temperatures": (
        names(TEMPERATURES),
        mentioned(names(TEMPERATURES), "mtsldsl.methods.temperature", otherwise="constant"),
    ),
    **{
        kind: (set(said), mentioned(said, *modules, otherwise=otherwise))
        for kind, said, modules, otherwise in [
            ("what counts of values", ("finite", "positive"), [f"{RUNTIME}.data.masks"], "finite"),
            ("scales", ("none", "standard"), [f"{RUNTIME}.data.scaling"], "none"),
            ("steps of schedules", ("epoch", "step"), ["mtsldsl.language.optimization"], "epoch"),
            ("balances of a balance", ("mgda", "pcgrad", "imtl_g"), [f"{balance.__name__}.cr_mogm"], None),
            ("candidates", ("all", "singles"), [f"{balance.__name__}.it_mtl"], "singles"),
            ("weights", ("none", "start"), [f"{RUNTIME}.run.initial_weights"], "start"),
            ("errors", ("raise", "skip"), LOADERS, "raise"),
            ("resizes", ("none", "stretch", "cover"), ["mtsldsl.folders.picture_fit"], "cover"),
            ("crops", ("none", "center"), ["mtsldsl.folders.picture_fit"], "none"),
            ("thresholds of groups", ("paper", "threshold"), ["mtsldsl.methods.mtsl.language"], "threshold"),
            ("matches", ("none", "channels"), ["mtsldsl.methods.mtsl.learner"], None),
            (
                "steps to look along",
                ("sgd", "optimizer", "gradient"),
                ["mtsldsl.methods.transference.learner"],
                "gradient",
            ),
            ("transfers of branch", ("fresh", "average"), ["mtsldsl.methods.branch.learner"], "average"),
        ]
    },
    "precisions": (set(schema.PRECISIONS), {"fp32", *NARROW}),
    "maps": (
        {"torchvision", "timm", "transformers"},
        {name.removesuffix("_names") for name in files(pretrained) if name.endswith("_names")},
    ),
    "singles": ({"never", "allowed"}, set(typing.get_args(Singles))),
    "scales of gradients": ({"min", "median", "rmse"}, set(typing.get_args(aligned.SUPPORTED_SCALE_MODE))),
    "data kinds": (set(DATASETS), files(datasets, "load.py")),
    "methods": (set(METHODS), files(methods, "learner.py")),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_name_of_the_language_is_one_of_the_runtime_and_the_other_way_round(kind: str) -> None:
    said, done = TABLES[kind]
    assert said
    assert said == done


def test_every_choice_of_the_language_is_in_a_table_here() -> None:
    known = {frozenset(said) for said, _ in TABLES.values()}
    made = list(choices_of_the_language())
    assert len({each for _, each in made}) > 25
    assert [(where, sorted(each)) for where, each in made if each not in known] == []


class Noted(Mapping[str, Any]):
    """Arguments that note which of them are read."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.arguments, self.read = arguments, set[str]()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self.arguments[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arguments)

    def __len__(self) -> int:
        return len(self.arguments)


def uses(kind: str, call: Call, use: Callable[[Named], object]) -> list[Any]:
    return [pytest.param(rule, use, id=f"{kind}.{rule.name}") for rule in call.rules]


def moved(step: Named) -> None:
    # Without `augment_batch`, which reads all arguments to check them.
    augment.AUGMENTATIONS[step.name](numbered_pixels(2, 4, 4), LAYOUT, step, torch.Generator())


def weighed(chosen: Named) -> None:
    for package in SOLVERS.get(chosen.name, ()):
        pytest.importorskip(package)
    import_module(f"{balance.__name__}.{chosen.name}").make({"a": 1.0, "b": 1.0}, chosen)


HEAD = Body(("image",), ((3, 8, 8),), (), "image", (3, 8, 8))
TARGETS_OF = {kind: Target(kind, 3) for kind in TARGETS}
READERS = [
    *(
        use
        for kind, target in TARGETS_OF.items()
        for use in uses(
            kind,
            schema.LOSSES[kind],
            lambda loss, target=target: OBJECTIVES[target.kind].losses[loss.name](target, loss),
        )
    ),
    *(
        use
        for kind, target in TARGETS_OF.items()
        for use in uses(
            kind,
            schema.METRICS[kind],
            lambda metric, target=target: OBJECTIVES[target.kind].metrics[metric.name](
                task_of("it", target, HEAD), metric, CPU
            ),
        )
    ),
    *uses("balance", schema.BALANCES, weighed),
    *uses("augment", schema.AUGMENTATIONS, moved),
]


@pytest.mark.parametrize(("rule", "use"), READERS)
def test_the_runtime_reads_the_arguments_that_the_language_has_and_no_other(
    rule: CallRule, use: Callable[[Named], object]
) -> None:
    call = next(right_calls(rule))
    noted = Noted(call.arguments)
    object.__setattr__(call, "arguments", noted)
    use(call)
    assert noted.read == {key.name for key in keys_of(rule)}


def like_torch(keys: Iterable[Key], made: Callable[..., object], own: Iterable[str] = ()) -> None:
    """Every argument is one of torch's, with torch's default but for those of our `own`."""
    theirs = inspect.signature(made).parameters
    for key in keys:
        default = theirs[key.name].default
        if key.name not in own:
            assert key.default == (REQUIRED if default is inspect.Parameter.empty else default), key.name


@pytest.mark.parametrize("rule", schema.OPTIMIZERS.rules, ids=lambda rule: rule.name)
def test_an_optimizer_has_the_arguments_and_defaults_of_torch(rule: CallRule) -> None:
    made = getattr(torch.optim, TORCH_OPTIMIZERS[rule.name].name)
    like_torch(rule.keys, made)
    assert TORCH_OPTIMIZERS[rule.name].fused is ("fused" in inspect.signature(made).parameters)
    for call in right_calls(rule):
        if not nesterov_without_momentum(call):
            made([torch.nn.Parameter(torch.zeros(1))], **call.arguments)


@pytest.mark.parametrize("rule", schema.SCHEDULER.rules, ids=lambda rule: rule.name)
def test_a_schedule_has_the_arguments_and_defaults_of_torch(rule: CallRule) -> None:
    made = getattr(torch.optim.lr_scheduler, TORCH_SCHEDULERS[rule.name])
    keys = [key for key in rule.keys if key.name != "by"]
    like_torch(keys, made, own=["T_max"])  # the epochs of the training
    for call in right_calls(rule):
        given = {key.name: call.arguments[key.name] for key in keys if call.arguments[key.name] is not None}
        if rule.name == "cosine" and "T_max" not in given:
            given["T_max"] = 8
        if rule.name == "one_cycle":
            given |= {"max_lr": 0.1, "total_steps": 8, "cycle_momentum": False}
        made(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1), **given)


def test_every_precision_is_an_arithmetic_of_its_own() -> None:
    used: set[torch.dtype] = set()
    for precision in schema.PRECISIONS:
        with autocast(precision, CPU):
            used.add(torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).dtype)
    assert len(used) == len(schema.PRECISIONS)


def test_what_counts_of_values_is_told_apart() -> None:
    valid = next(key.kind for key in TARGETS["values"].arguments if key.name == "valid")
    assert isinstance(valid, Choice)
    values = torch.tensor([[-1.0], [0.0], [1.0], [torch.nan]])
    masks = {tuple(valid_entries(Target("values", 1, valid=name), values).flatten().tolist()) for name in valid.names}
    assert len(masks) == len(valid.names)


def test_what_is_kept_without_naming_a_metric_is_said_in_words() -> None:
    assert tuple(rule.name for rule in KEPT.rules) == (*EPOCHS, AVERAGE.name)


@pytest.mark.parametrize("keep", [*EPOCHS, *right_calls(AVERAGE)])
def test_an_epoch_that_is_kept_by_name_is_not_taken_for_a_metric(keep: str | Named) -> None:
    assert not Selection(keep).chosen_by().startswith(keep if isinstance(keep, str) else keep.name)


def test_whatever_a_task_is_measured_by_may_choose_the_epoch() -> None:
    keys = {rule.name for target in TARGETS.values() for rule in target.metrics}
    for key in keys:
        assert abs(Selection(f"it.{key}").score(["it"], {}, {"it": {key: 0.5}})) == 0.5


@pytest.mark.parametrize("kernel", typing.get_args(cka.Kernel))
@pytest.mark.parametrize("debiased", [True, False])
def test_cka_is_computed_with_every_kernel(kernel: cka.Kernel, debiased: bool) -> None:
    features = torch.rand(2, 8, 3, generator=torch.Generator().manual_seed(0))
    assert cka.cka_matrix(features, kernel, debiased).shape == (2, 2)


@pytest.mark.parametrize(
    ("record", "keys"),
    [*((RECORDS[rule.name], rule.keys) for rule in SIMILARITIES.rules), (Amalgamate, TRANSFERS.rules[1].keys)],
)
def test_a_record_of_settings_has_a_field_for_each_argument(record: type, keys: tuple[Key, ...]) -> None:
    assert [field.name for field in attrs.fields(record)] == [key.name for key in keys]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_block_a_learner_and_decisions_of_its_own(name: str) -> None:
    known = method(name)
    assert known.name == name
    assert known.phases is None or known.phases in {key.name for key in known.block.keys or ()}
    assert issubclass(getattr(import_module(f"{METHODS[name].folder}.learner"), known.learner), Learner)
    assert all(decision_rules()[rule.call.name] is rule for rule in known.decisions)
    for rule in known.decisions:
        keys = {key.name for key in rule.call.keys}
        assert {*rule.subject, *filter(None, [rule.strength])} < keys


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_has_a_block_and_a_loader(name: str) -> None:
    known = data_kind(name)
    assert known.name == name
    assert callable(import_module(f"{DATASETS[name]}.load").load)
    keys = {key.name for key in known.block.keys or ()}
    assert set(COMMON) <= keys
    made: Any = import_module(f"{DATASETS[name]}.language").Settings
    assert {field.name for field in attrs.fields(made)} == keys - set(COMMON)
    assert known.place is None or known.place in keys
    assert all(field.target in TARGETS for field in known.fields)
    assert known.fields or not known.dense


@pytest.mark.parametrize("name", operators.TABLE)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_operator_is_compiled_into_a_network_that_runs(name: str, data: st.DataObject) -> None:
    operator, arguments, inputs, shape = data.draw(operators.applications(name))
    assume(set(inputs) == {inputs[0]})
    step = Step(name, arguments, ("image",) * len(inputs), shape)
    target = Target("values", shape[1 if len(shape) == 2 else 0])
    ids = {"image": arguments["num_embeddings"]} if operator.looks_up else {}
    network = Spec(
        data=attrs.evolve(data_of("arrays", "image", inputs[0], 2), ids=ids),
        tasks=(task_of("it", target, Body(("stem",), (shape,), (), "stem", shape)),),
        layers=(Layer("stem", Body(("image",), inputs[:1], (step,), 0, shape)),),
        train=TRAIN,
        structure=None,
        sharing=Sharing.each(Backbone(("stem",), {"stem": ()}), ("it",)),
        history=(),
        source=Source("one.mtl", ""),
    )
    model = build_model(network).eval()
    values = torch.zeros(2, *inputs[0], dtype=torch.int64) if operator.looks_up else torch.rand(2, *inputs[0])
    assert model(values)["it"].shape == (2, *shape)
