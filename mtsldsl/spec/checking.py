"""Everything that can be said of a text without running it: its problems or, where it is sound, what is doubtful."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from mtsldsl.diagnostics import Diagnostic, MtlError, Severity, Source
from mtsldsl.spec.load import loads_source
from mtsldsl.spec.model import Spec

if TYPE_CHECKING:
    from mtsldsl.spec.overrides import Setting


@attrs.frozen
class Report:
    """The specification, None where there are errors, and every diagnostic in order of place.

    `ignored` are those that a comment on their line keeps out of `diagnostics`; errors among them leave no
    specification all the same.
    """

    source: Source
    spec: Spec | None
    diagnostics: tuple[Diagnostic, ...]
    ignored: tuple[Diagnostic, ...] = ()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that are no warnings."""
        return tuple(found for found in self.diagnostics if found.severity is Severity.ERROR)


def check(source: Source, overrides: Mapping[str, Setting] = {}, *, pedantic: bool = False) -> Report:
    """The report on a text; `pedantic` adds warnings, which take a sound text."""
    try:
        spec = loads_source(source, overrides)
    except MtlError as error:
        from mtsldsl.spec.ignoring import sift

        return Report(source, None, *sift(error.diagnostics))
    if not pedantic:
        return Report(source, spec, ())
    from mtsldsl.spec.ignoring import in_vain, sift
    from mtsldsl.spec.pedantic import in_order, warnings

    kept, ignored = sift(warnings(spec))
    return Report(source, spec, in_order((*kept, *in_vain(source, ignored)), source), ignored)
