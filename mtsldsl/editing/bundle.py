"""A specification whose text needs no other file: what a run keeps, so that it stays what it was."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from mtsldsl.ir.build import build
from mtsldsl.ir.library import Library, imports_of
from mtsldsl.ir.model import Spec
from mtsldsl.syntax import TextEdit, apply_edits, parse, tree
from mtsldsl.syntax.edit import line_ending


def self_contained(spec: Spec) -> Spec:
    """The same specification with all that it imports written into its text; itself where it imports nothing.

    Each import becomes a comment, and what the imported files define stands below the first of them. Comments of the
    imported files are left out, unless they stand inside a definition.
    """
    library = spec.library
    file = parse(spec.source)
    imports = list(imports_of(file))
    if library is None or not imports:
        return spec
    text, ending = spec.source.text, line_ending(spec.source.text)
    edits = [TextEdit(each.span.start, each.span.start, "# ") for each in imports]
    newline = text.find("\n", imports[0].span.end)
    place = len(text) if newline < 0 else newline - (text[newline - 1] == "\r")
    parts = [ending.join(part.replace("\r\n", "\n").split("\n")) for part in _parts(file, library)]
    edits.append(TextEdit(place, place, "".join(ending * 2 + part for part in parts) if parts else ""))
    source = attrs.evolve(spec.source, text=apply_edits(text, edits))
    return build(parse(source), library=Library())


def _parts(file: tree.File, library: Library) -> Iterator[str]:
    """The texts of all definitions, each once, and of the imported backbone."""
    own = {_name(statement) for statement in file.statements if isinstance(statement, tree.Definition)}
    for definition in library.definitions():
        if _name(definition) not in own:
            own.add(_name(definition))
            yield definition.span.text
    if library.backbone is not None:
        yield library.backbone.span.text


def _name(definition: tree.Definition) -> str:
    return definition.name.text
