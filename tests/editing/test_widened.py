"""A network at another width: as wide as a budget lets it be, and never wider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.editing.widened import NotWidenedError, Widths, widened
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from tests.codegen.examples import NAMES, example
from tests.laws import law

WIDTHS = ("out_channels", "out_features", "hidden_size", "embedding_dim", "embed_dim")


def widths(spec: Spec) -> Iterator[int]:
    """How many channels each operator of the layers gives that has an argument for it, as they are lowered."""
    for layer in spec.layers:
        for body in layer.bodies.values():
            for step in body.steps:
                yield from (value for name in WIDTHS if isinstance(value := step.arguments.get(name), int))


def plain(name: str) -> bool:
    """Whether a golden example can be widened."""
    spec = example(name)
    own = any(step.operator == "module" for each in spec.layers for body in each.bodies.values() for step in body.steps)
    alternatives = any(map(spec.backbone.alternatives, spec.backbone.layers))
    return not own and not alternatives and spec.train.init.name == "none"


def at(found: Widths, largest: int) -> Spec:
    spec = found.at(largest)
    assert isinstance(spec, Spec)
    return spec


TEXT = """\
mtl 1
data arrays {{
  path  = "x.npz"
  input = image(3, 8, 8)
}}
task depth {{
  target = values(1)
  head   = {head}
}}
backbone {{
  stem = {stem}
}}
train {{
  epochs = 1
}}
"""


def small(stem: str, head: str = "conv2d(1, 1)") -> Spec:
    return loads(TEXT.format(stem=stem, head=head))


@st.composite
def small_ones(draw: st.DrawFn) -> Spec:
    """A network of one layer, of one to three convolutions that are normalised in groups, or added to what they read."""
    stages = []
    for _ in range(draw(st.integers(1, 3))):
        width, groups = draw(st.integers(1, 3)), draw(st.sampled_from((1, 1, 2)))
        form = draw(
            st.sampled_from(("{} | group_norm({})", "residual({}) | group_norm({})", "concat({}) | group_norm(1)"))
        )
        stages.append(form.format(f"conv2d({2 * width}, 1)", groups))
    return small(" | ".join(stages))


@pytest.mark.parametrize("name", [name for name in NAMES if plain(name)])
def test_layers_written_out_say_what_they_said(name: str) -> None:
    spec = example(name)
    found = Widths.of(spec)
    again = at(found, found.base)
    assert again.source.text != spec.source.text
    assert digest(again) == digest(spec)


@law(18)
@given(small_ones(), st.floats(1, 4))
def test_the_widest_is_within_the_budget_and_the_next_one_is_not(spec: Spec, factor: float) -> None:
    budget = int(spec.cost().parameters * factor)
    try:
        found = widened(spec, budget)
    except NotWidenedError:
        assume(False)
        raise
    assert found.cost().parameters <= budget
    assert [layer.name for layer in found.layers] == [layer.name for layer in spec.layers]
    assert found.tasks[0].target == spec.tasks[0].target
    before, after = list(widths(spec)), list(widths(found))
    made = Widths.of(spec)
    largest = max(after)
    assert largest > made.base
    proportional = {width: int(width * largest / made.base + 0.5) for width in before}
    assert set(after) <= {*proportional.values(), *before}  # what residual adds for a shortcut follows from the others
    following = (made.at(place) for place in range(largest + 1, 4 * largest + 2))
    wider = next(each for each in following if isinstance(each, Spec))
    assert wider.cost().parameters > budget


def test_factors_at_which_a_layer_is_none_are_passed_over() -> None:
    """Of groups of 4 channels only every fourth width is one; the first beyond the budget of 24 channels is 28."""
    spec = small("conv2d(16, 1) | group_norm(4) | relu")
    of = [small(f"conv2d({width}, 1) | group_norm(4)").cost().parameters for width in (24, 28)]
    for budget in (of[0], of[0] + 1, of[1] - 1):
        assert list(widths(widened(spec, budget))) == [24]
    found = Widths.of(spec)
    assert [place for place in range(16, 25) if isinstance(found.at(place), MtlError)] == [
        place for place in range(16, 25) if place % 4
    ]


def test_why_there_is_no_wider_one() -> None:
    spec = small("conv2d(16, 1) | group_norm(4) | relu")
    has = spec.cost().parameters
    for made, budget, reason in (
        (spec, has - 1, f"it has {has:,} parameters as it is, and the budget is {has - 1:,}"),
        (spec, has + 1, r"the next wider one has \d+ parameters, and the budget is \d+"),
        (small("relu"), has, "no layer has a width"),
        (small("add(conv2d(3, 1))"), 10**6, "at 2 times its width, `add`"),
        (small('module("a.b:C", out=[4, 8, 8])'), 10**6, "`stem` has a `module`"),
    ):
        with pytest.raises(NotWidenedError, match=reason):
            widened(made, budget)


def test_a_network_of_blocks_and_constants_is_widened() -> None:
    spec = loads(
        TEXT.format(stem="unit(wide) * 2", head="conv2d(1, 1)").replace(
            "backbone", "let wide = 6\nblock unit(c) = residual(conv2d(c, 3) | relu)\nbackbone"
        )
    )
    found = widened(spec, 2 * spec.cost().parameters)
    assert list(widths(found)) == [9, 9, 9]  # the second is of the shortcut, from 3 channels
    assert "unit(" not in found.source.text.partition("backbone")[2]
