"""Static baselines of a spec: the same tasks, network and training with a structure that does not evolve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing.load import load, loads_source
from mtsldsl.ir.model import Spec
from mtsldsl.sharing import SharingError
from mtsldsl.syntax import parse, read_source
from mtsldsl.syntax.tree import Section


def load_static(path: Path, overrides: Mapping[str, str]) -> Spec:
    """The spec of a file with its `structure` block relabelled `none`: the keys stay, and have no effect."""
    return loads_source(static(read_source(path)), overrides)


def static(source: Source) -> Source:
    """The text with its `structure` block relabelled so."""
    text = source.text
    for statement in parse(source).statements:
        if isinstance(statement, Section) and statement.kind.text == "structure" and statement.labels:
            label = statement.labels[0].span
            text = text[: label.start] + "none" + text[label.end :]
    return attrs.evolve(source, text=text)


def with_sharing_of(spec: Spec, choice: str) -> Spec:
    """`spec` with every task alone (`each`), everything shared (`all`), or the sharing of another spec file or run
    folder, which must have the same tasks and layers. Raises MtlError MTL407 where it does not fit."""
    if choice == "each":
        return spec.with_sharing(spec.sharing.apart())
    if choice == "all":
        return spec.with_sharing(spec.sharing.united())
    path = Path(choice)
    other = load(path / "spec.mtl" if path.is_dir() else path).sharing
    try:
        return spec.with_sharing(spec.sharing.given(other.components))
    except SharingError as problem:
        raise MtlError.of(
            "MTL407",
            f"the sharing of {choice} does not fit {spec.source.name}: {problem}",
            "name a spec with the same tasks and layers, or `each`, or `all`",
        ) from problem
