"""The part of `docs/diagnostics.md` that is made from the registry of codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mtsldsl.diagnostics.examples import FRAME
from mtsldsl.diagnostics.explained import Code, families

NEEDS_FILES = frozenset({"MTL113", "MTL114", "MTL115"})
"""Codes whose examples mean something only in a file, so that the tests of this page cannot read them."""


def frame(_: Mapping[tuple[str, ...], str]) -> str:
    """What the examples are parts of."""
    return _fence("mtl", "\n".join(FRAME.values()))


def codes(_: Mapping[tuple[str, ...], str]) -> str:
    """A section for each family, and in it one for each code."""
    parts = []
    for number, family in enumerate(families()):
        parts.append(f"## MTL{number}: {family.title}")
        for entry in family.codes:
            parts += _section(entry)
    return "\n\n".join(parts)


def _section(entry: Code) -> Iterator[str]:
    yield f"### {entry.code}: {entry.title}"
    yield f"{entry.why} {f'Reported {entry.occurs}.' if entry.occurs else ''}".strip()
    if entry.console:
        yield _fence("text", "\n".join(filter(None, (entry.example, entry.console))))
    elif entry.code in NEEDS_FILES:
        yield _fence("text", entry.example)
    elif entry.example:
        yield _fence("mtl" if entry.code.startswith("MTL9") else f"mtl error {entry.code}", entry.example)
    yield f"{entry.remedy}{' So:' if entry.instead else ''}"
    if entry.instead:
        yield _fence("mtl", entry.instead)


def _fence(info: str, text: str) -> str:
    return f"```{info}\n{text}```"
