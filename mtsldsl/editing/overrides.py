"""Settings from outside, such as `--set train.epochs=2`, put into the text before it is read.

So the text that a run keeps is the text that it ran, and every check sees the setting as if it were written there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import attrs

from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.editing.new_lines import aligned
from mtsldsl.editing.setting_names import known_as, meant
from mtsldsl.editing.sharing_settings import layer_edits, layers_between, layers_of
from mtsldsl.ir.library import Library, sections_of
from mtsldsl.language import kinds
from mtsldsl.language.kinds import Key
from mtsldsl.language.schema import BLOCKS, BlockSchema
from mtsldsl.language.written import quoted, spelled
from mtsldsl.methods.method import NO_METHOD
from mtsldsl.methods.registry import METHODS, method, method_with
from mtsldsl.records import Record
from mtsldsl.syntax import parse, tree
from mtsldsl.syntax.edit import TextEdit, apply_edits, insert_items

Setting: TypeAlias = str | int | float | bool | Sequence["Setting"] | None
"""A value: a string holds it in the language's own words, anything else is written in them, None as `none`."""


@attrs.frozen(eq=False, repr=False)
class Place(Record):
    """Where a setting goes: an existing value, or a new key of a block."""

    value: tree.Value | None
    section: tree.Section | None = None
    key: Key | None = None
    shared_by: tuple[str, ...] = ()
    """Names of the tasks that are written together, where the place is in such a block."""
    layers: tuple[str, ...] = ()
    """Layers of `sharing` or `tuning`, or a task of this, of which no line says just this."""
    block: str = ""
    """Which of these."""


def overridden(source: Source, overrides: Mapping[str, Setting], library: Library | None = None) -> Source:
    """The source with every setting in its text, those left out that are for an imported file alone.

    A key is the name of a `let`, or a path: `train.epochs`, `data.root`, `structure.threshold`, `task.depth.weight`,
    `task.[depth, normal].weight` for tasks that share one block, `backbone.stem`, `sharing.stem`,
    `sharing.stem..enc2`, and so for `tuning`, which has tasks too. A value that is there is replaced; a key that its
    block may have is added at the block's end, and so is the line of a layer in `sharing` or `tuning`. Where the key
    takes a string, quotes may be left out.

    Raises MtlError: MTL112 for each key that names nothing, MTL201 for each value that is none, and what is wrong with
    the text where it cannot be parsed.
    """
    problems: list[Diagnostic] = []
    imported = library_settings(library) if library else frozenset()
    for given, setting in overrides.items():
        path = _tidied(given)
        file = parse(source)
        layers = layers_of(file, library)
        places = dict(_places(file, layers))
        place = places.get(path) or _range_place(path, layers)
        if place is None and path in imported:
            continue
        if place is None:
            known = {each: known_as(each, place.shared_by) for each, place in places.items()}
            known |= {each: each for each in imported}
            problems.append(Diagnostic("MTL112", f"`{path}` names nothing in {source.name}", meant(path, known)))
            continue
        if place.shared_by:
            problems.append(_shared(path, place.shared_by))
            continue
        text = _value_text(path, setting, place)
        if text is None:
            cause = f"`{path}` cannot be set to `{setting}`"
            wanted = kinds.describe(place.key.kind) if place.key else "a value of the language"
            problems.append(Diagnostic("MTL201", cause, f"give {wanted}, in quotes for the shell where it needs them"))
            continue
        source = attrs.evolve(source, text=apply_edits(source.text, _edits(file, place, text, layers)))
    if problems:
        raise MtlError(problems)
    return source


@contextmanager
def telling_of_settings(files: Iterable[tree.File], overrides: Mapping[str, Setting]) -> Iterator[None]:
    """Add to each report about a value of these files that it was set: the file on the disk has another."""
    try:
        yield
    except MtlError as error:
        paths = {_tidied(path) for path in overrides}
        values = {
            (place.value.span.source.name, position): path
            for file in files
            for path, place in _places(file)
            if path in paths and place.value is not None
            for position in range(place.value.span.start, place.value.span.end)
        }
        raise MtlError(_told(found, values) for found in error.diagnostics) from None


