"""Records refuse what the language cannot say: a spec that is made in Python is one that could have been written.

What a key takes is drawn from the tables of the language, so that a new entry there is held here by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from mtsldsl.datasets.kind import COMMON
from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Body, Data, Decision, Layer, Step, Structure, Target
from mtsldsl.ir.body import Parallel
from mtsldsl.language import Named
from mtsldsl.language.holding import keys_in, named
from mtsldsl.language.kinds import EPOCHS, Call, Identifier, Integer, Key, Many, Maybe, Real
from mtsldsl.language.naming import GENERATED_NAMES, LONGEST_NAME, MODULE_NAMES, STAGES, WORDS
from mtsldsl.language.optimization import nesterov_without_momentum
from mtsldsl.language.schema import LOSSES, METRICS, OPTIMIZERS, SCHEDULER, SCHEDULERS, TRAIN
from mtsldsl.language.targets import TARGETS
from mtsldsl.language.written import quoted
from mtsldsl.methods.allocation import language as allocation
from mtsldsl.methods.mtsl.language import BLOCK, CHOICES, Amalgamate, Budget, Settings
from mtsldsl.methods.registry import METHODS, decision_rules, method, run_names
from mtsldsl.methods.similarities import SIMILARITIES, completed_similarity, record_of
from mtsldsl.sharing import Sharing
from tests.ir.specs import text
from tests.language.values import QUOTED, right, wrong
from tests.methods import each_learner
from tests.records import loss_of, task_of

SPEC = loads(text("structure mtsl { phases = [3] }"))
TASK_OF = {task.target.kind: task for task in SPEC.tasks} | {
    "reconstruct": task_of("auto", Target("reconstruct", 3), SPEC.tasks[0].head)
}
STRUCTURE = SPEC.structure
assert STRUCTURE is not None
UNALIGNED = attrs.evolve(STRUCTURE, values={**STRUCTURE.values, "align": 0.0})  # as every similarity can be
SETTINGS: Settings = STRUCTURE.settings
ALLOCATION = loads(
    text("structure allocation {\n  budget = 0.5\n  write  = [3]\n}").replace(
        "conv2d(16, 3) | batch_norm | relu", "parallel(conv3=conv2d(16, 3), conv5=conv2d(16, 5))"
    )
).structure
assert ALLOCATION is not None
COMPARED = {
    rule.name: record_of(completed_similarity(named(SIMILARITIES, rule.name), 0.1)) for rule in SIMILARITIES.rules
}
ALLOCATING: allocation.Settings = ALLOCATION.settings

Made = Callable[[Any], Any]


def evolving(record: Any, name: str) -> Made:
    """Makes the record anew with another value of a field."""
    return lambda value: attrs.evolve(record, **{name: value})


def within(record: Any, name: str, key: str) -> Made:
    """Makes the record anew with another value under a key of a field that is a mapping."""
    return lambda value: attrs.evolve(record, **{name: {**getattr(record, name), key: value}})


def target_of(kind: str, name: str) -> Made:
    given: dict[str, Any] = {"kind": kind, "channels": 3}
    return lambda value: Target(**(given | {name: value}))


def right_option(kind: str, key: Key) -> list[Any]:
    """Values that an option of a kind of data set may have: of the one that names a person's code, a function."""
    return ["own_data:photos"] if key.name == data_kind(kind).code else right(key.kind)


def data_of(kind: str) -> Data:
    known = data_kind(kind)
    options = {key.name: right_option(kind, key)[0] for key in known.block.keys or () if key.name not in COMMON}
    return Data(kind, "image", (3, 8, 8), 4, options=options)


def decision_of(kind: str) -> Decision:
    epoch, *rest = decision_rules()[kind].call.keys
    return Decision(kind, right(epoch.kind)[0], {key.name: right(key.kind)[0] for key in rest})


def structure_of(name: str) -> Structure:
    """A block of a method, with values that go with any of each key where they can."""
    found = {"mtsl": UNALIGNED, "allocation": ALLOCATION}.get(name) or loads(each_learner.text(name)).structure
    assert found is not None
    return found


def train_kind(key: Key) -> Any:
    return Maybe(SCHEDULER) if key.name == "scheduler" else key.kind


