"""Warnings about a sound specification: what is allowed, and hardly ever what was meant.

They may be wrong about a particular specification; `check` leaves out those of a line that says `# mtl: ignore MTL911`.
"""

from __future__ import annotations

from collections.abc import Iterable

from mtsldsl.diagnostics import Diagnostic, Source
from mtsldsl.ir.model import Spec
from mtsldsl.ir.pedantic.definitions import DEFINITIONS
from mtsldsl.ir.pedantic.network import NETWORK
from mtsldsl.ir.pedantic.reading import Reading
from mtsldsl.ir.pedantic.sharing import SHARING
from mtsldsl.ir.pedantic.training import TRAINING

__all__ = ["in_order", "warnings"]


def warnings(spec: Spec) -> tuple[Diagnostic, ...]:
    """Every warning about the specification, each once and in the order of their places."""
    reading = Reading.of(spec)
    found = {
        (warning.code, warning.cause, warning.span): warning
        for check in (*DEFINITIONS, *NETWORK, *SHARING, *TRAINING)
        for warning in check(reading)
    }
    return in_order(found.values(), spec.source)


def in_order(found: Iterable[Diagnostic], source: Source) -> tuple[Diagnostic, ...]:
    """Diagnostics of a text and of what it imports: its own first, all in the order of their places."""
    return tuple(sorted(found, key=lambda each: (*_file(each, source), each.place, each.code)))


def _file(found: Diagnostic, source: Source) -> tuple[bool, str]:
    name = found.span.source.name if found.span else source.name
    return name != source.name, name
