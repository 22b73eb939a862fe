"""Law 12: a rewrite changes no byte outside the lines it edits, and no comment is lost."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.sharing import Backbone, Sharing
from mtsldsl.spec import Decision, Spec, dumps, loads, rewritten
from mtsldsl.syntax import parse, tree
from tests.sharing.strategies import valid_sharings
from tests.spec.specs import BACKBONE, LAYERS, TASKS, laid_out_texts, text


def comments(spec_text: str) -> list[str]:
    return [comment.text for comment in parse(Source("text", spec_text)).comments]


def outside(spec_text: str) -> list[str]:
    """The text of every statement but the two that a rewrite may touch."""
    kept = ("sharing", "history")
    return [
        statement.span.text
        for statement in parse(Source("text", spec_text)).statements
        if not (isinstance(statement, tree.Section) and statement.kind.text in kept)
    ]


def lines_of(spec_text: str) -> dict[str, str]:
    """The text of each line of the sharing block that is about one layer."""
    found = {}
    for statement in parse(Source("text", spec_text)).statements:
        if isinstance(statement, tree.Section) and statement.kind.text == "sharing":
            for item in statement.items:
                assert isinstance(item, tree.Entry)
                if item.last is None:
                    found[item.key.text] = item.span.text
    return found


def contains_in_order(some: list[str], all_of_them: list[str]) -> bool:
    waiting = iter(all_of_them)
    return all(each in waiting for each in some)


decisions = st.builds(
    Decision,
    st.just("merge"),
    st.integers(0, 100),
    st.sampled_from(LAYERS),
    st.lists(st.sampled_from(TASKS), min_size=2, unique=True).map(tuple),
    st.floats(-1, 1),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(laid_out_texts(), valid_sharings(BACKBONE, TASKS), st.lists(decisions, max_size=2))
def test_a_rewrite_says_the_new_sharing_and_touches_nothing_else(
    laid_out: tuple[str, Sharing], new: Sharing, added: list[Decision]
) -> None:
    before, old = laid_out
    spec = loads(before)
    assert spec.sharing == old
    changed = rewritten(spec, new, added)
    after = dumps(changed)
    assert changed.sharing == new
    assert changed.history == (*spec.history, *added)
    assert attrs.evolve(changed, sharing=old, history=spec.history) == spec
    assert loads(after) == changed
    assert outside(after) == outside(before)
    assert contains_in_order(comments(before), comments(after))
    kept = {layer: line for layer, line in lines_of(before).items() if old[layer] == new[layer]}
    assert kept.items() <= lines_of(after).items()
    assert ("\r\n" in after) == ("\r\n" in before)
    assert "\r\n" not in after or "\n" not in after.replace("\r\n", "")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(laid_out_texts())
def test_a_rewrite_without_a_change_leaves_the_text_as_it_is(laid_out: tuple[str, Sharing]) -> None:
    before, old = laid_out
    assert dumps(rewritten(loads(before), old)) == before


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(laid_out_texts(), st.lists(valid_sharings(BACKBONE, TASKS), min_size=1, max_size=3))
def test_rewriting_step_by_step_loses_no_comment(laid_out: tuple[str, Sharing], steps: list[Sharing]) -> None:
    before, _ = laid_out
    spec = loads(before)
    for step in steps:
        spec = spec.with_sharing(step)
    assert spec.sharing == steps[-1]
    assert contains_in_order(comments(before), comments(dumps(spec)))


def merged(spec: Spec, layer: str, *tasks: str) -> Sharing:
    return spec.sharing.merge(layer, tasks)


def block_of(spec: Spec) -> str:
    return spec.source.text[spec.source.text.index("sharing {") :]


def test_a_spec_without_the_blocks_gets_them_at_its_end() -> None:
    spec = loads(text())
    decision = Decision("merge", 2, "stem", ("depth", "edge"), 0.875)
    changed = rewritten(spec, merged(spec, "stem", "depth", "edge"), [decision])
    assert changed.source.text == text(
        """\
sharing {
  stem = segment, depth + edge, normal
  enc1 = segment, depth, edge, normal
  enc2 = segment, depth, edge, normal
  dec1 = segment, depth, edge, normal
  dec2 = segment, depth, edge, normal
}

history {
  merge(epoch=2, layer=stem, tasks=depth + edge, similarity=0.875)
}
"""
    )


def test_a_range_becomes_lines_and_keeps_its_comment_on_the_first() -> None:
    spec = loads(text("sharing {\n  # first\n  stem..enc2 = all   # the encoder\n\n  dec1       = each\n}\n"))
    changed = spec.with_sharing(spec.sharing.split("enc2", ["edge"]))
    assert block_of(changed) == (
        "sharing {\n"
        "  # first\n"
        "  stem       = segment + depth + edge + normal   # the encoder\n"
        "  enc1       = segment + depth + edge + normal\n"
        "  enc2       = segment + depth + normal, edge\n"
        "\n"
        "  dec1       = each\n"
        "}\n"
    )


def test_a_layer_without_a_line_gets_one_in_its_place() -> None:
    spec = loads(text("sharing {\n  stem   = all  # top\n  # below\n  dec1   = each\n}\n"))
    changed = spec.with_sharing(merged(spec, "enc1", "edge", "depth"))
    assert block_of(changed) == (
        "sharing {\n  stem   = all  # top\n  enc1   = segment, depth + edge, normal\n  # below\n  dec1   = each\n}\n"
    )


def test_a_comment_inside_a_value_moves_above_its_line() -> None:
    spec = loads(text("sharing {\n  stem = segment + depth,  # one\n         edge, normal  # two\n}\n"))
    changed = spec.with_sharing(merged(spec, "stem", "edge", "normal"))
    assert block_of(changed) == "sharing {\n  # one\n  stem = segment + depth, edge + normal  # two\n}\n"


def test_a_block_on_one_line_is_rewritten_too() -> None:
    spec = loads(text("sharing { stem..enc1 = all }"))
    changed = spec.with_sharing(spec.sharing.split("enc1", ["edge"]))
    assert loads(dumps(changed)) == changed


def test_a_sharing_of_other_layers_or_tasks_is_refused() -> None:
    spec = loads(text())
    for other in (Sharing.all(spec.backbone, TASKS[:2]), Sharing.all(Backbone(("stem",), {}), TASKS)):
        with pytest.raises(MtlError) as caught:
            spec.with_sharing(other)
        assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["MTL407"]
