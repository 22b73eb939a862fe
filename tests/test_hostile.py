"""Specs that mean harm: they cannot run code, write elsewhere, or make generated code that does not parse."""

from __future__ import annotations

import ast
import builtins
import keyword
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import build_model
from tests import prepared
from tests.laws import law
from tests.timing import clocked, held_in_proportion, held_within

ROOT = Path(__file__).parents[1]

TEXT = """mtl 1
data arrays {{
  path  = {path}
  input = {image}(3, 8, 8)
}}
{defined}
task {task} {{
  target = values(1)
  head   = conv2d(1, 1)
}}
task other {{
  target = values(1)
  head   = conv2d(1, 1)
}}
backbone {{
  {layer} = conv2d(4, 3) | relu
  last = {last}
}}
train {{
  epochs    = {epochs}
  optimizer = adam(lr={rate})
}}
"""
PARTS = {
    "path": '"x.npz"',
    "image": "image",
    "defined": "",
    "task": "depth",
    "layer": "enc1",
    "last": "relu",
    "epochs": "2",
    "rate": "1e-3",
}


def text(**parts: str) -> str:
    return TEXT.format(**PARTS | parts)


def read(source: str, name: str = "t.mtl") -> Spec | None:
    """The spec, or None where it is refused with a report."""
    try:
        return loads(source, name)
    except MtlError:
        return None


def trees(spec: Spec) -> dict[str, ast.Module]:
    """The generated Python, parsed."""
    return {name: ast.parse(code) for name, code in compile_spec(spec).items() if name.endswith(".py")}


def compiled(source: str) -> None:
    """Read a text; what is not refused makes code that parses."""
    spec = read(source)
    if spec is not None:
        assert "model.py" in trees(spec)


def skeleton(module: ast.Module) -> str:
    """What the code does, whatever its constants are."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant):
            node.value = type(node.value).__name__
    return ast.dump(module)


def skeletons(spec: Spec) -> dict[str, str]:
    return {name: skeleton(module) for name, module in trees(spec).items()}


@cache
def usual() -> dict[str, str]:
    """Of the text that these tests change."""
    spec = read(text())
    assert spec is not None
    return skeletons(spec)


def test_the_text_that_these_tests_change_is_sound() -> None:
    spec = read(text())
    assert spec is not None
    assert {"model.py", "train.py"} <= set(trees(spec))


# Names

EXCEPTIONS = sorted(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException) and name.isascii()
)
NAMES = sorted(
    {*keyword.kwlist, *keyword.softkwlist}
    | {name for name in dir(builtins) if name.isascii() and name not in EXCEPTIONS}
    | {"__init__", "__class__", "__dict__", "__builtins__", "__file__", "__debug__", "__getattr__", "_", "__", "_x"}
    | {
        "self",
        "torch",
        "nn",
        "F",
        "Tensor",
        "Model",
        "forward",
        "train",
        "parameters",
        "modules",
        "heads",
        "state_dict",
    }
    | {"keys", "values", "items", "l", "O", "I", "mtl", "all", "each", "let", "block", "task", "image", "last", "other"}
)
MEETING = (
    "a",
    "b",
    "A",
    "_",
    "1",
    "_2",
    "dec",
    "Dec",
    "x",
    "conv",
    "relu",
    "Head",
    "heads",
    "Layer",
    "layer",
    "Tensor",
    "F",
)
"""Parts of names that the generated code could take for each other, or for its own."""

PLACES = {
    "task": lambda name: text(task=name),
    "layer": lambda name: text(layer=name),
    "input": lambda name: text(image=name),
    "let": lambda name: text(defined=f"let {name} = 4", last=f"conv2d({name}, 3)"),
    "block": lambda name: text(defined=f"block {name}(a) = conv2d(a, 3)", last=f"{name}(3)"),
    "parameter": lambda name: text(defined=f"block b({name}) = conv2d({name}, 3)", last=f"b({name}=3)"),
}

REACHING = ("task", "layer", "input")
"""The places of names that stand in the generated code."""


@pytest.mark.parametrize(
    "names", [NAMES, pytest.param(EXCEPTIONS, marks=pytest.mark.soak)], ids=["names", "exceptions"]
)
@pytest.mark.parametrize(
    "place", [pytest.param(each, marks=[pytest.mark.soak] * (number % 2)) for number, each in enumerate(PLACES)]
)
def test_any_name_is_refused_or_makes_a_network_that_runs(place: str, names: list[str]) -> None:
    image = torch.rand(1, 3, 8, 8)
    taken = [spec for name in names if (spec := read(PLACES[place](name))) is not None]
    assert taken
    for spec in taken:
        assert "model.py" in trees(spec)
        if place not in REACHING:
            continue
        outputs = build_model(spec)(image)
        assert {task: tuple(output.shape) for task, output in outputs.items()} == {
            task.name: (1, 1, 8, 8) for task in spec.tasks
        }


names_that_meet = st.builds(
    str.__add__, st.sampled_from("abAdxF"), st.lists(st.sampled_from(MEETING), max_size=2).map("".join)
)


@law(60)
@given(st.lists(names_that_meet, min_size=6, max_size=6, unique=True))
def test_names_that_would_meet_in_the_code_are_refused_or_kept_apart(names: list[str]) -> None:
    image, *layers, first, second = names
    spec = read(
        text(image=image, task=first, layer=layers[0])
        .replace("task other", f"task {second}")
        .replace("  last = relu", "".join(f"  {layer} = concat({layers[0]}, {image}) | relu\n" for layer in layers[1:]))
    )
    assume(spec is not None)
    assert spec is not None
    model = build_model(spec)
    assert list(model(torch.rand(1, 3, 8, 8))) == [first, second]
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.cost().parameters


@pytest.mark.parametrize(
    "name",
    ["p\u0430th", "\uff44epth", "de\u200bpth", "\u202edepth", "d\u00e9pth", "depth\u0301", "\U0001d41dpth", "1\u0661"],
)
def test_look_alikes_are_no_names(name: str) -> None:
    with pytest.raises(MtlError) as caught:
        loads(text(task=name))
    assert "MTL003" in {diagnostic.code for diagnostic in caught.value.diagnostics}
    assert "\u202e" not in str(caught.value)  # which would turn the terminal's line around


# Strings and the names of files

BREAKING_OUT = (
    '"""',
    "'''",
    '"); import os; os.system("touch harmed")  #',
    "\n\nimport os\nos.system('touch harmed')\n",
    "\\",
    '\\"',
    "{{ 7 * 7 }}",
    "{% raise %}",
    "{plan.source}",
    "%s%n",
    "\r",
    "\u2028import os",
    "\x0cimport os",
    "\x00",
    "../../../harmed",
    "# type: ignore",
)
strings = st.lists(st.sampled_from(BREAKING_OUT) | st.text(max_size=5), min_size=1, max_size=4).map("".join)


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in escaped) + '"'


