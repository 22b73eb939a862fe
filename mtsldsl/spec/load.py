"""Reading specifications from files and texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mtsldsl.diagnostics import Source
from mtsldsl.spec.build import build
from mtsldsl.spec.model import Spec
from mtsldsl.spec.overrides import Setting, overridden
from mtsldsl.syntax import parse
from mtsldsl.syntax.files import read_source


def load(path: str | Path, overrides: Mapping[str, Setting] = {}) -> Spec:
    """The specification in a file, with settings such as `{"train.epochs": 2, "width": "32"}` put into its text.

    Raises MtlError with every problem of the file.
    """
    return loads_source(read_source(path), overrides)


def loads(text: str, name: str = "<string>", overrides: Mapping[str, Setting] = {}) -> Spec:
    """The specification in a text; `name` is what diagnostics call it. Raises MtlError with every problem."""
    return loads_source(Source(name, text), overrides)


def loads_source(source: Source, overrides: Mapping[str, Setting] = {}) -> Spec:
    """The specification in a source. Raises MtlError with every problem."""
    return build(parse(overridden(source, overrides)))


def dumps(spec: Spec) -> str:
    """The text of a specification: `loads(dumps(spec)) == spec`, comments and layout as they were."""
    return spec.source.text
