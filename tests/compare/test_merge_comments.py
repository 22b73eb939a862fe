"""Comments that stood in the base are there as often afterwards, whatever each side wrote above and below them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compare.merging import BASE, merge
from tests.ir.specs import text
from tests.laws import law

NOTE, OTHER = "  # looked at by hand", "  # and this one"
DECISIONS = [
    f"  merge(epoch={epoch}, layer={layer}, tasks=segment + depth, similarity=0.5)"
    for epoch, layer in ((1, "stem"), (2, "enc1"), (3, "enc2"), (4, "dec1"))
]
PLACES = st.integers(0, 4)


def with_block(kind: str, lines: list[str]) -> str:
    """The base with this block at its end."""
    return text("") + "\n".join([f"{kind} {{", *lines, "}", ""])


def written(lines: list[str], place: int, line: str) -> list[str]:
    return [*lines[:place], line, *lines[place:]]


@law(50)
@given(st.lists(st.sampled_from([NOTE, OTHER]), min_size=1, max_size=2, unique=True), st.booleans(), PLACES, PLACES)
@pytest.mark.soak
def test_a_comment_of_the_history_is_there_once_when_both_sides_decided_more(
    notes: list[str], decided: bool, mine: int, other: int
) -> None:
    lines = [*notes, DECISIONS[0]] if decided else notes
    base = with_block("history", lines)
    ours = with_block("history", written(lines, mine, DECISIONS[1]))
    theirs = with_block("history", written(lines, other, DECISIONS[2]))
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    for line in (*notes, DECISIONS[1], DECISIONS[2]):
        assert merged.source.text.count(line.strip()) == 1, merged.source.text


@pytest.mark.parametrize(("mine", "other"), [("seed = 3", "precision = fp32"), ("balance = equal", "seed = 1")])
def test_so_is_one_at_the_end_of_any_block(mine: str, other: str) -> None:
    base = BASE.replace("  epochs = 4\n", "  epochs = 4\n  # by hand\n")
    assert base.count("# by hand") == 1
    ours, theirs = (base.replace("# by hand\n", f"# by hand\n  {line}\n") for line in (mine, other))
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    for line in ("# by hand", mine, other):
        assert merged.source.text.count(line) == 1, merged.source.text


def test_equal_comments_that_both_sides_wrote_in_different_places_stay_both() -> None:
    ours = BASE.replace("  epochs = 4\n", "  # todo\n  epochs = 4\n")
    theirs = BASE.replace("sharing {\n", "sharing {\n  # todo\n", 1)
    assert merge(BASE, ours, theirs).source.text.count("# todo") == 2
