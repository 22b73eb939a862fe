"""The rule of a three-way merge for one value, and what is left where it has no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import attrs

from mtsldsl.records import Record

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Conflict(Record):
    """Something that both sides changed, each in its own way.

    `key` names it, such as `train.epochs` or `sharing.enc1`; `reason` is one sentence; `pieces` are the keys of all
    pieces, of either side, that it is about.
    """

    key: str
    reason: str
    pieces: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"

    def about(self, key: str) -> bool:
        """Whether a piece, or the end of a block, belongs to it."""
        return any(key == piece or key.startswith((f"{piece}.", f"{piece} ", f"{piece}}}")) for piece in self.pieces)


def decided(base: T, ours: T, theirs: T) -> tuple[T] | None:
    """The value that has the changes of both sides, alone in a tuple; None where both changed it differently."""
    if ours == theirs or theirs == base:
        return (ours,)
    return (theirs,) if ours == base else None


def counted(base: Iterable[str], ours: Iterable[str], theirs: Iterable[str]) -> Counter[str]:
    """How often each text is to be there: added where a side added it, gone where a side took it away.

    Where both sides changed the number it is the larger one, so that nothing of either is lost.
    """
    before, mine, other = Counter(base), Counter(ours), Counter(theirs)
    result: Counter[str] = Counter()
    for text in before | mine | other:
        pick = decided(before[text], mine[text], other[text])
        result[text] = pick[0] if pick else max(mine[text], other[text])
    return +result
