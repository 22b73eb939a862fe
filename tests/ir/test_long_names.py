"""A name that files of a run are called after has at most 100 letters, wherever it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, loads
from tests.ir.specs import BODY

LONGEST = "n" + "a" * 99

CALLED_AFTER: dict[str, tuple[str, Callable[[str], str]]] = {
    "task": ("a task", lambda name: BODY.replace("depth", name)),
    "one of a list of tasks": ("a task", lambda name: BODY.replace("task depth", f"task [depth, {name}]")),
    "layer": ("a layer", lambda name: BODY.replace("enc1", name)),
    "last layer": ("a layer", lambda name: BODY.replace("dec2", name)),
    "input": ("the input", lambda name: BODY.replace("image", name)),
}
"""Where such a name stands: what a report calls it, and the text with it."""

OTHERS: dict[str, Callable[[str], str]] = {
    "let": lambda name: BODY.replace("data scenes", f"let {name} = 8\n\ndata scenes").replace("(8, 3)", f"({name}, 3)"),
    "block": lambda name: BODY.replace("data scenes", f"block {name}() = relu\n\ndata scenes").replace("| relu", f"| {name}"),
    "parameter": lambda name: BODY.replace("data scenes", f"block b({name}) = conv2d({name}, 3)\n\ndata scenes").replace(
        "conv2d(16, 3)", "b(16)"
    ),
}  # fmt: skip
"""Names of definitions, which are gone from what is made of them."""


def refused(noun: str, act: Callable[[], object]) -> None:
    name = f"{LONGEST}b"
    with pytest.raises(MtlError) as error:
        act()
    (problem,) = error.value.diagnostics
    assert problem.code == "MTL109"
    assert problem.cause == f"{noun} cannot be named `{name[:97]}...`, which has 101 letters, more than 100"
    assert problem.remedy == "choose another name"
    assert problem.span is not None
    assert problem.span.text == name


@pytest.mark.parametrize("place", CALLED_AFTER)
def test_a_hundred_letters_are_taken_and_one_more_is_refused_once(place: str) -> None:
    noun, text = CALLED_AFTER[place]
    assert LONGEST in compile_spec(loads(text(LONGEST)))["model.py"]
    refused(noun, lambda: loads(text(f"{LONGEST}b")))


@pytest.mark.parametrize("place", OTHERS)
def test_a_definition_may_have_any_name(place: str) -> None:
    for name in (LONGEST, f"{LONGEST}b"):
        text = OTHERS[place](name)
        assert text.count(name) > 1
        assert loads(text).layers


def test_a_layer_of_an_imported_backbone_is_no_exception(tmp_path: Path) -> None:
    start = BODY.index("backbone {")
    end = BODY.index("}\n", start) + 2
    spec, backbone = tmp_path / "net.mtl", tmp_path / "backbone.mtl"
    own = BODY[:start] + BODY[end:]
    spec.write_text(own.replace("mtl 1\n", 'mtl 1\n\nimport "backbone.mtl"\n'), encoding="utf-8")
    for name in (LONGEST, f"{LONGEST}b"):
        backbone.write_text(f"mtl 1\n\n{BODY[start:end].replace('enc1', name)}", encoding="utf-8")
        if name == LONGEST:
            assert LONGEST in load(spec).backbone
    refused("a layer", lambda: load(spec))