def _told(found: Diagnostic, values: Mapping[tuple[str, int], str]) -> Diagnostic:
    path = values.get((found.span.source.name, found.span.start)) if found.span else None
    return found if path is None else attrs.evolve(found, cause=f"{found.cause}; `{path}` was set to it")


def _tidied(path: str) -> str:
    """A path with the names of `task.[a, b]` and `sharing.a..b` spaced as they are here."""
    return re.sub(r"(?<=\[)\s+|\s+(?=\])|\s+(?=\.\.)|(?<=\.\.)\s+", "", re.sub(r"\s*,\s*", ", ", path))


def library_settings(library: Library) -> frozenset[str]:
    """The settings that imported files have: their constants, and the layers of the backbone that they bring."""
    return frozenset(path for file in library.files for path in _settable(file, library))


def _settable(file: tree.File, library: Library) -> set[str]:
    brings_layers = library.backbone is not None and library.backbone.span.source.name == file.source.name
    return {path for path, _ in _places(file) if "." not in path or (brings_layers and path.startswith("backbone."))}


def library_overridden(library: Library, overrides: Mapping[str, Setting]) -> Library:
    """What is imported with the settings in the texts of its files, as they are in memory: no file is written.

    Raises MtlError: MTL201 for each value that is none.
    """
    files = []
    backbone = library.backbone
    for file in library.files:
        own = {path: overrides[path] for path in overrides if path in _settable(file, library)}
        files.append(parse(overridden(file.source, own)) if own else file)
        if backbone is not None and backbone.span.source.name == file.source.name:
            backbone = next(sections_of(files[-1], "backbone"))
    return attrs.evolve(library, files=tuple(files), backbone=backbone)


def _shared(path: str, names: Sequence[str]) -> Diagnostic:
    """The report for a setting of one task among several that are written together."""
    name, key = path.split(".")[1:]
    listed = ", ".join(names)
    return Diagnostic(
        "MTL112",
        f"`{path}` is for one task, and `task [{listed}]` says `{key}` for all of them",
        f"set it for all of them, `task.[{listed}].{key}`, or write `task {name} {{ ... }}` apart",
    )


def _edits(file: tree.File, place: Place, text: str, layers: Sequence[str]) -> list[TextEdit]:
    if place.layers:
        return layer_edits(file, place.block, place.layers, text, layers)
    if place.value is not None:
        return [TextEdit(place.value.span.start, place.value.span.end, text)]
    assert place.section is not None
    assert place.key is not None
    sibling = place.section.items[-1] if place.section.items else None
    return [insert_items(file, place.section, [aligned(place.key.name, text, sibling)])]


def _places(file: tree.File, layers: Sequence[str] = ()) -> Iterator[tuple[str, Place]]:
    """Every path that may be set, the first of equal ones last so that it wins; `layers` are those of the backbone."""
    for block, name in _lines(file, layers):
        yield f"{block}.{name}", Place(None, layers=(name,), block=block)
    blocks = sum(isinstance(each, tree.Section) and each.kind.text == "data" for each in file.statements)
    for statement in reversed(file.statements):
        if isinstance(statement, tree.Definition) and statement.kind.text == "let":
            yield statement.name.text, Place(statement.value)
        elif isinstance(statement, tree.Section):
            yield from _section_places(statement, several=blocks > 1)


def _range_place(path: str, layers: Sequence[str]) -> Place | None:
    """The place of `sharing.first..last`, None where that is no range of layers."""
    block, _, key = path.partition(".")
    covered = layers_between(key, layers) if block in ("sharing", "tuning") else ()
    return Place(None, layers=covered, block=block) if covered else None


