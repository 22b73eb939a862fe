"""The nearest known name, for `did you mean`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import nlargest

_SHORT, _LONG = 3, 8
"""Letters from which a name may differ from the one that was meant in one place, and in two."""

_NO_DIGITS = re.compile(r"\d")

_ALIKE = 0.8
"""The share of letters in common, by difflib, from which a name is like another. Names that have less in common than
`cros_entr` and `cross_entropy` have are two things, as `class_weight` and `weight` are."""

_MOST_SHOWN = 3
"""Names that are proposed at once."""

_MOST_LISTED = 60
"""Names that are listed where none is alike."""

_MOST_COMPARED = 20
"""Names that are compared letter by letter, of those with the most letters in common."""


class Suggestion(str):
    """A remedy that says which known name was meant in the place of `wrong`.

    It is the text of the remedy, so whoever reports passes it on like any other; `right` is the name that can take the
    place of the wrong one safely: the only known one near it, None where there are several.
    """

    wrong: str
    right: str | None

    def __new__(cls, text: str, wrong: str, right: str | None) -> Suggestion:
        """The text of the remedy with both names."""
        made = super().__new__(cls, text)
        made.wrong, made.right = wrong, right
        return made


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None where none is alike."""
    from mtsldsl.diagnostics.elsewhere import means_another_thing  # a sound spec needs none of it

    alike = (each for each in known if _most_alike(name, each) >= _ALIKE)
    candidates = sorted(each for each in alike if not means_another_thing(name, each))
    folded = {candidate.lower(): candidate for candidate in reversed(candidates)}
    if name.lower() in folded:
        return folded[name.lower()]
    compared = nlargest(_MOST_COMPARED, candidates, key=lambda candidate: _most_alike(name, candidate))
    from difflib import get_close_matches  # a sound spec needs none of it

    matches = get_close_matches(name, compared, n=1, cutoff=_ALIKE)
    return matches[0] if matches else None


def _most_alike(name: str, other: str) -> float:
    """The ratio of letters that two names can have in common at most."""
    ours, theirs = _used(name), _used(other)
    common = min(len(name) - (ours & ~theirs).bit_count(), len(other) - (theirs & ~ours).bit_count())
    return 2 * common / (len(name) + len(other) or 1)


def proposal(name: str, known: Iterable[str]) -> Suggestion | None:
    """The remedy that proposes the known name for the same thing or the nearest ones, None where none is alike."""
    from mtsldsl.diagnostics.elsewhere import called_here, means_another_thing  # a sound spec needs none of it

    candidates = list(known)
    if name.count(".") == 1 and not any("." in each for each in candidates):
        return _undotted(name, candidates)
    some, letters = _similar(name, candidates), _letters(name)
    alike = [each for each in dict.fromkeys(some) if _letters(each) == letters]
    if len(alike) == 1:
        return Suggestion(f"did you mean `{alike[0]}`?", name, alike[0])
    same = called_here(name, candidates)
    if same is not None:
        return Suggestion(f"write `{same}`, as it is called here", name, same)
    near = [each for each in neighbours(name, some) if not means_another_thing(name, each)]
    near = [each for each in near if _digits(each) == _digits(name)] or near  # another digit is another thing
    meant = near or [match for match in [nearest(name, some)] if match]
    if not meant:
        return None
    shown = " or ".join(f"`{each}`" for each in meant[:_MOST_SHOWN])
    sure = len(near) == 1 and _digits(near[0]) == _digits(name)
    return Suggestion(f"did you mean {shown}?", name, near[0] if sure else None)


def _similar(name: str, known: Iterable[str]) -> list[str]:
    """The known names without those that are evidently neither the name spelt otherwise, nor its neighbours, nor like
    it: so many letters are in one of the two alone. Where hundreds are unknown, each is compared with few this way."""
    used, most = _used(name), max(1, 2 * _most_slips(name), len(name) // 2)  # `_ALIKE` leaves half as many letters over
    return [each for each in known if (used ^ _used(each)).bit_count() <= most]


def _undotted(name: str, known: Sequence[str]) -> Suggestion | None:
    """The remedy for two names with a dot between, such as `nn.conv2d`: the one that is known, or near a known one."""
    found = [proposal(part, known) for part in reversed(name.split("."))]
    sure = [each for each in found if each and each.right]
    return next((Suggestion(str(each), name, each.right) for each in sure), None)


def misspelt(name: str, known: Iterable[str]) -> bool:
    """Whether a slip turns a known name into this one. Another digit is no slip: `enc3` is not `enc2` misspelt."""
    return any(_NO_DIGITS.sub("", each) != _NO_DIGITS.sub("", name) for each in neighbours(name, known))


def meant_by(remedy: str) -> str | None:
    """The known name that a remedy has for an unknown one, where it can be no other."""
    return remedy.right if isinstance(remedy, Suggestion) else None


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))


@lru_cache(maxsize=10_000)
def _letters(name: str) -> str:
    return name.lower().replace("_", "")


def suggestion(name: str, known: Iterable[str], noun: str, place: str = "") -> str:
    """A remedy for an unknown name: what is written for it here, the nearest known one, or the list of all.

    `place` is where it is given: a block, an operator or another function; where it is left out, `noun` says it.
    """
    from mtsldsl.diagnostics.said_otherwise import written_here  # a sound spec needs none of it

    candidates = list(known)
    proposed = written_here(name, place or noun) or proposal(name, candidates)
    if proposed is not None:
        return proposed
    if not candidates:
        return f"there are no {noun} here"
    more = len(candidates) - _MOST_LISTED
    listed = ", ".join(candidates[:_MOST_LISTED])
    return f"the known {noun} are: {listed}" + (f" and {more:,} more" if more > 0 else "")


def neighbours(name: str, known: Iterable[str]) -> list[str]:
    """The known names that one slip turns into `name`, two in a long name and none in a short one: a letter wrong,
    missing, too many, or two letters in the wrong order. Capitals do not count."""
    most = _most_slips(name)
    lower, used, size = name.lower(), _used(name), len(name)
    return [
        each
        for each in dict.fromkeys(known)
        if -most <= len(each) - size <= most
        and (used ^ _used(each)).bit_count() <= 2 * most
        and _slips(lower, each.lower(), most) <= most
    ]


def _most_slips(name: str) -> int:
    return (len(name) >= _SHORT) + (len(name) >= _LONG)


@lru_cache(maxsize=10_000)
def _used(name: str) -> int:
    """Which letters are in a name, a bit for each; a slip changes two at most. Some letters have a bit in common."""
    used = 0
    for letter in name.lower():
        used |= 1 << (ord(letter) & 63)
    return used


def _slips(name: str, other: str, most: int) -> int:
    """The slips between two names (the restricted Damerau-Levenshtein distance), or a number above `most`."""
    if abs(len(name) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(name, start=1):
        two_before, before, row = before, row, [i] + [most + 1] * len(other)
        for j in range(max(1, i - most), min(len(other), i + most) + 1):  # further off are more slips than `most`
            wanted = other[j - 1]
            slips = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and name[i - 2] == wanted:
                slips = min(slips, two_before[j - 2] + 1)
            row[j] = slips
        if min(row) > most and min(before) >= most:  # a swap goes on from the row before
            return most + 1
    return row[-1]