FIELDS: dict[str, tuple[Any, Made]] = {
    **{f"train.{key.name}": (train_kind(key), evolving(SPEC.train, key.name)) for key in TRAIN.keys or ()},
    **{
        f"data.{key.name}": (key.kind, evolving(SPEC.data, key.name))
        for key in data_kind("scenes").block.keys or ()
        if key.name in ("batch", "augment")
    },
    **{
        f"{kind}.{key.name}": (key.kind, within(data_of(kind), "options", key.name))
        for kind in DATASETS
        for key in data_kind(kind).block.keys or ()
        if key.name not in COMMON
    },
    **{
        f"{kind}.{key.name}": (key.kind, target_of(kind, key.name))
        for kind, rule in TARGETS.items()
        for key in rule.arguments
    },
    **{f"{kind}.loss": (LOSSES[kind], evolving(task, "loss")) for kind, task in TASK_OF.items()},
    **{f"{kind}.metrics": (Many(METRICS[kind], 1), evolving(task, "metrics")) for kind, task in TASK_OF.items()},
    "task.weight": (Real(0), evolving(SPEC.tasks[0], "weight")),
    "task.field": (Maybe(Identifier()), evolving(SPEC.tasks[0], "field")),
    **{
        f"{kind}.{key.name}": (key.kind, within(decision_of(kind), "fields", key.name))
        for kind, rule in decision_rules().items()
        for key in rule.call.keys[1:]
    },
    **{f"{kind}.epoch": (Integer(0), evolving(decision_of(kind), "epoch")) for kind in decision_rules()},
    **{
        f"{name}.{key.name}": (key.kind, within(structure_of(name), "values", key.name))
        for name in METHODS
        for key in method(name).block.keys or ()
    },
}
"""What a field takes, and what makes a record with a value of it."""

AMALGAMATE = Amalgamate((1,), 0.1)
SETTINGS_FIELDS: dict[str, tuple[Any, Made]] = {
    **{
        f"{rule.name}.{key.name}": (key.kind, evolving(COMPARED[rule.name], key.name))
        for rule in SIMILARITIES.rules
        for key in rule.keys
    },
    "amalgamate.epochs": (Many(Integer(1), 1), evolving(AMALGAMATE, "epochs")),
    "amalgamate.lr": (Real(0, open_minimum=True), evolving(AMALGAMATE, "lr")),
    **{
        f"settings.{key.name}": (key.kind, evolving(SETTINGS, key.name))
        for key in BLOCK.keys or ()
        if not isinstance(key.kind, Call) and key.kind != Maybe(CHOICES)
    },
    "settings.choose": (Maybe(Call(())), evolving(SETTINGS, "choose")),
    "budget.part": (keys_in(CHOICES, "budget")[0].kind, Budget),
    "settings.similarity": (Call(()), evolving(SETTINGS, "similarity")),
    **{
        f"allocating.{key.name}": (key.kind, evolving(ALLOCATING, key.name))
        for key in allocation.BLOCK.keys or ()
        if not isinstance(key.kind, Call)
    },
    "allocating.temperature": (Call(()), evolving(ALLOCATING, "temperature")),
    "anneal.start": (Real(0, open_minimum=True), lambda value: allocation.Anneal(value, 1e-9)),
    "anneal.end": (Real(0, open_minimum=True), lambda value: allocation.Anneal(1e9, value)),
}


def refused(made: Made, value: Any) -> bool:
    try:
        made(value)
    except ValueError:
        return True
    return False


ALL = FIELDS | SETTINGS_FIELDS


@pytest.mark.parametrize("name", ALL)
def test_a_record_refuses_what_no_text_can_say(name: str) -> None:
    kind, made = ALL[name]
    assert wrong(kind)
    assert [value for value in wrong(kind) if not refused(made, value)] == []


@pytest.mark.parametrize("name", ALL)
def test_a_record_takes_all_that_a_text_can_say(name: str) -> None:
    kind, made = ALL[name]
    for value in [*TOGETHER.get(name, right)(kind)]:
        if one_a_phase(value) and not (
            isinstance(value, Named) and (nesterov_without_momentum(value) or rising(value))
        ):
            made(value)


def for_three_classes(kind: Any) -> list[Any]:
    return [each for each in right(kind) if len(each.arguments.get("weight") or (1, 1, 1)) == 3]


def for_pixels(kind: Any) -> list[Any]:
    return [each for each in right(kind) if each[0].name not in ("auroc", "average_precision", "top_k")]


TOGETHER: dict[str, Callable[[Any], list[Any]]] = {
    "python.factory": lambda kind: ["own_data:photos"],
    "folder.file": lambda kind: [None],
    "ladder.pick": lambda kind: [0.6, *(each for each in right(kind) if not isinstance(each, float))],
    "classes.loss": for_three_classes,
    "classes.metrics": for_pixels,
}
"""What a field takes that must go with others."""


