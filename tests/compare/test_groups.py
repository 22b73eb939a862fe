"""Specs in groups side by side: what differs in who helps, and what both sides of a merge changed."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.cli.consensus_lines import lines
from mtsldsl.compare.consensus import consensus
from mtsldsl.compare.merge import merge_specs
from mtsldsl.compare.spec_difference import compare
from mtsldsl.diagnostics import Source
from mtsldsl.editing import loads
from mtsldsl.sharing import Sharing, merge3
from mtsldsl.sharing.merging import ConflictError
from tests.ir.specs import BACKBONE, TASKS, text
from tests.laws import law
from tests.sharing.strategies import grouped

ROW = "segment + depth, (depth) + normal, edge"


def block(row: str) -> str:
    return text(f"sharing {{\n  stem..dec2 = {row}\n}}\n")


def written(sharing: Sharing) -> str:
    return text("\n".join(("sharing {", *(f"  {line}" for line in str(sharing).split("\n")), "}", "")))


@pytest.mark.parametrize(
    ("before", "after", "kind", "said"),
    [
        (ROW, "segment + depth, (depth) + (edge) + normal, edge", "help", ["(edge)", "(depth)", "normal"]),
        (ROW, "segment + depth, normal, edge", "help", ["normal"]),
        (ROW, "segment + depth + normal, edge", "merge", ["segment", "depth", "normal"]),
        ("all", ROW, "split", ["depth", "(depth)", "normal"]),
    ],
)
def test_the_difference_says_who_helps(before: str, after: str, kind: str, said: list[str]) -> None:
    found = compare(loads(block(before)), loads(block(after)))
    assert {change.kind for change in found.sharing} == {kind}
    assert [change.layer for change in found.sharing] == list(BACKBONE.layers)
    printed = json.dumps(found.as_json()["sharing"][0]["to"])
    assert all(json.dumps(name) in printed for name in said)
    assert not compare(loads(block(after)), loads(block(after)))


@given(st.lists(grouped(BACKBONE, TASKS), min_size=3, max_size=3))
@law(60)
@pytest.mark.soak
def test_texts_are_merged_as_their_sharings_are(three: list[Sharing]) -> None:
    base, ours, theirs = three
    sources = [Source(name, written(each)) for name, each in zip(("base", "ours", "theirs"), three, strict=True)]
    merged = merge_specs(*sources)
    expected = None
    with suppress(ConflictError):
        expected = merge3(base, ours, theirs)
    assert (None if merged.conflicts else loads(merged.source.text).sharing) == expected


def test_one_side_s_help_and_the_other_s_task_come_together() -> None:
    base = block("segment + depth, (depth) + normal, edge")
    ours = block("segment + depth, (depth) + (edge) + normal, edge")
    theirs = base.replace("epochs = 4", "epochs = 7")
    merged = merge_specs(*(Source(name, each) for name, each in (("base", base), ("ours", ours), ("theirs", theirs))))
    assert not merged.conflicts
    assert merged.source.text == ours.replace("epochs = 4", "epochs = 7")


def test_runs_that_differ_in_who_helps_do_not_agree() -> None:
    one, other = loads(block(ROW), name="one"), loads(block("segment + depth, normal, edge"), name="other")
    served = loads(block("segment + (depth), depth + normal, edge"), name="served")
    assert consensus([one, other])
    assert consensus([one, served])
    assert not consensus([one, one])


def test_a_pair_counts_the_runs_where_one_copy_serves_both() -> None:
    helped, more, plain = (
        loads(block(row), name=name)
        for name, row in (
            ("helped", "segment + depth, (depth) + normal, edge"),
            ("more", "segment + depth, (depth) + (edge) + normal, edge"),
            ("plain", "segment + depth, normal, edge"),
        )
    )
    found = consensus([helped, more, plain])
    runs = {pair.tasks: pair.runs for pair in found.pairs if pair.layer == "stem"}
    assert {tasks for tasks, number in runs.items() if number} == {("segment", "depth")}
    assert runs["segment", "depth"] == 3
    assert found.distances == (0, 0, 0)
    layers = list(BACKBONE.layers)
    assert (found.as_json()["allocated"], found.as_json()["helped"]) == ([], layers)
    printed = list(lines(found, None))
    assert f"other tasks help in {', '.join(layers)}: compare two runs to see which" in printed
    assert not any("alternatives" in line for line in printed)


@given(st.lists(grouped(BACKBONE, TASKS), min_size=3, max_size=3))
@law(30)
def test_runs_in_groups_agree_where_they_are_the_same(three: list[Sharing]) -> None:
    found = consensus([loads(written(each), name=str(place)) for place, each in enumerate(three)])
    assert bool(found) == (len(set(three)) > 1)
    served = consensus([loads(written(each.served()), name=str(place)) for place, each in enumerate(three)])
    assert (served.pairs, served.distances) == (found.pairs, found.distances)
    assert served.helped == ()
