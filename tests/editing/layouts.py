"""The small network in whatever layout a person may choose: comments, blank lines and odd gaps wherever they may stand."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from hypothesis import strategies as st

from mtsldsl.diagnostics import Source
from mtsldsl.sharing import Cover, Sharing, format_components
from mtsldsl.syntax import parse, tree
from tests.ir.specs import BODY, LAYERS, TASKS
from tests.syntax.trees import FREE, LINE, PIECES, SPACE, draft

_PLAIN = {FREE: "", SPACE: " ", LINE: "\n  "}
_IGNORING = st.sampled_from(["# mtl: ignore MTL942\n", "# mtl: ignore MTL942 it is meant\r\n"])
_IN_BLOCKS = {**PIECES, FREE: st.one_of(PIECES[FREE], PIECES[FREE], PIECES[FREE], _IGNORING)}


@st.composite
def _sharing(draw: st.DrawFn, sharing: Sharing) -> str:
    """A block that says the sharing: ranges, `all` and `each` where they fit, lines left out, in any order."""
    lines: list[str] = []
    layers, position = sharing.backbone.layers, 0
    while position < len(layers):
        layer, length = layers[position], 1
        while position + length < len(layers) and sharing[layers[position + length]] == sharing[layer]:
            length += 1
        length = draw(st.integers(1, length))
        if form := draw(st.sampled_from(_forms(sharing, layer))):
            last = layers[position + length - 1]
            key = layer if length == 1 and draw(st.booleans()) else f"{layer}..{last}"
            lines.append(f"{key} = {form}")
        position += length
    if draw(st.booleans()):
        lines = draw(st.permutations(lines))
    return "\n".join(["sharing {", *lines, "}"])


def _forms(sharing: Sharing, layer: str) -> list[str]:
    """What a line of the layer may say; nothing where it may be left out."""
    row, forms = sharing[layer], [format_components(sharing, layer)]
    if alternatives := sharing.backbone.alternatives(layer):
        assert isinstance(row, Cover)
        everything = len(row.pairs) == len(sharing.tasks) * len(alternatives)
        return [*forms, *(["all", "", ""] if everything else [])]
    forms += ["all"] if len(row) == 1 else []
    forms += ["each", "", ""] if len(row) == len(sharing.tasks) else []
    return forms


MERGES = tuple(f"merge(epoch=1, layer={layer}, tasks=depth + edge, similarity=0.5)" for layer in LAYERS)


@st.composite
def _statements(draw: st.DrawFn, sharing: Sharing, body: str, history: Sequence[str]) -> list[tree.Statement]:
    """Those of the spec in any order, but for the header and that of the tasks."""
    blocks = [body]
    if sharing != Sharing.each(sharing.backbone, TASKS) or draw(st.booleans()):
        blocks.append(draw(_sharing(sharing)))
    if draw(st.booleans()):
        lines = draw(st.lists(st.sampled_from(history), max_size=2))
        blocks.append("\n".join(["history {", *lines, "}"]))
    header, *others = parse(Source("t.mtl", "\n".join(blocks))).statements
    tasks = iter([each for each in others if _is_a(each, "task")])
    return [header, *(next(tasks) if _is_a(each, "task") else each for each in draw(st.permutations(others)))]


def _is_a(statement: tree.Statement, *kinds: str) -> bool:
    return isinstance(statement, tree.Section) and statement.kind.text in kinds


@st.composite
def _filled(draw: st.DrawFn, statement: tree.Statement) -> str:
    """The text of a statement: odd at every place of `sharing` and `history`, at a few of the others."""
    parts = re.split(f"([{FREE}{SPACE}{LINE}])", draft(statement))
    if _is_a(statement, "sharing", "history"):
        return "".join(draw(_IN_BLOCKS[each]) if each in _IN_BLOCKS else each for each in parts)
    odd = draw(st.sets(st.integers(0, len(parts) // 2), max_size=2))
    return "".join(
        draw(PIECES[each]) if each in PIECES and index // 2 in odd else _PLAIN.get(each, each)
        for index, each in enumerate(parts)
    )


@st.composite
def laid_out(draw: st.DrawFn, sharing: Sharing, body: str = BODY, history: Sequence[str] = MERGES) -> bytes:
    """A file that says the sharing, with any line endings, with or without a byte order mark and a last line end. It may
    have some of the lines of `history`."""
    statements = [draw(_filled(each)) for each in draw(_statements(sharing, body, history))]
    between = [draw(PIECES[LINE]) for _ in statements[1:]]
    parts = [draw(PIECES[FREE]), statements[0]]
    for one, statement in zip(between, statements[1:], strict=True):
        parts += [one, statement]
    text = "".join([*parts, draw(PIECES[FREE]), draw(st.sampled_from(["", "", "\n\n\n", "\n \t"]))])
    ending = draw(st.sampled_from(["\n", "\r\n", None]))
    text = text if ending is None else text.replace("\r\n", "\n").replace("\n", ending)
    return draw(st.sampled_from([b"", codecs.BOM_UTF8])) + text.encode()
