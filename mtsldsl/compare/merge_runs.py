"""What two runs of one spec differ in because they are two: their seed, and where each found its data.

It says nothing of what either learned. So where both sides changed it the merged spec is as the base was, and no
conflict stands in the way of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from mtsldsl.compare.outline import Piece, outline
from mtsldsl.diagnostics import Source
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import apply_edits, remove_item, replace_value

OF_A_RUN = ("train.seed", "data.root")
"""Settings that say how a run was made and not what is trained. The seed of `data` is none of them: it says which
samples are for the test, and who merges runs of two such splits has seen the test samples of each."""


def as_before(base: Source, ours: Source, theirs: Source) -> tuple[Source, Source, tuple[str, ...]]:
    """Both sides with the settings of a run, where each changed them in its own way, as the base has them; and a note
    on each."""
    old, mine, other = (outline(source).everything() for source in (base, ours, theirs))
    keys = [key for key in OF_A_RUN if _changed_apart(old.get(key), mine.get(key), other.get(key))]
    notes = tuple(
        f"{key} is {_shown(old.get(key))}, as before: {_shown(mine.get(key))} in ours and {_shown(other.get(key))} in "
        f"theirs say how each run was made"
        for key in keys
    )
    for key in keys:
        ours, theirs = (_with(source, key, old) for source in (ours, theirs))
    return ours, theirs, notes


def _changed_apart(old: Piece | None, mine: Piece | None, other: Piece | None) -> bool:
    nodes = [piece and piece.node for piece in (old, mine, other)]
    return all(one != another for one, another in ((nodes[0], nodes[1]), (nodes[0], nodes[2]), (nodes[1], nodes[2])))


def _shown(piece: Piece | None) -> str:
    node = piece.node if piece else None
    return f"`{node.value.span.text}`" if isinstance(node, tree.Entry) else "left out"


def _with(source: Source, key: str, old: Mapping[str, Piece]) -> Source:
    """The text with the key as the base has it; a side that took it away stays without it."""
    outlined = outline(source)
    piece = outlined.everything().get(key)
    if piece is None or not isinstance(piece.node, tree.Entry):
        return source
    before = old[key].node if key in old else None
    if isinstance(before, tree.Entry):
        edit = replace_value(piece.node, before.value.span.text)
    else:
        edit = remove_item(outlined.file, piece.node)
    return attrs.evolve(source, text=apply_edits(source.text, [edit]))