def one_a_phase(value: Any) -> bool:
    """Whether the epochs of `amalgamate` are written out for the one phase, as they are in every record."""
    epochs = value.arguments.get("epochs", (1,)) if isinstance(value, Named) else (1,)
    return isinstance(epochs, tuple) and len(epochs) == 1


def rising(value: Named) -> bool:
    """Whether it is a temperature that ends above its beginning, which a text may not say."""
    arguments: Mapping[str, Any] = value.arguments
    return value.name == "anneal" and arguments["end"] > arguments["start"]


def test_every_field_of_a_record_is_held() -> None:
    held = {name.partition(".")[::2] for name in ALL}
    compared = ((record, name) for name, record in COMPARED.items())
    for record, prefix in ((SPEC.train, "train"), (AMALGAMATE, "amalgamate"), *compared):
        assert {(prefix, each.name) for each in attrs.fields(type(record)) if each.name != "span"} <= held
    assert {("settings", each.name) for each in attrs.fields(Settings) if each.name != "transfer"} <= held
    assert {("allocating", each.name) for each in attrs.fields(allocation.Settings)} <= held
    assert {("anneal", each.name) for each in attrs.fields(allocation.Anneal)} <= held


def fields_of(record: Any) -> list[str]:
    return [each.name for each in attrs.fields(type(record)) if each.init]


def test_no_field_of_a_record_takes_what_is_no_value_at_all() -> None:
    first = SPEC.tasks[0]
    records = (SPEC, SPEC.data, SPEC.layers[0], first, first.target, SPEC.train, STRUCTURE, MERGE, STEM, CONV)
    taken = [
        f"{type(record).__name__}.{name}"
        for record in records
        for name in fields_of(record)
        if not refused(evolving(record, name), object())
    ]
    assert taken == []


NO_LABEL = ("", "a b", "a.b", "é", "1st", 'x } task "evil" {', "two\nlines", "x\n", "\x1b[2J", "\ud800", 3, *QUOTED)


@pytest.mark.parametrize("made", [evolving(SPEC.data, "label"), evolving(SPEC.tasks[0], "data")], ids=["data", "task"])
def test_a_data_block_is_called_as_a_text_can_call_it(made: Made) -> None:
    assert [name for name in NO_LABEL if not refused(made, name)] == []
    for name in ("_x", "all", "class", "x" * (LONGEST_NAME + 1), "B2", None):
        made(name)


def test_a_whole_number_is_as_long_as_one_of_a_text() -> None:
    longest, longer = (text("").replace("epochs = 4", f"epochs = {most}") for most in (10**20 - 1, 10**20))
    assert loads(longest).train.epochs == 10**20 - 1
    assert not refused(evolving(SPEC.train, "epochs"), 10**20 - 1)
    with pytest.raises(MtlError, match="MTL008"):
        loads(longer)
    assert refused(evolving(SPEC.train, "epochs"), 10**20)


@pytest.mark.parametrize("name", QUOTED)
def test_what_is_said_in_quotes_is_the_same_in_a_text(name: str) -> None:
    said = text("").replace("train {", f"train {{\n  teachers = {quoted(name)}")
    assert loads(said).train.teachers == attrs.evolve(SPEC.train, teachers=name).teachers == name


RESERVED = sorted(
    {*STAGES, *WORDS, *MODULE_NAMES, *GENERATED_NAMES, "class", "_hidden", "a b", "é", "1st", "", "x" * 101}
)
NAMED: dict[str, Made] = {
    "task": evolving(SPEC.tasks[0], "name"),
    "layer": evolving(SPEC.layers[0], "name"),
    "input": evolving(SPEC.data, "input"),
}


@pytest.mark.parametrize("noun", NAMED)
def test_a_name_that_a_text_cannot_give_is_refused(noun: str) -> None:
    made = NAMED[noun]
    assert [name for name in [*RESERVED, None, 3] if not refused(made, name)] == []
    made("x" * LONGEST_NAME)


@pytest.mark.parametrize("name", sorted(run_names()))
def test_a_task_is_not_called_as_the_record_of_a_run_calls_something_else(name: str) -> None:
    assert refused(NAMED["task"], name)
    NAMED["layer"](name)


STEM = SPEC.layers[0].body
assert isinstance(STEM, Body)
CONV, NORM, *_ = STEM.steps


