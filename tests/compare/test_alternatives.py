"""Differences, merges and a consensus of specs whose layers have alternatives."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mtsldsl
from mtsldsl.cli import main
from mtsldsl.compare.spec_difference import compare
from mtsldsl.ir import Spec
from mtsldsl.sharing import Cover, Sharing
from tests.compare.merging import edited, merge, taken
from tests.ir.alternatives import Drawn, networks
from tests.laws import law

BASE = Drawn(
    ("apple", "banana", "cherry"),
    {
        "layer0": {"": "conv2d(4, 3) | relu"},
        "mix": {"conv3": "conv2d(4, 3)", "conv5": "conv2d(4, 5)", "skip": "identity"},
        "norm": {"": "group_norm(2)"},
    },
    frozenset(),
    {},
    ("layer0 = all", "mix    = conv3: apple + banana, skip: cherry  # learned", "norm   = all"),
).text

MIX = "conv3: apple + banana, skip: cherry"


def bits(spec: Spec) -> set[tuple[str, str, str]]:
    rows = {layer: spec.sharing[layer] for layer in filter(spec.backbone.alternatives, spec.backbone.layers)}
    return {(layer, *pair) for layer, row in rows.items() if isinstance(row, Cover) for pair in row.pairs}


@pytest.mark.parametrize(
    ("mix", "kind"),
    [
        ("conv3: all, skip: cherry", "on"),
        ("conv3: apple, skip: cherry", "off"),
        ("conv3: apple, conv5: banana, skip: cherry", "switch"),
        ("none", "off"),
    ],
)
def test_a_difference_says_what_tasks_use_more_and_less(mix: str, kind: str) -> None:
    before, after = mtsldsl.loads(BASE), mtsldsl.loads(edited(BASE, (MIX, mix)))
    (change,) = compare(before, after).sharing
    assert (change.layer, change.kind) == ("mix", kind)
    assert change.before == {"conv3": ("apple", "banana"), "skip": ("cherry",)}
    (back,) = compare(after, before).sharing
    assert (back.before, back.after) == (change.after, change.before)
    assert back.kind == {"on": "off", "off": "on", "switch": "switch"}[kind]
    assert not compare(before, before)


def test_a_difference_is_printed_as_text_json_and_a_page(tmp_path: Path) -> None:
    one, other, page = (tmp_path / name for name in ("one.mtl", "other.mtl", "page.html"))
    one.write_text(BASE)
    other.write_text(edited(BASE, (MIX, "conv3: apple, conv5: banana, skip: cherry")))
    said = CliRunner().invoke(main, ["diff", str(one), str(other)])
    assert "mix  conv3: apple + banana, skip: cherry  ->  conv3: apple, conv5: banana, skip: cherry" in said.output
    found = json.loads(CliRunner().invoke(main, ["diff", "--json", str(one), str(other)]).output)
    assert found["sharing"] == [
        {
            "layer": "mix",
            "kind": "switch",
            "from": {"conv3": ["apple", "banana"], "skip": ["cherry"]},
            "to": {"conv3": ["apple"], "conv5": ["banana"], "skip": ["cherry"]},
        }
    ]
    made = CliRunner().invoke(main, ["diff", "--html", str(page), str(one), str(other)])
    assert made.exit_code in (0, 1), made.output
    assert "mix: banana uses conv5" in page.read_text()


def test_a_layer_that_becomes_one_of_alternatives_is_regrouped() -> None:
    after = edited(BASE, ("norm = group_norm(2)", "norm = parallel(a=group_norm(2), b=identity)"), ("norm   = all", ""))
    found = compare(mtsldsl.loads(BASE), mtsldsl.loads(after))
    assert [(each.layer, each.kind) for each in found.sharing] == [("norm", "regroup")]
    assert [each.key for each in found.keys] == ["backbone.norm"]


@law(40)
@given(networks(), st.data())
def test_three_versions_are_merged_bit_by_bit_from_both_sides(drawn: Drawn, data: st.DataObject) -> None:
    base = mtsldsl.loads(drawn.text)
    ours, theirs = (recovered(base, data) for _ in range(2))
    merged = merge(drawn.text, ours.source.text, theirs.source.text)
    assert not merged.conflicts
    found = mtsldsl.loads(merged.source.text)
    changed = (bits(base) ^ bits(ours)) | (bits(base) ^ bits(theirs))
    assert bits(found) == bits(base) ^ changed
    other = mtsldsl.loads(merge(drawn.text, theirs.source.text, ours.source.text).source.text)
    assert other.sharing == found.sharing


def recovered(spec: Spec, data: st.DataObject) -> Spec:
    """The spec with other covers."""
    rows = dict(spec.sharing.components)
    for layer in filter(spec.backbone.alternatives, spec.backbone.layers):
        users = st.lists(st.sampled_from(spec.sharing.tasks), unique=True)
        pairs = [(task, name) for name in spec.backbone.alternatives(layer) for task in data.draw(users)]
        rows[layer] = Cover.of_pairs(pairs, spec.backbone.alternatives(layer))
    return spec.with_sharing(Sharing(spec.backbone, spec.sharing.tasks, rows))


def test_a_merge_keeps_comments_and_adds_an_alternative_that_one_side_added() -> None:
    ours = edited(BASE, ("conv5=conv2d(4, 5)", "conv5=conv2d(4, 5), conv7=conv2d(4, 7)"), (MIX, f"{MIX}, conv7: apple"))
    theirs = edited(BASE, (MIX, "conv3: apple, skip: banana + cherry"))
    merged = merge(BASE, ours, theirs)
    assert not merged.conflicts
    assert "mix    = conv3: apple, skip: banana + cherry, conv7: apple  # learned" in merged.source.text or (
        "mix    = conv3: apple, conv7: apple, skip: banana + cherry  # learned" in merged.source.text
    )
    assert bits(mtsldsl.loads(merged.source.text)) == {
        ("mix", "apple", "conv3"),
        ("mix", "apple", "conv7"),
        ("mix", "banana", "skip"),
        ("mix", "cherry", "skip"),
    }


def test_a_task_that_one_side_added_uses_what_that_side_says() -> None:
    block = "task damson {\n  target = values(1)\n  head   = conv2d(1, 1) | resize_as(image)\n}\n\nbackbone"
    ours = edited(BASE, ("backbone", block), (MIX, f"{MIX} + damson"))
    theirs = edited(BASE, (MIX, "conv3: apple, skip: cherry"))
    merged = merge(BASE, ours, theirs)
    assert not merged.conflicts
    found = mtsldsl.loads(merged.source.text)
    assert ("mix", "damson", "skip") in bits(found)
    assert len({bit for bit in bits(found) if bit[1] == "damson"}) == 1
    assert ("mix", "banana", "conv3") not in bits(found)


PARALLEL = "parallel(conv3=conv2d(4, 3), conv5=conv2d(4, 5), skip=identity)"


@pytest.mark.parametrize(
    ("ours", "theirs", "note"),
    [
        (
            [(PARALLEL, "conv2d(4, 3)"), (MIX, "all")],
            [(MIX, "conv3: apple, skip: cherry")],
            "for `conv3` of layer `mix` is gone: `mix = conv3: apple, skip: cherry` of theirs",
        ),
        (
            [("conv3=", "wide="), ("conv3:", "wide:")],
            [(MIX, "conv3: apple, skip: cherry")],
            "for `conv3` of layer `mix` is gone: `mix = conv3: apple, skip: cherry` of theirs",
        ),
        (
            [
                ("layer0 = conv2d(4, 3) | relu", "layer0 = parallel(a=conv2d(4, 3))"),
                ("layer0 = all", "layer0 = a: all"),
            ],
            [("layer0 = all", "layer0 = apple, banana + cherry")],
            "for layer `layer0` is made of alternatives now: `layer0 = apple, banana + cherry` of theirs",
        ),
        ([(", skip: cherry", "")], [(MIX, "conv3: apple, skip: cherry")], None),
        ([(", skip=identity", ""), (", skip: cherry", "")], [(MIX, "conv3: apple, skip: cherry")], None),
    ],
)
def test_a_change_that_the_merged_layer_has_no_place_for_is_named(
    ours: list[tuple[str, str]], theirs: list[tuple[str, str]], note: str | None
) -> None:
    """Where one side makes the layer another one, and the other side changes who uses what of it."""
    one, other = edited(BASE, *ours), edited(BASE, *theirs)
    said = f"left out of the sharing, {note}"
    for merged, notes in (
        (merge(BASE, one, other), (said,)),
        (merge(BASE, other, one), (said.replace("of theirs", "of ours"),)),
    ):
        assert not merged.conflicts
        assert merged.notes == (notes if note else ())


def test_show_has_a_table_of_tasks_and_alternatives(tmp_path: Path) -> None:
    path = tmp_path / "one.mtl"
    path.write_text(BASE)
    shown = subprocess.run(
        [sys.executable, "-m", "mtsldsl", "show", str(path)], capture_output=True, text=True, check=True
    ).stdout
    table = [line.split() for line in shown[shown.index("conv3  conv5  skip") :].splitlines()[1:4]]
    assert table == [["apple", "x"], ["banana", "x"], ["cherry", "x"]]
    assert "mix  2 alternatives  148 parameters" in shown


@given(networks())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_show_draws_every_network_with_each_layer_and_head_of_it(tmp_path: Path, drawn: Drawn) -> None:
    path = tmp_path / "one.mtl"
    path.write_text(drawn.text)
    shown = CliRunner().invoke(main, ["show", str(path)], catch_exceptions=False).output
    words = [line.strip(" │├└─").split() for line in shown.splitlines()]
    assert {line[0] for line in words if line} >= set(drawn.layers)
    assert sorted(line[0] for line in words if line[1:2] == ["head"]) == sorted(drawn.tasks)


def test_show_names_the_copies_of_a_layer_whose_tasks_meet_again_below(tmp_path: Path) -> None:
    text = edited(
        BASE, ("layer0 = all", "layer0 = apple, banana + cherry"), ("norm   = all", "norm   = apple, banana + cherry")
    )
    path = tmp_path / "one.mtl"
    path.write_text(text)
    shown = CliRunner().invoke(main, ["show", str(path)], catch_exceptions=False).output
    assert "layer0  apple, banana + cherry  224 parameters" in shown


def test_a_consensus_counts_the_tasks_that_use_a_common_alternative(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.mtl" for number in range(3)]
    for path, mix in zip(paths, (MIX, MIX, "conv3: apple + cherry, conv5: banana"), strict=True):
        path.write_text(edited(BASE, (MIX, mix)))
    said = CliRunner().invoke(main, ["diff", "--json", *map(str, paths)])
    pairs = {(each["layer"], *each["tasks"]): each["runs"] for each in json.loads(said.output)["pairs"]}
    assert pairs["mix", "apple", "banana"] == 2
    assert pairs["mix", "apple", "cherry"] == 1
    assert pairs["mix", "banana", "cherry"] == 0


def test_runs_whose_tasks_use_other_alternatives_differ_though_they_share_alike(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.mtl" for number in range(3)]
    other = "conv5: apple + banana, skip: cherry"
    for path, mix in zip(paths, (MIX, other, MIX), strict=True):
        path.write_text(edited(BASE, (MIX, mix)))
    names = [*map(str, paths)]
    said = CliRunner().invoke(main, ["diff", "--exit-code", *names])
    assert said.exit_code == 1
    assert "tasks use other alternatives of mix: compare two runs to see which" in said.output
    assert json.loads(CliRunner().invoke(main, ["diff", "--json", *names]).output)["allocated"] == ["mix"]
    same = CliRunner().invoke(main, ["diff", "--exit-code", names[0], names[2], names[0]])
    assert (same.exit_code, "alternatives" in same.output) == (0, False)


def test_a_task_that_would_use_nothing_any_more_is_told_of() -> None:
    base = edited(BASE, (MIX, "conv3: apple + banana, skip: apple + cherry"))
    ours = edited(base, (", skip=identity", ""), ("conv3: apple + banana, skip: apple + cherry", "conv3: all"))
    theirs = edited(base, ("conv3: apple + banana, skip: apple + cherry", "conv3: banana, skip: apple + cherry"))
    merged = merge(base, ours, theirs)
    assert "with both sides' changes `apple` uses no alternative of `mix`, and gets zeros: name one" in merged.notes


def test_where_alternatives_are_in_conflict_each_side_has_its_own_sharing_whole() -> None:
    base = edited(BASE, (MIX, "conv3: apple + banana, skip: apple + cherry"))
    ours = edited(
        base,
        ("conv5=conv2d(4, 5)", "conv5=conv2d(4, 5), conv7=conv2d(4, 7)"),
        ("conv3: apple + banana, skip: apple + cherry", "conv3: apple + banana, conv7: banana, skip: apple + cherry"),
    )
    theirs = edited(base, (", skip=identity", ""), ("conv3: apple + banana, skip: apple + cherry", "conv3: all"))
    merged = merge(base, ours, theirs)
    assert {conflict.key for conflict in merged.conflicts} == {"backbone.mix", "sharing.mix"}
    for side, whole in ((1, ours), (2, theirs)):
        assert taken(merged, side).sharing == mtsldsl.loads(whole).sharing


LEARNED = "allocate(epoch=2, layer=mix, task=apple, uses=conv3 + skip)"
OFF = "allocate(epoch=2, layer=mix, task=cherry, uses=none)"
ALLOCATED = edited(BASE, (MIX, "conv3: apple + banana, skip: apple")) + f"\nhistory {{\n  {LEARNED}\n  {OFF}\n}}\n"


def history(text: str) -> list[str]:
    return re.findall(r"^  (\w+\(epoch=.*\))$", text, re.M)


@pytest.mark.parametrize(
    ("changes", "lines", "left_out"),
    [
        ([("group_norm(2)", "group_norm(4)")], [LEARNED, OFF], None),
        ([("mix ", "blend ")] * 2, [line.replace("mix", "blend") for line in (LEARNED, OFF)], None),
        ([(", skip=identity", ""), (", skip: cherry", "")], [OFF], LEARNED),
        ([("skip=", "past="), ("skip:", "past:")], [OFF], LEARNED),
        ([(PARALLEL, "conv2d(4, 3)"), (MIX, "all")], [OFF], LEARNED),
    ],
)
def test_what_one_side_learned_stays_in_the_history_where_its_alternatives_are_there(
    changes: list[tuple[str, str]], lines: list[str], left_out: str | None
) -> None:
    other = edited(BASE, *changes)
    for merged in (merge(BASE, ALLOCATED, other), merge(BASE, other, ALLOCATED)):
        assert not merged.conflicts
        assert history(merged.source.text) == lines
        said = f"left out of the history, for it names a layer, task or alternative that is gone: {left_out}"
        assert (said in merged.notes) == (left_out is not None)


def test_what_both_sides_learned_is_there_once_and_what_they_learned_apart_is_all_there() -> None:
    base = f"{BASE}\nhistory {{\n  {LEARNED}\n}}\n"
    later = [LEARNED.replace("epoch=2", f"epoch={epoch}").replace("apple", "banana") for epoch in (4, 6)]
    own = ["allocate(epoch=5, layer=mix, task=cherry, uses=conv5)", OFF.replace("epoch=2", "epoch=5")]
    texts = [
        edited(base, (f"{LEARNED}\n", f"{LEARNED}\n  {both}\n  {alone}\n"))
        for both, alone in zip(later, own, strict=True)
    ]
    for one, two in (texts, reversed(texts)):
        assert sorted(history(merge(base, one, two).source.text)) == sorted([LEARNED, later[0], *own])