def _lines(file: tree.File, layers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What `sharing` and `tuning` may have a line for."""
    tasks = (label.text for section in sections_of(file, "task") for label in section.labels) if layers else ()
    yield from (("sharing", layer) for layer in layers)
    yield from (("tuning", name) for name in (*layers, *tasks))


def _section_places(section: tree.Section, *, several: bool = False) -> Iterator[tuple[str, Place]]:
    """The paths of a block; with `several` data blocks each is told by its name, and be it that of its kind."""
    kind, labels = section.kind.text, [label.text for label in section.labels]
    schema = _schema(section)
    if section.listed and len(labels) > 1:
        for name in labels:
            single = attrs.evolve(section, labels=(tree.Name(name, section.span),), listed=False)
            for path, place in _section_places(single):
                yield path, attrs.evolve(place, shared_by=tuple(labels))
        labels = [f"[{', '.join(labels)}]"]
    own = labels if kind == "task" else []
    if kind == "data":  # it may have a name of its own
        own = labels[-1:] if several else labels[1:]
    prefix = ".".join([kind, *own])
    if schema is not None:
        for key in schema.keys or ():
            yield f"{prefix}.{key.name}", Place(None, section, key)
    for item in reversed(section.items):
        if isinstance(item, tree.Entry):
            name = f"{item.key.text}..{item.last.text}" if item.last else item.key.text
            yield f"{prefix}.{name}", Place(item.value, section, schema.key(name) if schema else None)


def _schema(section: tree.Section) -> BlockSchema | None:
    """The schema of a block; for a block of several kinds, that of its label."""
    labels = [label.text for label in section.labels]
    if section.kind.text == "structure":
        if labels == [NO_METHOD]:
            return method_with(item.key.text for item in section.items if isinstance(item, tree.Entry)).block
        return method(labels[0]).block if len(labels) == 1 and labels[0] in METHODS else None
    if section.kind.text == "data":
        return data_kind(labels[0]).block if len(labels) in (1, 2) and labels[0] in DATASETS else None
    return next(iter(BLOCKS.get(section.kind.text, ())), None)


def _value_text(path: str, setting: Setting, place: Place) -> str | None:
    """The setting in the language's words; None where it is not one value."""
    if place.key is not None:
        setting = _with_quotes(path, setting, place.key.kind)
    text = setting.strip() if isinstance(setting, str) else written(setting)
    return None if _parsed(path, text) is None else text


def _with_quotes(path: str, setting: Setting, kind: kinds.Kind) -> Setting:
    """The setting with the quotes that its strings need, where the kind takes strings."""
    match kind, setting:
        case kinds.Text(), str():
            return setting if isinstance(_parsed(path, setting), tree.String) else quoted(setting)
        case kinds.Maybe(inner), str():
            return setting if setting.strip() == "none" else _with_quotes(path, setting, inner)
        case kinds.Many(kinds.Text()), str():
            found = _parsed(path, setting)
            if isinstance(found, tree.List) and all(isinstance(each, tree.Name | tree.String) for each in found.items):
                return [_with_quotes(path, each.span.text, kinds.Text()) for each in found.items]
        case kinds.Many(kinds.Text() as item), list() | tuple():
            return [_with_quotes(path, each, item) for each in setting]
        case kinds.OneOrMany(kinds.Identifier()), list() | tuple():
            return [spelled(str(each)) for each in setting]
    return setting


def written(setting: Setting) -> str:
    """A Python value in the language's words; a value of no kind that it has as Python shows it."""
    match setting:
        case None:
            return "none"
        case bool():
            return "true" if setting else "false"
        case str():
            return setting
        case list() | tuple():
            return f"[{', '.join(map(written, setting))}]"
    return repr(setting)


def _parsed(path: str, text: str) -> tree.Value | None:
    """The value that the text is, None where it is none, or more than one."""
    try:
        file = parse(Source(f"--set {path}", f"mtl 1\nset {{\nvalue = {text}\n}}\n"))
    except MtlError:
        return None
    match file.statements:
        case (tree.Header(), tree.Section(items=(tree.Entry(value=value),))):
            whole = value.span.text == text.strip() and not file.comments
            return value if whole else None
    return None
