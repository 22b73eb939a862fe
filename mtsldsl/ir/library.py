"""What the imports of a text bring into it: the files, read, and the backbone where the text has none of its own."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from mtsldsl.diagnostics import Diagnostic
from mtsldsl.records import Record
from mtsldsl.syntax import tree

SUFFIX = ".mtl"
"""What the name of an imported file ends with."""


@attrs.frozen(eq=False, repr=False)
class Library(Record):
    """The files that a text imports, directly or by way of others, each once and after those that it imports itself.

    `whole` is false where something could not be read, so that names may be missing; `mistakes` say what and why.
    """

    files: tuple[tree.File, ...] = ()
    backbone: tree.Section | None = None
    mistakes: tuple[Diagnostic, ...] = ()
    whole: bool = True

    def definitions(self) -> Iterator[tree.Definition]:
        """All constants and macros."""
        for file in self.files:
            for statement in file.statements:
                if isinstance(statement, tree.Definition):
                    yield statement

    def own_names(self, source: str) -> frozenset[str]:
        """The layers and the inputs that an imported file has itself, to which its macros may refer."""
        names: set[str] = set()
        for file in self.files:
            if file.source.name == source:
                for statement in file.statements:
                    names.update(_names(statement))
        return frozenset(names)


def imports_of(file: tree.File) -> Iterator[tree.Import]:
    """The imports of a text, in order."""
    for statement in file.statements:
        if isinstance(statement, tree.Import):
            yield statement


def sections_of(file: tree.File, kind: str) -> Iterator[tree.Section]:
    """The blocks of a kind, in order."""
    for statement in file.statements:
        if isinstance(statement, tree.Section) and statement.kind.text == kind:
            yield statement


def _names(statement: tree.Statement) -> Iterator[str]:
    if not isinstance(statement, tree.Section) or statement.kind.text not in ("backbone", "data"):
        return
    for item in statement.items:
        if isinstance(item, tree.Entry):
            if statement.kind.text == "backbone":
                yield item.key.text
            elif item.key.text == "input":
                given = item.value.items if isinstance(item.value, tree.List) else (item.value,)
                yield from (call.function.text for call in given if isinstance(call, tree.Call))
    if statement.kind.text == "data":
        yield "image"
