"""Texts of specs, and what is asked of their merges."""

from __future__ import annotations

import re

import attrs

from mtsldsl.compare.merge import Merged, merge_specs
from mtsldsl.diagnostics import Source
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.syntax import parse
from tests.ir.specs import text

BASE = text(
    """\
sharing {
  stem = segment, depth, edge, normal
  enc1 = segment, depth, edge, normal
}
"""
)


def merge(base: str, ours: str, theirs: str) -> Merged:
    """The merge of three texts."""
    return merge_specs(Source("base", base), Source("ours", ours), Source("theirs", theirs))


def taken(merged: Merged, side: int) -> Spec:
    """The spec that has one side at every conflict: 1 for ours, 2 for theirs."""
    marks = r"<<<<<<< ours\n(.*?)=======\n(.*?)>>>>>>> theirs\n"
    return loads(re.sub(marks, lambda found: found[side], merged.source.text, flags=re.S))


def meaning(spec: Spec) -> Spec:
    """The spec with the history in an order that does not depend on the side."""
    return attrs.evolve(spec, history=tuple(sorted(spec.history, key=repr)))


def comments(spec_text: str) -> list[str]:
    """The comments of a text."""
    return [comment.text for comment in parse(Source("text", spec_text)).comments]


def edited(base: str, *changes: tuple[str, str]) -> str:
    """The text with these replacements."""
    for old, new in changes:
        assert old in base
        base = base.replace(old, new, 1)
    return base


def block(merged: Merged, kind: str) -> str:
    """A block of the merged text."""
    found = merged.source.text[merged.source.text.index(f"\n{kind} {{") + 1 :]
    return found[: found.index("\n}\n") + 3]
