"""What the warnings are drawn from: a specification with the tree of its text, and where things stand in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import attrs

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import Diagnostic, Severity, Span
from mtsldsl.ir.model import Data, Spec
from mtsldsl.records import Record
from mtsldsl.syntax import parse, tree


@attrs.frozen(eq=False, repr=False)
class Reading(Record):
    """A sound specification and the tree of its own text."""

    spec: Spec
    file: tree.File

    @classmethod
    def of(cls, spec: Spec) -> Reading:
        """The specification with its text parsed."""
        return cls(spec, parse(spec.source))

    def sections(self, kind: str) -> Iterator[tree.Section]:
        """The blocks of a kind in the text."""
        for statement in self.file.statements:
            if isinstance(statement, tree.Section) and statement.kind.text == kind:
                yield statement

    def place_of_data(self, data: Data, key: str) -> Span:
        """The same of a data block."""
        return self.place("data", key, data.name if self.spec.more_data else None)

    def place(self, kind: str, key: str, label: str | None = None) -> Span:
        """Where the value of a key stands; where the key is not given the block's kind, and else the text's start."""
        found = Span(self.file.source, 0, 0)
        for section in self.sections(kind):
            labels = section.labels[-1:] if kind == "data" else section.labels
            if label is None or label in (each.text for each in labels):
                found = section.kind.span
                for item in section.items:
                    if isinstance(item, tree.Entry) and item.key.text == key:
                        return item.value.span
        return found

    @property
    def training_images(self) -> int | None:
        """The images that are trained on, of all data blocks, None where that takes a look at the data."""
        found = [data_kind(data.kind).training_samples(data.options) for data in self.spec.blocks]
        return None if None in found else sum(filter(None, found))

    def item(self, kind: str, key: str, index: int) -> Span:
        """Where one item of a key's list stands; the whole value where that is not written as a list."""
        whole = self.place(kind, key)
        for section in self.sections(kind):
            for entry in section.items:
                if isinstance(entry, tree.Entry) and entry.key.text == key and isinstance(entry.value, tree.List):
                    return entry.value.items[index].span
        return whole


Check: TypeAlias = Callable[[Reading], Iterator[Diagnostic]]
"""Draws warnings from a specification."""


def warn(code: str, cause: str, remedy: str, span: Span | None) -> Diagnostic:
    """A warning."""
    return Diagnostic(code, cause, remedy, span, Severity.WARNING)
