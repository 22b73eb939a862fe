"""Everything that can be said of a text without running it: its problems or, where it is sound, what is doubtful."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from mtsldsl.diagnostics import Diagnostic, MtlError, Severity, Source
from mtsldsl.editing.load import loads_source, read_with_imports
from mtsldsl.ir.model import Spec
from mtsldsl.records import Record

if TYPE_CHECKING:
    from mtsldsl.editing.overrides import Setting
    from mtsldsl.ir.library_file import Contents


@attrs.frozen(eq=False, repr=False)
class Report(Record):
    """The specification, None where there are errors, and every diagnostic in order of place.

    `ignored` are those that a comment on their line keeps out of `diagnostics`; errors among them leave no
    specification all the same. `library` is what a sound file holds that is no specification, but there to be imported.
    """

    source: Source
    spec: Spec | None
    diagnostics: tuple[Diagnostic, ...]
    ignored: tuple[Diagnostic, ...] = ()
    library: Contents | None = None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that are no warnings."""
        return tuple(found for found in self.diagnostics if found.severity is Severity.ERROR)


def check(source: Source, overrides: Mapping[str, Setting] = {}, *, pedantic: bool = False) -> Report:
    """The report on a text; `pedantic` adds warnings, which take a sound text."""
    try:
        spec = loads_source(source, overrides)
    except MtlError as error:
        return _without_spec(source, overrides, error)
    if not pedantic:
        return Report(source, spec, ())
    from mtsldsl.ir.ignoring import in_vain, sift
    from mtsldsl.ir.pedantic import in_order, warnings

    kept, ignored = sift(warnings(spec))
    return Report(source, spec, in_order((*kept, *in_vain(source, ignored)), source), ignored)


def _without_spec(source: Source, overrides: Mapping[str, Setting], error: MtlError) -> Report:
    """The report on a text that is no specification: it may be one to import, and checked as such."""
    from mtsldsl.ir.ignoring import sift

    contents = None
    if sum(found.code == "MTL103" for found in error.diagnostics) >= 3:  # no data, no task and no training
        from mtsldsl.ir.library_file import check_library, is_library

        try:
            file, mistakes, library = read_with_imports(source, overrides)
            if is_library(file):
                contents = check_library(file, mistakes, library)
                error = MtlError([])
        except MtlError as found:
            error = found
    return Report(source, None, *sift(error.diagnostics), contents)
