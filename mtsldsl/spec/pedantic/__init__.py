"""Warnings about a sound specification: what is allowed, and hardly ever what was meant.

They may be wrong about a particular specification; a line that is meant so says `# mtl: ignore MTL911`.
"""

from __future__ import annotations

from mtsldsl.diagnostics import Diagnostic
from mtsldsl.spec.model import Spec
from mtsldsl.spec.pedantic.definitions import DEFINITIONS
from mtsldsl.spec.pedantic.ignoring import without_ignored
from mtsldsl.spec.pedantic.network import NETWORK
from mtsldsl.spec.pedantic.reading import Reading
from mtsldsl.spec.pedantic.sharing import SHARING
from mtsldsl.spec.pedantic.training import TRAINING

__all__ = ["warnings"]


def warnings(spec: Spec) -> tuple[Diagnostic, ...]:
    """Every warning about the specification, each once and in the order of their places, ignored ones left out."""
    reading = Reading.of(spec)
    found = {
        (warning.code, warning.cause, warning.span): warning
        for check in (*DEFINITIONS, *NETWORK, *SHARING, *TRAINING)
        for warning in check(reading)
    }
    kept = without_ignored(tuple(found.values()), reading.file)
    return tuple(sorted(kept, key=lambda warning: (*_source(warning, spec), warning.place, warning.code)))


def _source(warning: Diagnostic, spec: Spec) -> tuple[bool, str]:
    name = warning.span.source.name if warning.span else spec.source.name
    return name != spec.source.name, name
