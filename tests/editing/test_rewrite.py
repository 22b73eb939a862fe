"""Rewriting `sharing` and `history`: law 12 in any layout, and how new lines are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import dumps, loads, rewritten
from mtsldsl.editing.load import loads_source
from mtsldsl.ir import Decision, Spec
from mtsldsl.sharing import Backbone, Cover, Row, Sharing, unmerged
from mtsldsl.syntax.files import decode_source, encoded
from mtsldsl.syntax.format import format_text
from tests.editing.law_12 import hold_law_12
from tests.editing.layouts import laid_out
from tests.ir.decisions import allocate, merge
from tests.ir.specs import BACKBONE, BODY, LAYERS, TASKS, text
from tests.laws import law
from tests.sharing.strategies import valid_sharings

decisions = st.builds(
    merge,
    st.integers(0, 100),
    st.sampled_from(LAYERS),
    st.lists(st.sampled_from(TASKS), min_size=2, unique=True).map(tuple),
    st.floats(-1, 1),
)
starts = st.just(Sharing.each(BACKBONE, TASKS)) | valid_sharings(BACKBONE, TASKS)


ALTERNATIVES = """\
backbone {
  stem = conv2d(8, 3, stride=2) | batch_norm | relu
  enc1 = parallel(conv3=conv2d(8, 3), conv5=conv2d(8, 5) | relu, skip=identity)
  enc2 = group_norm(4) | relu
  dec1 = parallel(wide=conv2d(8, 5), copies=3)
  dec2 = resize_as(stem) | concat(stem) | conv2d(8, 3) | relu
}
"""
ALLOCATING = (
    re.sub(r"backbone \{.*?\n\}\n", ALTERNATIVES, BODY, flags=re.S) + "\nstructure allocation {\n  on = 0.9\n}\n"
)
ROUTED = loads(ALLOCATING).backbone
ALLOCATED = (
    "allocate(epoch=1, layer=enc1, task=depth, uses=conv3 + skip)",
    "allocate(epoch=1, layer=dec1, task=edge, uses=none)",
)


@st.composite
def allocations(draw: st.DrawFn) -> Sharing:
    """A sharing of the layers of alternatives and of what is around them, everything used more often than not."""
    rows: dict[str, Row] = {
        layer: partition_of(draw(st.lists(st.integers(0, 2), min_size=4, max_size=4))) for layer in LAYERS
    }
    for layer in filter(ROUTED.alternatives, LAYERS):
        pairs = [(task, name) for name in ROUTED.alternatives(layer) for task in TASKS]
        off = draw(st.just([]) | st.lists(st.sampled_from(pairs), unique=True))
        rows[layer] = Cover.of_pairs([pair for pair in pairs if pair not in off], ROUTED.alternatives(layer))
    return Sharing(ROUTED, TASKS, rows)


def partition_of(groups: Sequence[int]) -> frozenset[frozenset[str]]:
    """The tasks of one number together."""
    return frozenset(
        frozenset(task for task, other in zip(TASKS, groups, strict=True) if other == group) for group in set(groups)
    )


def allocating(before: Sharing, after: Sharing, epoch: int) -> list[Decision]:
    """A line of history for each layer and task that uses something else."""
    return [
        allocate(epoch, layer, task, after.uses(layer, task))
        for layer in filter(ROUTED.alternatives, LAYERS)
        for task in TASKS
        if after.uses(layer, task) != before.uses(layer, task)
    ]


def spec_of(data: st.DataObject, sharing: Sharing, **of: Any) -> Spec:
    """The sharing in a file with any layout."""
    spec = loads_source(decode_source("t.mtl", data.draw(laid_out(sharing, **of))))
    assert spec.sharing == sharing
    return spec


def draw_merges(data: st.DataObject, sharing: Sharing, epoch: int) -> tuple[Sharing, list[Decision]]:
    """The sharing after one or two merges of tasks that may share a layer next, with a line of history for each."""
    decisions = []
    for _ in range(data.draw(st.integers(1, 2))):
        places = [(layer, sorted(tasks)) for layer, tasks in unmerged(sharing)]
        if not places:
            break
        layer, tasks = data.draw(st.sampled_from(places))
        group = data.draw(st.lists(st.sampled_from(tasks), min_size=2, unique=True))
        sharing = sharing.merge(layer, group)
        decisions.append(merge(epoch, layer, tuple(group), data.draw(st.floats(0, 1))))
    return sharing, decisions


@law(60)
@given(starts, st.data())
def test_any_sequence_of_merges_touches_nothing_else_in_any_layout(start: Sharing, data: st.DataObject) -> None:
    spec = spec_of(data, start)
    for epoch in range(data.draw(st.integers(1, 3))):
        sharing, added = draw_merges(data, spec.sharing, epoch)
        after = rewritten(spec, sharing, added)
        assert after.sharing == sharing
        hold_law_12(spec, after, added)
        spec = after


@law(60)
@given(starts, valid_sharings(BACKBONE, TASKS), st.lists(decisions, max_size=2), st.data())
def test_any_other_sharing_touches_nothing_else_in_any_layout(
    start: Sharing, end: Sharing, added: list[Decision], data: st.DataObject
) -> None:
    spec = spec_of(data, start)
    after = rewritten(spec, end, added)
    assert after.sharing == end
    hold_law_12(spec, after, added)


@law(40)
@given(starts, st.data())
def test_a_formatted_text_is_formatted_after_any_merges(start: Sharing, data: st.DataObject) -> None:
    source = spec_of(data, start).source
    spec = loads_source(attrs.evolve(source, text=format_text(source)))
    sharing, added = draw_merges(data, spec.sharing, 1)
    after = rewritten(spec, sharing, added)
    assert format_text(after.source) == after.source.text
    hold_law_12(spec, after, added)


@law(40)
@given(allocations(), st.lists(allocations(), min_size=1, max_size=3), st.data())
def test_any_sequence_of_allocations_touches_nothing_else_in_any_layout(
    start: Sharing, found: list[Sharing], data: st.DataObject
) -> None:
    """Lines of `all`, of alternatives, of `none`, and none for a layer of which tasks use everything."""
    spec = spec_of(data, start, body=ALLOCATING, history=ALLOCATED)
    for epoch, sharing in enumerate(found, 2):
        used = sharing.given({**spec.sharing.components, **{layer: sharing[layer] for layer in ("enc1", "dec1")}})
        added = allocating(spec.sharing, used, epoch)
        after = rewritten(spec, used, added)
        assert after.sharing == used
        hold_law_12(spec, after, added)
        spec = after


@law(12)
@given(starts, st.data())
def test_a_rewrite_without_a_change_leaves_the_text_as_it_is(start: Sharing, data: st.DataObject) -> None:
    spec = spec_of(data, start)
    assert encoded(rewritten(spec, start).source) == encoded(spec.source)


def merged(spec: Spec, layer: str, *tasks: str) -> Sharing:
    return spec.sharing.merge(layer, tasks)


def block_of(spec: Spec) -> str:
    return spec.source.text[spec.source.text.index("sharing {") :]


def test_a_spec_without_the_blocks_gets_them_at_its_end() -> None:
    spec = loads(text())
    decision = merge(2, "stem", ("depth", "edge"), 0.875)
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


def test_a_comment_between_the_key_and_the_value_leaves_no_gap_there() -> None:
    spec = loads(text("sharing {\n  stem =\n    # one\n      segment + depth, edge, normal\n  enc1 =  each\n}\n"))
    changed = spec.with_sharing(merged(spec, "stem", "edge", "normal"))
    assert block_of(changed) == "sharing {\n  # one\n  stem = segment + depth, edge + normal\n  enc1 =  each\n}\n"


def test_a_comment_that_ignores_a_diagnostic_stays_inside_and_those_after_it_too() -> None:
    value = "segment,  # one\n         depth,  # mtl: ignore MTL942\n         # two\n         edge, normal"
    spec = loads(text(f"sharing {{\n  stem = {value}  # three\n}}\n"))
    changed = spec.with_sharing(merged(spec, "stem", "edge", "normal"))
    assert block_of(changed) == (
        "sharing {\n  # one\n  stem =  # mtl: ignore MTL942\n      # two\n"
        "      segment, depth, edge + normal  # three\n}\n"
    )


def test_a_new_line_comes_before_the_comments_of_the_line_below_it() -> None:
    spec = loads(text("sharing {\n  enc1 = segment,  # enc1: keep segment apart\n         depth, edge, normal\n}\n"))
    apart = merged(spec, "stem", "depth", "edge").merge("enc1", ["depth", "edge"])
    assert block_of(spec.with_sharing(apart)) == (
        "sharing {\n"
        "  stem = segment, depth + edge, normal\n"
        "  # enc1: keep segment apart\n"
        "  enc1 = segment, depth + edge, normal\n"
        "}\n"
    )


@pytest.mark.parametrize("block", ["sharing", "history"])
def test_no_line_gets_the_line_end_of_another(block: str) -> None:
    """A file of line feeds, with one line that ends as on Windows."""
    line = (
        "stem = all  # mine" if block == "sharing" else "merge(epoch=1, layer=stem, tasks=depth + edge, similarity=1)"
    )
    spec = loads(text(f"{block} {{\n  {line}\r\n}}\n"))
    layer, group = "enc1" if block == "sharing" else "stem", ("depth", "edge")
    after = rewritten(spec, merged(spec, layer, *group), [merge(2, layer, group, 0.5)])
    assert f"  {line}\r\n" in after.source.text
    assert after.source.text.count("\r") == 1


def test_a_formatted_text_is_formatted_again_where_a_range_is_gone() -> None:
    spec = loads(text("sharing {\n  stem..dec2 = each                          # from the start\n}\n"))
    assert format_text(spec.source) == spec.source.text
    changed = spec.with_sharing(merged(spec, "stem", "depth", "edge"))
    assert block_of(changed).startswith(
        "sharing {\n"
        "  stem = segment, depth + edge, normal       # from the start\n"
        "  enc1 = segment, depth, edge, normal\n"
    )


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
