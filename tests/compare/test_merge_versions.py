"""Laws of the merge of specs with the same layers and tasks: settings, bodies, comments, history, sharing."""

from __future__ import annotations

import re

import attrs
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.compare.threeway import counted, decided
from mtsldsl.editing import loads
from mtsldsl.sharing import ConflictError, merge3
from tests.compare.merging import meaning, merge
from tests.compare.versions import DECISIONS, Version, three_sides, versions
from tests.laws import law

SAME_DECISION = DECISIONS[:2]
"""The same tasks at the same layer, with another similarity."""


def texts(*sides: Version) -> list[str]:
    return [side.text() for side in sides]


def expected(base: Version, ours: Version, theirs: Version) -> tuple[Version, set[str]]:
    """What a merge is to say, and the keys in conflict; those as ours has them."""
    conflicts, picked = set(), {}
    old, mine, other = (side.entries() for side in (base, ours, theirs))
    for key in mine:
        pick = decided(*(without_layout(side[key]) for side in (old, mine, other)))
        if pick is None and key == "train.seed":  # it says how a run was made
            picked[key] = None if None in (old[key], mine[key], other[key]) else old[key]
            continue
        if pick is None:
            conflicts.add(key)
        picked[key] = other[key] if pick and pick[0] != without_layout(mine[key]) else mine[key]
    sharing = ours.sharing
    try:
        sharing = merge3(base.sharing, ours.sharing, theirs.sharing)
    except ConflictError as error:
        conflicts |= {f"sharing.{conflict.layer}" for conflict in error.conflicts}
    return (
        attrs.evolve(
            ours,
            train={key: picked[f"train.{key}"] for key in ours.train},
            bodies={key: picked[f"backbone.{key}"] for key in ours.bodies},
            weights={key: picked[f"task.{key}.weight"] for key in ours.weights},
            constant=picked["let width"],
            history=history(base, ours, theirs),
            sharing=sharing,
        ),
        conflicts,
    )


def history(base: Version, ours: Version, theirs: Version) -> tuple[str, ...]:
    """Every decision of either side but those that one took away; of one that each made with another similarity, and
    the base had not, the one that was more alike."""
    wanted = list(counted(base.history, ours.history, theirs.history))
    low, high = SAME_DECISION
    mine, other = ({each for each in SAME_DECISION if each in side.history} for side in (ours, theirs))
    if not {low, high} & set(base.history) and len(mine) == len(other) == 1 and mine != other:
        wanted.remove(low)
    return tuple(wanted)


def without_layout(value: object) -> object:
    return value and re.sub(r"#[^\n]*|\s", "", str(value))


@law(15)
@given(three_sides())
def test_a_merge_has_the_changes_of_both_sides_or_names_every_conflict(sides: tuple[Version, Version, Version]) -> None:
    wanted, conflicts = expected(*sides)
    merged = merge(*texts(*sides))
    found = {conflict.key for conflict in merged.conflicts}
    assert found >= conflicts
    assert {key for key in found if not key.startswith("sharing.")} == {
        key for key in conflicts if not key.startswith("sharing.")
    }
    assert bool(found) == bool(conflicts)
    assume(not conflicts)
    assert meaning(loads(merged.source.text)) == meaning(loads(wanted.text()))


@law(15)
@given(three_sides())
def test_a_merge_means_the_same_from_both_sides(sides: tuple[Version, Version, Version]) -> None:
    base, ours, theirs = texts(*sides)
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert {conflict.key for conflict in one.conflicts} == {conflict.key for conflict in other.conflicts}
    assume(not one.conflicts)
    assert meaning(loads(one.source.text)) == meaning(loads(other.source.text))


@law(15)
@given(three_sides())
def test_no_comment_that_a_side_wrote_is_lost(sides: tuple[Version, Version, Version]) -> None:
    base, ours, theirs = texts(*sides)
    merged = merge(base, ours, theirs)
    before, *after = (side.comments for side in sides)
    written = {
        comment
        for each in after
        for slot, comment in each.items()
        if comment and comment != before[slot] and not (slot == "weight" and unused_weight(sides))
    }
    assume(written)
    assert [comment for comment in written if comment not in merged.source.text] == []


def unused_weight(sides: tuple[Version, ...]) -> bool:
    """Whether the line that the comment of that slot stands on is not there on all sides."""
    return any(side.weights["edge"] is None for side in sides)


@law(15)
@given(three_sides())
def test_a_side_that_changed_nothing_gives_the_other_byte_for_byte(sides: tuple[Version, Version, Version]) -> None:
    base, other, _ = texts(*sides)
    assert merge(base, other, base).source.text == other
    assert merge(base, base, other).source.text == other
    assert merge(base, other, other).source.text == other


@law(15)
@given(three_sides(), st.sampled_from(["\n", "\r\n"]))
def test_a_side_that_changed_only_its_layout_gives_what_the_other_says(
    sides: tuple[Version, Version, Version], ending: str
) -> None:
    base, other, _ = sides
    apart = base.text(ending).replace("train {", f"{ending}{ending}train {{").replace("epochs  ", "epochs")
    merged = merge(base.text(), apart, other.text())
    assert merged.conflicts == ()
    assert meaning(loads(merged.source.text)) == meaning(loads(other.text()))
    assert ("\r\n" in merged.source.text) == (ending == "\r\n")
    assert "\r\n" not in apart or "\n" not in merged.source.text.replace("\r\n", "")


@law(15)
@given(three_sides())
def test_our_side_of_every_conflict_is_there_to_take(sides: tuple[Version, Version, Version]) -> None:
    wanted, conflicts = expected(*sides)
    merged = merge(*texts(*sides))
    marked = merged.source.text
    assert marked.count("<<<<<<< ours\n") == marked.count(">>>>>>> theirs\n") == len(merged.conflicts)
    ours = re.sub(r"<<<<<<< ours\n(.*?)=======\n.*?>>>>>>> theirs\n", r"\1", marked, flags=re.S)
    assume(not any(key.startswith("sharing.") for key in conflicts))
    assert meaning(loads(ours)) == meaning(loads(wanted.text()))


@law(15)
@given(versions(), versions())
def test_two_texts_with_nothing_in_common_are_merged_where_they_agree(ours: Version, theirs: Version) -> None:
    agreed = attrs.evolve(theirs, train=ours.train, bodies=ours.bodies, weights=ours.weights, constant=ours.constant)
    merged = merge("", ours.text(), agreed.text())
    assert merged.conflicts == ()
    assert loads(merged.source.text).sharing == ours.sharing.join(agreed.sharing)
