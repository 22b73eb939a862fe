"""What lies ahead in a text's tokens: what closes a bracket, and the next token of some kind; found in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mtsldsl.syntax.layout import CLOSING, OPENING


def matched(kinds: list[str]) -> dict[int, int]:
    """For each opening bracket or brace that is closed, the index of what closes it. A brace ends its brackets."""
    pairs = {**OPENING, "LBRACE": "RBRACE"}
    closing: dict[int, int] = {}
    braces: list[int] = []
    brackets: list[int] = []
    for index, kind in enumerate(kinds):
        if kind == "LBRACE":
            braces.append(index)
            brackets = []
        elif kind == "RBRACE":
            brackets = []
            if braces:
                closing[braces.pop()] = index
        elif kind in pairs:
            brackets.append(index)
        elif kind in CLOSING:
            while brackets and kinds[brackets[-1]] != CLOSING[kind]:
                brackets.pop()
            if brackets:
                closing[brackets.pop()] = index
    return closing


def firsts(kinds: Sequence[str], wanted: Callable[[str], bool]) -> list[int]:
    """For each index, and that behind the last, the first from there on of a wanted kind; the number of all if none."""
    found = [len(kinds)] * (len(kinds) + 1)
    for index in reversed(range(len(kinds))):
        found[index] = index if wanted(kinds[index]) else found[index + 1]
    return found
