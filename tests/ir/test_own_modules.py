"""`module("package.file:Class", …)` as a spec reads it: nothing is imported, and nothing but plain names gets through."""

from __future__ import annotations

import ast
from keyword import kwlist

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtsldsl.codegen import model_source
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec, Step
from mtsldsl.ir.module_operator import MOST_VALUES
from mtsldsl.ir.normal import digest, normal_form
from mtsldsl.language.operators.own import misfit_of
from mtsldsl.language.written import quoted
from tests.ir.specs import BODY

STEM = "conv2d(8, 3, stride=2) | batch_norm | relu"


def network(stem: str, definitions: str = "") -> Spec:
    return loads(BODY.replace(f"stem = {STEM}", f"stem = {stem}") + definitions)


def step(module: str, definitions: str = "") -> Step:
    (found,) = network(f"{module} | conv2d(8, 1)", definitions).layer("stem").body.steps[:-1]
    return found


def codes(stem: str) -> list[str]:
    with pytest.raises(MtlError) as caught:
        network(stem)
    return [found.code for found in caught.value.diagnostics]


def test_the_output_is_as_declared_and_the_cost_too() -> None:
    spec = network('module("a.b:C", out=[8, 16, 16], parameters=10, flops=20)')
    one = spec.cost().layers["stem"].one
    assert (spec.layer("stem").body.shape, one.parameters, one.flops, one.declared) == ((8, 16, 16), 10, 20, True)
    assert (spec.cost().total.declared, spec.cost().layers["enc1"].one.declared) == (True, False)


def test_what_is_not_declared_counts_nothing() -> None:
    one = network('module("a.b:C", out=[8, 16, 16])').cost().layers["stem"].one
    assert (one.parameters, one.flops, one.declared) == (0, 0, True)


@pytest.mark.parametrize(
    ("out", "rest"), [("[8, 4, 4]", ""), ("[16, 8]", " | to_image(4, 4)"), ("[128]", ""), ("128", "")]
)
def test_the_output_may_be_an_image_tokens_or_features(out: str, rest: str) -> None:
    spec = loads(
        "mtl 1\ndata arrays {\n  path = \"x\"\n  input = row(4)\n}\ntask a {\n  target = values(1)\n  head = flatten | "
        f'linear(1)\n}}\nbackbone {{\n  stem = module("a:B", out={out}){rest}\n}}\ntrain {{ epochs = 1 }}\n'
    )  # fmt: skip
    assert len(spec.layers) == 1


def test_arguments_for_the_class_are_plain_values_and_constants_of_such() -> None:
    found = step(
        'module("a:B", out=[8, 16, 16], a=1, b=1.5, c="x", d=true, e=none, f=[1, [w, "y"]], g=w * 2)', "let w = 4"
    )
    assert dict(found.arguments) == {
        "target": "a:B",
        "out": (8, 16, 16),
        "parameters": None,
        "flops": None,
        "a": 1,
        "b": 1.5,
        "c": "x",
        "d": True,
        "e": None,
        "f": (1, (4, "y")),
        "g": 8,
    }


def test_further_values_come_after_the_piped_one() -> None:
    spec = network(f'{STEM} | module("a:B", image, relu, out=[8, 16, 16])')
    *_, relu, own = spec.layer("stem").body.steps
    assert (relu.operator, own.inputs) == ("relu", (2, "image", 3))


def test_the_digest_sees_what_is_passed_on() -> None:
    texts = ['module("a:B", out=[8, 16, 16])', 'module("a:C", out=[8, 16, 16])', 'module("a:B", out=[8, 16, 16], k=1)']
    assert len({digest(network(text)) for text in texts}) == 3
    assert normal_form(network(texts[0])) == normal_form(network(texts[0].replace("[8, 16, 16]", "[8, 8 * 2, 16]")))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("module", "MTL204"),
        ('module("a:B")', "MTL204"),
        ("module(out=8)", "MTL204"),
        ("module(a, out=8)", "MTL107"),
        ('module("a", out=8)', "MTL202"),
        ('module("a.b.C", out=8)', "MTL202"),
        ('module("a:B:C", out=8)', "MTL202"),
        ('module("a:B.C", out=8)', "MTL202"),
        ('module(".a:B", out=8)', "MTL202"),
        ('module("a b:B", out=8)', "MTL202"),
        ('module("a:B()", out=8)', "MTL202"),
        ('module("a:B\\nimport os", out=8)', "MTL202"),
        ('module("a.import:B", out=8)', "MTL202"),
        ('module("a:None", out=8)', "MTL202"),
        ('module("__main__:B", out=8)', "MTL202"),
        ('module("a:__class__", out=8)', "MTL202"),
        ('module("\\u00e4:B", out=8)', "MTL202"),
        ('module("a:B", out=[])', "MTL301"),
        ('module("a:B", out=[1, 2, 3, 4])', "MTL301"),
        ('module("a:B", out=0)', "MTL202"),
        ('module("a:B", out=8, parameters=-1)', "MTL202"),
        ('module("a:B", out=8, out=8)', "MTL205"),
        ('module("a:B", out=8, k=1, k=2)', "MTL205"),
        ('module("a:B", out=8, image)', "MTL205"),
        ('module("a:B", out=8, lambda=1)', "MTL109"),
        ('module("a:B", out=8, __k=1)', "MTL109"),
        ('module("a:B", out=8, k=relu)', "MTL201"),
        ('module("a:B", out=8, k=relu | tanh)', "MTL201"),
        ('module("a:B", out=8, k=adam(lr=1))', "MTL201"),
    ],
)
def test_anything_else_is_refused(module: str, code: str) -> None:
    assert codes(module)[0] == code


def test_there_is_a_limit_to_the_values_that_are_passed_on() -> None:
    def listed(count: int) -> str:
        return f'module("a:B", out=[8, 16, 16], k=[{"1, " * count}])'

    assert len(step(listed(MOST_VALUES - 1)).arguments["k"]) == MOST_VALUES - 1  # type: ignore[arg-type]
    assert codes(listed(MOST_VALUES)) == ["MTL202"]


parts = st.text("ab_:. ()\n'\"\\;#", max_size=8) | st.sampled_from(kwlist)


@given(st.lists(parts, max_size=4).map("".join) | st.from_regex(r"[ab_]{1,3}(\.[ab]{1,2})?:[AB_]{1,3}", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_a_target_that_is_let_through_is_an_import_of_one_name(target: str) -> None:
    assume(misfit_of(target) is None)
    module, name = target.split(":")
    (statement,) = ast.parse(f"from {module} import {name}").body
    assert isinstance(statement, ast.ImportFrom)
    assert [alias.name for alias in statement.names] == [name]


@given(st.text(st.characters(codec="utf-8"), max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_string_reaches_the_class_as_it_is(text: str) -> None:
    spec = network(f'module("a:B", out=[8, 16, 16], k={quoted(text)})')
    calls = [node for node in ast.walk(ast.parse(model_source(spec))) if isinstance(node, ast.Call)]
    (passed,) = [each for node in calls for each in node.keywords if each.arg == "k"]
    assert ast.literal_eval(passed.value) == text


def test_a_spec_made_in_python_gets_no_code_through_either() -> None:
    spec = network('module("a:B", out=[8, 16, 16])')
    layer = spec.layers[0]
    (own,) = layer.body.steps
    for arguments in ({**own.arguments, "target": "os:system('x')#"}, {**own.arguments, "k=1), print(": 1}):
        with pytest.raises(ValueError, match=r"^step 0, `module`: "):
            attrs.evolve(layer.body, steps=(attrs.evolve(own, arguments=arguments),))
