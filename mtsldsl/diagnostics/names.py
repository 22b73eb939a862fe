"""The nearest known name, for `did you mean`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHORT, _LONG = 3, 8
"""Letters from which a name may differ from the one that was meant in one place, and in two."""

_MOST_SHOWN = 3
"""Names that are proposed at once."""


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
    candidates = sorted(known)
    folded = {candidate.lower(): candidate for candidate in reversed(candidates)}
    if name.lower() in folded:
        return folded[name.lower()]
    matches = get_close_matches(name, candidates, n=1, cutoff=0.6)
    return matches[0] if matches else None


def proposal(name: str, known: Iterable[str]) -> Suggestion | None:
    """The remedy that proposes the known name for the same thing or the nearest ones, None where none is alike."""
    from mtsldsl.diagnostics.elsewhere import called_here  # a sound spec needs none of it

    candidates = list(known)
    alike = [each for each in dict.fromkeys(candidates) if _letters(each) == _letters(name)]
    if len(alike) == 1:
        return Suggestion(f"did you mean `{alike[0]}`?", name, alike[0])
    same = called_here(name, candidates)
    if same is not None:
        return Suggestion(f"write `{same}`, as it is called here", name, same)
    near = neighbours(name, candidates)
    meant = near or [match for match in [nearest(name, candidates)] if match]
    if not meant:
        return None
    shown = " or ".join(f"`{each}`" for each in meant[:_MOST_SHOWN])
    return Suggestion(f"did you mean {shown}?", name, near[0] if len(near) == 1 else None)


def _letters(name: str) -> str:
    return name.lower().replace("_", "")


def suggestion(name: str, known: Iterable[str], noun: str) -> str:
    """A remedy for an unknown name: the nearest known one, or the list of all."""
    candidates = list(known)
    proposed = proposal(name, candidates)
    if proposed is not None:
        return proposed
    return f"the known {noun} are: {', '.join(candidates)}" if candidates else f"there are no {noun} here"


def neighbours(name: str, known: Iterable[str]) -> list[str]:
    """The known names that one slip turns into `name`, two in a long name and none in a short one: a letter wrong,
    missing, too many, or two letters in the wrong order. Capitals do not count."""
    most = (len(name) >= _SHORT) + (len(name) >= _LONG)
    return [each for each in dict.fromkeys(known) if _slips(name.lower(), each.lower(), most) <= most]


def _slips(name: str, other: str, most: int) -> int:
    """The slips between two names (the restricted Damerau-Levenshtein distance), or a number above `most`."""
    if abs(len(name) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(name, start=1):
        two_before, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            slips = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and name[i - 2] == wanted:
                slips = min(slips, two_before[j - 2] + 1)
            row.append(slips)
    return row[-1]
