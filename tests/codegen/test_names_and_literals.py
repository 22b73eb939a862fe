"""How names, values and settings of a spec reach Python."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mtsldsl.codegen.identifiers import Scope, class_name, variable
from mtsldsl.codegen.knobs import optimizer_plan, scheduler_plan
from mtsldsl.codegen.plan import plan_spec
from mtsldsl.language import Named
from mtsldsl.language.literals import literal
from mtsldsl.language.naming import MODULE_NAMES, reserved
from mtsldsl.language.operators.arguments import call
from tests.codegen.examples import example

constants = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
)


@given(constants)
def test_a_literal_reads_back_as_its_value(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", '"plain"'),
        ("it's", '"it\'s"'),
        ('say "hi"', "'say \"hi\"'"),
        (1e-4, "0.0001"),
        (5e-05, "5e-05"),
        ((1,), "(1,)"),
        ((), "()"),
        (True, "True"),
        (float("inf"), 'float("inf")'),
    ],
)
def test_a_literal_is_spelled_as_the_formatter_spells_it(value: object, text: str) -> None:
    assert literal(value) == text  # type: ignore[arg-type]


@given(st.text(), constants)
def test_a_call_of_an_operator_reads_back_as_its_arguments(text: str, value: object) -> None:
    (node,) = ast.parse(call("f", text, value, option=(text + "!", text))).body  # type: ignore[arg-type]
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Call)
    first, second = (ast.literal_eval(each) for each in node.value.args)
    assert first == text
    assert second == value or (second, second) == value
    assert ast.literal_eval(node.value.keywords[0].value) == text + "!"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("enc1", "enc1"), ("Enc1", "enc1"), ("sum", "sum_"), ("Class", "class_"), ("l", "l_"), ("F", "f")],
)
def test_a_variable_hides_nothing(name: str, shown: str) -> None:
    assert variable(name) == shown


def test_a_class_is_named_in_capitals_for_its_layer() -> None:
    assert class_name("dec_block1") == "DecBlock1"
    assert class_name("segment", "Head") == "SegmentHead"


def test_a_scope_gives_each_name_once() -> None:
    scope = Scope()
    assert [scope.variable(name) for name in ("enc1", "Enc1", "ENC1")] == ["enc1", "enc1_2", "enc1_3"]
    assert [scope.class_name(name) for name in ("model", "tensor", "exception", "enc_1", "enc1")] == [
        "ModelLayer",
        "TensorLayer",
        "ExceptionLayer",
        "Enc1",
        "Enc1Layer2",
    ]


def test_every_attribute_of_a_module_is_refused_as_a_name() -> None:
    public = {name for name in (*dir(nn.Module()), *dir(nn.ModuleDict())) if not name.startswith("_")}
    assert not {name for name in public if reserved(name) is None and name not in MODULE_NAMES}


def test_an_optimizer_says_what_differs_from_torch() -> None:
    adam = Named("adam", {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 5e-5, "amsgrad": False})
    made = optimizer_plan(adam, {})
    assert made.call == "torch.optim.Adam(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)"
    assert {knob.name: knob.value for knob in made.knobs} == {"LEARNING_RATE": "0.0001", "WEIGHT_DECAY": "5e-05"}


def test_a_scheduler_says_all_it_was_given() -> None:
    steps = Named("multistep", {"milestones": (60, 70), "gamma": 0.1})
    made = scheduler_plan(steps)
    assert made.call == "torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=MILESTONES, gamma=GAMMA)"
    assert {knob.name: knob.value for knob in made.knobs} == {"MILESTONES": "[60, 70]", "GAMMA": "0.1"}
    assert scheduler_plan(None).call == "None"


def test_layers_of_one_structure_share_a_class() -> None:
    plan = plan_spec(example("tokens"))
    assert [made.name for made in plan.classes] == ["Patches", "First", "AgeHead", "MoodHead"]
    assert [container.entries for container in plan.containers[1:]] == [
        (("age+mood", "First()"),),
        (("age", "First()"), ("mood", "First()")),
    ]
