"""Reading specifications from files and texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mtsldsl.diagnostics import Diagnostic, Source
from mtsldsl.ir.build import build
from mtsldsl.ir.imports import Reader, read_imports
from mtsldsl.ir.library import Library
from mtsldsl.ir.model import Spec
from mtsldsl.syntax import read, tree
from mtsldsl.syntax.edit import apply_edits
from mtsldsl.syntax.files import read_source

if TYPE_CHECKING:
    from mtsldsl.editing.overrides import Setting


def load(path: str | Path, overrides: Mapping[str, Setting] = {}) -> Spec:
    """The specification in a file, with settings such as `{"train.epochs": 2, "width": "32"}` put into its text.

    Raises MtlError with every problem of the file and of those that it imports.
    """
    return loads_source(read_source(path), overrides)


def loads(
    text: str, name: str = "<string>", overrides: Mapping[str, Setting] = {}, path: str | Path | None = None
) -> Spec:
    """The specification in a text; `name` is what diagnostics call it. Raises MtlError with every problem.

    `path` is where the text would lie as a file, for its imports are relative to that folder. Without it a text cannot
    import.
    """
    return loads_source(Source(name, text, path=None if path is None else str(path)), overrides)


def loads_source(source: Source, overrides: Mapping[str, Setting] = {}, reader: Reader = read_source) -> Spec:
    """The specification in a source, with `reader` to get the texts of imported files by their absolute paths.

    Raises MtlError with every problem.
    """
    file, mistakes, library = read_with_imports(source, overrides, reader)
    if not overrides:
        return build(file, mistakes, library)
    from mtsldsl.editing.overrides import telling_of_settings

    with telling_of_settings((file, *library.files), overrides):
        return build(file, mistakes, library)


def read_with_imports(
    source: Source, overrides: Mapping[str, Setting] = {}, reader: Reader = read_source
) -> tuple[tree.File, tuple[Diagnostic, ...], Library]:
    """The tree of a text with the settings in it, the mistakes of its writing, and what it imports."""
    file, mistakes = read(source)
    library = read_imports(file, reader)
    if overrides:
        from mtsldsl.editing.late_phases import late_phases
        from mtsldsl.editing.overrides import library_overridden, overridden

        before, earlier = file, library
        file, mistakes = read(overridden(source, overrides, library))
        library = library_overridden(library, overrides)
        late = late_phases(before, file, earlier, library)
        if late is not None:
            file, mistakes = read(attrs.evolve(file.source, text=apply_edits(file.source.text, late.edits)))
    return file, mistakes, library


def dumps(spec: Spec) -> str:
    """The text of a specification: `loads(dumps(spec)) == spec`, comments and layout as they were.

    It is the text of its own file. What it imports, and what was set in an imported file, is not in it:
    `mtsldsl.editing.bundle.self_contained` gives a text that needs no other.
    """
    return spec.source.text