def body_with(*steps: Step) -> Body:
    return attrs.evolve(STEM, steps=(*steps, *STEM.steps[len(steps) :]))


def parallel_of(**alternatives: Body) -> Parallel:
    return Parallel(alternatives)


WRONG: dict[str, Callable[[], Any]] = {
    "operator": lambda: attrs.evolve(CONV, operator="conv3d"),
    "argument that the operator has not": lambda: body_with(
        attrs.evolve(CONV, arguments={**CONV.arguments, "luck": 1})
    ),
    "argument left out": lambda: body_with(attrs.evolve(CONV, arguments={"out_channels": 8})),
    "whole number that is none": lambda: body_with(attrs.evolve(CONV, arguments={**CONV.arguments, "groups": True})),
    "number that is no whole one": lambda: body_with(attrs.evolve(CONV, arguments={**CONV.arguments, "groups": 1.0})),
    "groups that do not divide the channels": lambda: body_with(
        attrs.evolve(CONV, arguments={**CONV.arguments, "groups": 5})
    ),
    "another shape than the operator gives": lambda: body_with(attrs.evolve(CONV, shape=(8, 32, 32))),
    "step that reads a later one": lambda: body_with(CONV, attrs.evolve(NORM, inputs=(2,))),
    "step that reads what the body does not": lambda: body_with(attrs.evolve(CONV, inputs=("enc1",))),
    "two values for one": lambda: body_with(attrs.evolve(CONV, inputs=("image", "image"))),
    "step that reads a truth value": lambda: attrs.evolve(NORM, inputs=(False,)),
    "body without a shape of an input": lambda: attrs.evolve(STEM, input_shapes=()),
    "body with an output that there is not": lambda: attrs.evolve(STEM, output=7),
    "body that ends before its last step": lambda: attrs.evolve(STEM, output=0),
    "body of another shape": lambda: attrs.evolve(STEM, shape=(8, 1, 1)),
    "alternatives of two shapes": lambda: parallel_of(
        a=STEM, b=attrs.evolve(STEM, steps=(), output="image", shape=(3, 32, 32))
    ),
    "no alternatives": parallel_of,
    "data set": lambda: attrs.evolve(SPEC.data, kind="imagenet"),
    "no data set": lambda: attrs.evolve(SPEC.data, kind=""),
    "data block with an empty name": lambda: attrs.evolve(SPEC.data, label=""),
    "task that reads a field with an empty name": lambda: attrs.evolve(SPEC.tasks[0], field=""),
    "task that reads a column with an empty name": lambda: attrs.evolve(SPEC.tasks[0], field=("a", "")),
    "task that reads a data block with an empty name": lambda: attrs.evolve(SPEC.tasks[0], data=""),
    "option that the data set has not": lambda: attrs.evolve(SPEC.data, options={**SPEC.data.options, "root": "x"}),
    "options left out": lambda: attrs.evolve(SPEC.data, options={}),
    "gray images of a data set of coloured ones": lambda: attrs.evolve(SPEC.data, shape=(1, 32, 32)),
    "a file column without its table": lambda: attrs.evolve(
        data_of("folder"), options={**data_of("folder").options, "file": "name"}
    ),
    "size of 0": lambda: attrs.evolve(SPEC.data, shape=(3, 0, 8)),
    "half a size": lambda: attrs.evolve(SPEC.data, shape=(3, 1.5, 8)),
    "no size": lambda: attrs.evolve(SPEC.data, shape=()),
    "four sizes": lambda: attrs.evolve(SPEC.data, shape=(1, 1, 1, 1)),
    "target": lambda: Target("boxes", 4),
    "ignored number of a target without": lambda: Target("values", 1, 255),
    "ignored answer": lambda: Target("binary", 1, 1),
    "what counts of a target where all does": lambda: Target("classes", 4, valid="positive"),
    "scale of a target without": lambda: Target("binary", 1, scale="standard"),
    "loss of another target": lambda: attrs.evolve(TASK_OF["classes"], loss=loss_of(Target("binary", 1))),
    "metric twice": lambda: attrs.evolve(SPEC.tasks[0], metrics=SPEC.tasks[0].metrics[:1] * 2),
    "no metric": lambda: attrs.evolve(SPEC.tasks[0], metrics=()),
    "schedule that is none": lambda: attrs.evolve(SPEC.train, scheduler=Named("none")),
    "Nesterov momentum without momentum": lambda: attrs.evolve(
        SPEC.train, optimizer=named(OPTIMIZERS, "sgd", nesterov=True)
    ),
    "method": lambda: Structure("pruning", {}),
    "key that the method has not": lambda: attrs.evolve(STRUCTURE, values={**STRUCTURE.values, "every": 10}),
    "keys left out": lambda: Structure("mtsl", {}),
    "decision": lambda: Decision("foo", 1, {}),
    "field that the decision has not": lambda: Decision("merge", 1, {**MERGE.fields, "luck": 1.0}),
    "field left out": lambda: Decision("merge", 1, {}),
    "epoch of a metric that no task has": lambda: keeping("depth.r2"),
    "epoch of a task that there is not": lambda: keeping("disparity.rmse"),
    "two means of the weights": lambda: attrs.evolve(keeping(AVERAGE).train, ema=0.9),
    "phases out of order": lambda: attrs.evolve(SETTINGS, phases=(3, 2)),
    "epochs to write at out of order": lambda: attrs.evolve(ALLOCATING, write=(3, 2)),
    "a temperature that rises": lambda: allocation.Anneal(0.5, 1.0),
    "phases and epochs of unlike number": lambda: attrs.evolve(SETTINGS, transfer=Amalgamate((1, 2), 0.1)),
    "transfer": lambda: attrs.evolve(SETTINGS, transfer=Named("amalgamate")),
    "similarity": lambda: attrs.evolve(SETTINGS, similarity=Named("cka")),
    "features drawn together by what does not compare them": lambda: attrs.evolve(SETTINGS, similarity=COMPARED["rsa"]),
}
MERGE = decision_of("merge")


