"""A spec written out, every default said, means what it meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl import load, loads
from mtsldsl.diagnostics import Source
from mtsldsl.editing.resolved import resolved
from mtsldsl.ir import Spec
from mtsldsl.ir.definitions import walk
from mtsldsl.ir.normal import digest
from mtsldsl.language.operators import OPERATORS
from mtsldsl.syntax import parse, tree
from tests.codegen.examples import specs
from tests.codegen.test_helpers import networks_in_groups
from tests.ir import alternatives, sources
from tests.ir.data_blocks import TWO
from tests.ir.specs import BODY
from tests.laws import law

ROOT = Path(__file__).parents[2]
SPECS = [*sorted((ROOT / "specs").glob("*.mtl")), *sorted((ROOT / "tests/codegen/golden").glob("*/spec.mtl"))]


def written_out(spec: Spec) -> str:
    """The text, once it holds that it means the same, and has nothing left to stand for other text."""
    source = resolved(spec)
    again = loads(source.text)
    assert digest(again) == digest(spec)
    assert again == spec
    assert all(isinstance(each, tree.Header | tree.Section) for each in parse(source).statements)
    return source.text


LONG = "omniglot.mtl"
"""Fifty tasks, which take as long as all others: omniglot_small.mtl has the same network."""


@pytest.mark.parametrize(
    "path",
    [pytest.param(each, marks=pytest.mark.soak) if each.name == LONG else each for each in SPECS],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_a_spec_is_written_out(path: Path) -> None:
    written_out(load(path))


drawn = st.one_of(
    specs(),
    networks_in_groups(),
    alternatives.networks().map(lambda each: loads(each.text)),
    sources.specs().map(lambda each: each[1]),
)


@given(drawn)
@law(48)
def test_a_random_spec_is_written_out(spec: Spec) -> None:
    written_out(spec)


def pipelines(text: str) -> Iterator[tree.Value]:
    """The heads and layers of a text."""
    for section in parse(Source("x.mtl", text)).statements:
        if isinstance(section, tree.Section) and section.kind.text in ("task", "backbone"):
            for item in section.items:
                if isinstance(item, tree.Entry) and (section.kind.text == "backbone" or item.key.text == "head"):
                    yield item.value


@pytest.mark.parametrize("name", ["scenes", "vision", "sequences", "tokens"])
def test_every_argument_of_an_operator_is_said(name: str) -> None:
    path = next(each for each in SPECS if name in (each.stem, each.parent.name))
    seen = set()
    for value in (each for pipeline in pipelines(resolved(load(path)).text) for each in walk(pipeline)):
        if isinstance(value, tree.Name):
            assert value.text not in OPERATORS or not OPERATORS[value.text].rules
        elif isinstance(value, tree.Call) and value.function.text in OPERATORS:
            names = [argument.name.text for argument in value.arguments if argument.name]
            assert names == [rule.name for rule in OPERATORS[value.function.text].rules]
            seen.add(value.function.text)
    assert len(seen) > 3


def test_what_depends_on_the_size_of_the_input_still_does() -> None:
    body = """  stem = conv2d(4, 3, stride=2, padding=0) | resize(0.3)
  mid  = residual(conv2d(8, 3, stride=2, padding=0)) | residual(conv2d(8, 3))
  out  = resize(0.25) | adaptive_avg_pool2d(1) | flatten | linear(8)
"""
    old = TWO[TWO.index("  stem = conv") : TWO.index("}", TWO.index("  stem = conv"))]
    sharing = "  stem = all\n  mid  = digit, ink + letter\n"
    assert old in TWO
    assert sharing in TWO
    parted = TWO.replace(old, body).replace(sharing, "  stem..out = digit + ink, letter\n")
    text = written_out(loads(parted))
    assert "resize(size=0.3, mode=bilinear, align_corners=false)" in text
    assert "residual(conv2d(out_channels=8, kernel_size=3, stride=2, padding=0," in text
    alike = written_out(loads(parted.replace("24, 24", "16, 16")))
    assert "resize(size=5, width=5, mode=bilinear, align_corners=false)" in alike
    assert "residual" not in alike


def test_a_kept_metric_with_an_argument_is_written_out() -> None:
    written_out(load(ROOT / "specs/scenes.mtl", {"train.keep": "normal.within(11.25)"}))


def test_what_is_not_read_is_written_out_too() -> None:
    layer = """conv2d(4, 3) | add(
      stem | conv2d(16, 1),
      stem | relu | concat(stem, stem),
      stem | add(identity, identity) | conv2d(16, 1)
    )"""
    old = "dec2 = resize_as(stem) | concat(stem) | conv2d(8, 3) | relu"
    assert old in BODY
    written_out(loads(BODY.replace(old, f"dec2 = {layer}")))
