"""The nearest known name, for `did you mean`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None where none is alike."""
    candidates = sorted(known)
    folded = {candidate.lower(): candidate for candidate in reversed(candidates)}
    if name.lower() in folded:
        return folded[name.lower()]
    matches = get_close_matches(name, candidates, n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggestion(name: str, known: Iterable[str], noun: str) -> str:
    """A remedy for an unknown name: the nearest known one, or the list of all."""
    candidates = list(known)
    match = nearest(name, candidates)
    if match:
        return f"did you mean `{match}`?"
    return f"the known {noun} are: {', '.join(candidates)}" if candidates else f"there are no {noun} here"
