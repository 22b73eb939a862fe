"""Static baselines of a spec: the same tasks, network and training with a structure that does not evolve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing.load import load, loads_source
from mtsldsl.editing.overrides import overridden
from mtsldsl.ir.library import sections_of
from mtsldsl.ir.model import Spec
from mtsldsl.methods.registry import method
from mtsldsl.sharing import SharingError
from mtsldsl.syntax import parse, read_source
from mtsldsl.syntax.edit import apply_edits, remove_item
from mtsldsl.syntax.tree import Entry, Section


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


def budgeted(source: Source, part: float) -> Source:
    """The text with the budget of its `structure` block set to this part of the parameters of single-task networks,
    and without what may not stand beside it. Raises ValueError where its method has no such budget."""
    file = parse(source)
    section = next(sections_of(file, "structure"), None)
    chosen = method(section.labels[0].text) if section else None
    if section is None or chosen is None or chosen.budget is None:
        raise ValueError("there is no `structure` with a budget")
    idle = [each for each in section.items if isinstance(each, Entry) and each.key.text in chosen.beside_budget]
    edits = [remove_item(file, item) for item in idle]
    bare = attrs.evolve(source, text=apply_edits(source.text, edits))
    return overridden(bare, {f"structure.{chosen.budget}": chosen.budgeted(part)})


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