@law(60)
@given(strings.filter(lambda value: all(ord(each) < 0x10000 and not 0xD800 <= ord(each) < 0xE000 for each in value)))
def test_a_string_stays_a_string_in_the_generated_code(value: str) -> None:
    spec = read(text(path=quoted(value)))
    assume(spec is not None)
    assert spec is not None
    assert skeletons(spec) == usual()


@law(60)
@given(strings)
def test_the_name_of_a_spec_stays_a_name_in_the_generated_code(name: str) -> None:
    spec = read(text(), name)
    assert spec is not None
    assert skeletons(spec) == usual()


@pytest.mark.parametrize(
    "target",
    [
        "os;import os:X",
        "os\\nimport os:X",
        "a.b:C()",
        "a.b:C as d",
        "a b:C",
        "..:C",
        "a:b:C",
        "a:lambda",
        "class:C",
        "a:__import__('os')",
        "\u0430:C",
        ":",
        "",
    ],
)
def test_what_is_no_plain_import_is_no_module_of_a_person(target: str) -> None:
    with pytest.raises(MtlError) as refused:
        loads(text(last=f'module("{target}", out=[4, 8, 8])'))
    assert [problem.code for problem in refused.value.diagnostics] == ["MTL202"]


@pytest.mark.parametrize("target", ["os:system", "a.b:C", "builtins:exec"])
def test_the_module_of_a_person_is_a_plain_import(target: str) -> None:
    spec = read(text(last=f'module("{target}", out=[4, 8, 8])'))
    assert spec is not None
    imports = [node for node in ast.walk(trees(spec)["model.py"]) if isinstance(node, ast.Import | ast.ImportFrom)]
    module, name = target.split(":")
    assert [(module, [name])] == [
        (node.module, [alias.name for alias in node.names])
        for node in imports
        if isinstance(node, ast.ImportFrom) and node.module not in ("torch", "__future__")
    ]


# Files

PATHS = ["../harmed", "../../harmed.npz", "/tmp/harmed", "~/harmed", "a/../../harmed", "nul", ""]