AVERAGE = Named("average", {"part": 0.1})


def keeping(keep: str | Named) -> Any:
    return attrs.evolve(SPEC, train=attrs.evolve(SPEC.train, keep=keep))


def of_spec(**changes: Any) -> Callable[[], Any]:
    return lambda: attrs.evolve(SPEC, **changes)


def first_task(**changes: Any) -> tuple[Any, ...]:
    return (attrs.evolve(SPEC.tasks[0], **changes), *SPEC.tasks[1:])


def head_as(task: str) -> Body:
    return SPEC.task(task).head


def varied(data: str) -> tuple[Layer, ...]:
    """The layers, the first with what it is for a data block."""
    first, *others = SPEC.layers
    return (attrs.evolve(first, variants={data: first.body}), *others)


def of_two_blocks(layers: tuple[Layer, ...]) -> Any:
    """A spec of these layers with two data blocks, each of which is read."""
    first, *others = (attrs.evolve(task, data="scenes") for task in SPEC.tasks)
    tasks = (attrs.evolve(first, data="other"), *others)
    return attrs.evolve(SPEC, layers=layers, more_data=(OTHER_DATA,), tasks=tasks)


SHARING, TRAIN_OF_SPEC = SPEC.sharing, SPEC.train
OTHER_DATA = attrs.evolve(SPEC.data, label="other")
APART: dict[str, tuple[str, Callable[[], Any]]] = {
    "no tasks": ("the sharing is of the tasks", of_spec(tasks=())),
    "no layers": ("the sharing is of other layers", of_spec(layers=())),
    "a task less": ("the sharing is of the tasks", of_spec(tasks=SPEC.tasks[1:])),
    "tasks in another order": ("the sharing is of the tasks", of_spec(tasks=SPEC.tasks[::-1])),
    "two tasks of one name": ("`segment` names two", of_spec(tasks=(SPEC.tasks[0], *SPEC.tasks))),
    "two layers of one name": ("`stem` names two", of_spec(layers=(SPEC.layers[0], *SPEC.layers))),
    "a layer with the name of a task": ("`depth` names two", of_spec(tasks=first_task(name="depth"))),
    "layers in another order": ("which is no layer before it", of_spec(layers=SPEC.layers[::-1])),
    "a task that stands for one that helps": (
        "helps other tasks, and stands among the tasks", of_spec(tasks=first_task(helping=frozenset({"depth"})))),
    "a variant of a layer where there is one data block": (
        "`stem` is another layer for `data other`", of_spec(layers=varied("other"))),
    "a variant of a layer for a data block that there is not": (
        "`stem` is another layer for `data third`", lambda: of_two_blocks(varied("third"))),
    "a variant of a layer for the first data block": (
        "`stem` is another layer for `data scenes`", lambda: of_two_blocks(varied("scenes"))),
    "two data blocks of one name": ("two data blocks are called `scenes`", of_spec(more_data=(SPEC.data,))),
    "two data blocks and tasks that say neither": ("which there is not", of_spec(more_data=(OTHER_DATA,))),
    "one data block that is not read": (
        "no task reads `data other`",
        lambda: attrs.evolve(
            SPEC, more_data=(OTHER_DATA,), tasks=tuple(attrs.evolve(task, data="scenes") for task in SPEC.tasks)
        ),
    ),
    "inputs of two names": (
        "the inputs of `data other` are not those",
        of_spec(more_data=(attrs.evolve(OTHER_DATA, input="picture"),)),
    ),
    "a task that names the only data": ("says which data it reads", of_spec(tasks=first_task(data="scenes"))),
    "sources that the data has not": (
        "the sharing has not the sources",
        of_spec(sharing=Sharing.each(SPEC.backbone, SHARING.tasks, [["segment"], ["depth", "edge", "normal"]])),
    ),
    "an image of another size": ("the layer `stem` reads `image` as 3 x 32 x 32", of_spec(
        data=attrs.evolve(SPEC.data, shape=(3, 16, 16)))),
    "a head of another target": ("the head of `segment` gives 1 x 32 x 32", of_spec(tasks=first_task(head=head_as("depth")))),
    "a field that two read otherwise": ("reads the field `label` otherwise", of_spec(
        tasks=(SPEC.tasks[0], attrs.evolve(SPEC.task("depth"), field="label"), *SPEC.tasks[2:]))),
    "a field that is the input": ("which is the input's name too", of_spec(tasks=first_task(field="image"))),
    "ids that nothing looks up": ("the ids of `data scenes`", of_spec(data=attrs.evolve(SPEC.data, ids={"image": 7}))),
    "a phase after the last epoch": ("phase", of_spec(train=attrs.evolve(TRAIN_OF_SPEC, epochs=2))),
    "alternatives that there are not": ("chooses among alternatives", of_spec(structure=ALLOCATION)),
    "two teachers": (
        "lets the run's own network teach",
        lambda: attrs.evolve(
            SPEC,
            train=attrs.evolve(TRAIN_OF_SPEC, teachers="runs/a/1"),
            structure=attrs.evolve(STRUCTURE, values={**STRUCTURE.values, "teach": 1.0}),
        ),
    ),
    "a decision about no layer": ("`enc9`, which is no layer", of_spec(
        history=(Decision("merge", 1, {**MERGE.fields, "layer": "enc9", "tasks": ("segment", "depth")}),))),
    "a decision about no task": ("`a`, which is no task", of_spec(
        history=(Decision("merge", 1, {**MERGE.fields, "layer": "stem", "tasks": ("a", "depth")}),))),
    "a rate of what is no layer": ("tuning has 'enc9'", of_spec(tuning={"enc9": Named("frozen")})),
    "more tasks than there may be": (
        "the network has 201 tasks",
        lambda: attrs.evolve(
            SPEC,
            tasks=(many := tuple(attrs.evolve(SPEC.tasks[0], name=f"t{place}") for place in range(201))),
            sharing=Sharing.each(SPEC.backbone, [task.name for task in many]),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_a_spec_refuses_parts_that_do_not_go_together_and_says_which(name: str) -> None:
    said, made = APART[name]
    with pytest.raises(ValueError, match=re.escape(said)):
        made()


@pytest.mark.parametrize("made", WRONG.values(), ids=WRONG)
def test_a_record_refuses_parts_that_do_not_go_together(made: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        made()


def test_what_a_task_of_the_spec_is_measured_by_may_be_kept() -> None:
    for keep in (*EPOCHS, AVERAGE, "depth.abs_rel", "normal.within_11.25"):
        assert keeping(keep).train.keep == keep


def test_an_error_says_what_is_wrong_and_what_would_be_right() -> None:
    with pytest.raises(ValueError, match=r"lr of adam cannot be -1.0: give a number of more than 0"):
        attrs.evolve(SPEC.train, optimizer=named(OPTIMIZERS, "adam", lr=-1.0))
    with pytest.raises(ValueError, match=r"multistep needs milestones"):
        attrs.evolve(SPEC.train, scheduler=named(SCHEDULERS, "multistep"))
    with pytest.raises(ValueError, match=r"adam has no momentum"):
        attrs.evolve(SPEC.train, optimizer=named(OPTIMIZERS, "adam", momentum=0.9))