@pytest.mark.parametrize("path", PATHS)
def test_compiling_writes_into_its_folder_alone(tmp_path: Path, path: str) -> None:
    work = tmp_path / "a" / "job"
    work.mkdir(parents=True)
    (work / "t.mtl").write_text(text(path=quoted(path)), encoding="utf-8")
    for command in (["check", "t.mtl"], ["compile", "t.mtl", "-o", "out"], ["fmt", "t.mtl"]):
        prepared.run("-m", "mtsldsl", *command, cwd=work)
    made = {each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*") if each.is_file()}
    allowed = {f"a/job/out/{name}" for name in ("__init__.py", "model.py", "train.py", "manifest.json")}
    beside = {name for name in made if name.rpartition("/")[2].startswith(".")}  # what was compiled last
    assert made - allowed - beside == {"a/job/t.mtl"}
    assert all(name.startswith("a/job/") for name in beside)


# Numbers

NUMBERS = [
    "0",
    "-1",
    "1000000000000000000",
    "9007199254740993",
    "99999999999999999999",
    "1e308",
    "1e-308",
    "1e999",
    "-0.0",
    "1" + "0" * 400,
    "1" + "0" * 5_000,  # more digits than Python turns into a number unasked
    "nan",
    "inf",
]
SPOTS = {
    "epochs": lambda number: text(epochs=number),
    "rate": lambda number: text(rate=number),
    "channels": lambda number: text(last=f"conv2d({number}, 3)"),
    "kernel": lambda number: text(last=f"conv2d(4, {number})"),
    "stride": lambda number: text(last=f"conv2d(4, 3, stride={number})"),
    "padding": lambda number: text(last=f"conv2d(4, 3, padding={number})"),
    "size": lambda number: text(last=f"resize({number}, {number})"),
    "repeats": lambda number: text(last=f"relu * {number}"),
    "image": lambda number: text().replace("(3, 8, 8)", f"({number}, {number}, {number})"),
    "target": lambda number: text().replace("values(1)", f"values({number})"),
}


@pytest.mark.parametrize("spot", SPOTS)
def test_any_number_is_refused_or_makes_code_that_parses_as_soon_as_that_of_an_ordinary_one(spot: str) -> None:
    def go_through(numbers: list[str]) -> None:
        for number in numbers:
            compiled(SPOTS[spot](number))

    held_within(5, clocked(lambda: go_through(NUMBERS)), clocked(lambda: go_through(["4"] * len(NUMBERS))))


# Depth


def chain(count: int, first: str, rule: str) -> str:
    return "\n".join([first, *(rule.format(number, number - 1) for number in range(1, count))])


DEEP: dict[str, Callable[[int], str]] = {
    "brackets": lambda depth: text(last="(" * 100 * depth + "relu" + ")" * 100 * depth),
    "residuals": lambda depth: text(last="residual(" * depth + "relu" + ")" * depth),
    "joins": lambda depth: text(last=" | ".join(["concat(relu, relu)"] * 4 * depth)),
    "stages": lambda depth: text(last=" | ".join(["relu"] * 100 * depth)),
    "repeats": lambda depth: text(last="(" * depth + "relu" + " * 1000)" * depth),
    "constants": lambda depth: text(
        defined=chain(20 * depth, "let a0 = 4", "let a{} = a{}"), last=f"conv2d(a{20 * depth - 1}, 3)"
    ),
    "blocks": lambda depth: text(
        defined=chain(20 * depth, "block b0(x) = relu", "block b{}(x) = b{}(x)"), last=f"b{20 * depth - 1}(1)"
    ),
    "doubled blocks": lambda depth: text(
        defined=chain(depth, "block b0(x) = relu", "block b{0}(x) = b{1}(x) | b{1}(x)"), last=f"b{depth - 1}(1)"
    ),
    "doubled arguments": lambda depth: text(
        defined=chain(depth, "block b0(x) = x", "block b{}(x) = b{}(x | x)"), last=f"b{depth - 1}(relu)"
    ),
    "doubled pipelines": lambda depth: text(
        defined=chain(depth, "let a0 = relu", "let a{0} = a{1} | a{1}"), last=f"a{depth - 1}"
    ),
    "doubled products": lambda depth: text(
        defined=chain(depth, "let a0 = 1", "let a{0} = a{1} * a{1}"), last=f"conv2d(a{depth - 1}, 3)"
    ),
    "doubled numbers": lambda depth: text(
        defined=chain(depth, "block b0(x) = relu", "block b{}(x) = b{}(x * x)"), last=f"b{depth - 1}(1)"
    ),
    "used numbers": lambda depth: text(
        defined=chain(depth, "block b0(x) = conv2d(x, 3)", "block b{}(x) = b{}(x * x)"), last=f"b{depth - 1}(1)"
    ),
    "doubled lists": lambda depth: text(
        defined=chain(depth, "let a0 = 1", "let a{0} = [a{1}, a{1}]"), last=f"conv2d(a{depth - 1}, 3)"
    ),
}
"""A text of that depth."""


@pytest.mark.parametrize("name", DEEP)
def test_depth_and_doubling_are_refused_or_compiled_in_proportion_to_the_text(name: str) -> None:
    held_in_proportion(lambda depth: clocked(lambda: compiled(DEEP[name](depth))), 56)


# Everything together


def test_reading_and_compiling_import_nothing_that_a_spec_names(tmp_path: Path) -> None:
    (tmp_path / "harm.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    spec = text(last='module("harm:Module", out=[4, 8, 8])', path='"harm.py"')
    (tmp_path / "t.mtl").write_text(spec, encoding="utf-8")
    for command in (
        ["check", "t.mtl"],
        ["compile", "t.mtl", "-o", "out"],
        ["fmt", "t.mtl"],
        ["diff", "t.mtl", "t.mtl"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "mtsldsl", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "imported" not in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
