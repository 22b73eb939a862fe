"""Following `import "blocks.mtl"`: which file it names, and what that file brings.

A path is relative to the file that imports, links resolved, and never leads out of the project: the folder of the
nearest `pyproject.toml` or `.git` above the first file, or that file's own folder where there is none. A path that
begins with `mtsldsl/` names a file of the library that comes with the program, wherever the importing file lies; a
folder of one's own that is called so is `./mtsldsl/`. A file brings its constants and macros, those that it imports
itself, and its backbone to a file that has none. All else in it is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError, Source, Span, nearest, suggestion
from mtsldsl.diagnostics.names import neighbours
from mtsldsl.ir.header import check_header
from mtsldsl.ir.library import SUFFIX, Library, imports_of, sections_of
from mtsldsl.ir.problems import Problems, line_of
from mtsldsl.language.schema import BLOCKS
from mtsldsl.syntax import read, tree
from mtsldsl.syntax.files import read_source

MOST_FILES = 100
"""Files that one text may import, those that they import included."""

ROOT_MARKS = ("pyproject.toml", ".git")
"""What the folder of a project holds."""

SHIPPED = "mtsldsl/"
"""What the path of an import begins with that names a file of the library."""

Reader: TypeAlias = Callable[[Path], Source]
"""Gives the text of the file at an absolute path; raises MtlError where there is none."""


def shipped_folder() -> Path:
    """Where the library is: in the installed package, or in the checkout that this module lies in."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "library"
    return installed if installed.is_dir() else package.parent / "specs" / "library"


def read_imports(file: tree.File, reader: Reader = read_source) -> Library:
    """All that the imports of a text bring, with the mistakes of the imports and of the imported files."""
    if not any(imports_of(file)):
        return Library()
    problems = Problems()
    placed = [statement for statement in imports_of(file) if not _names_shipped(statement)]
    if file.source.path is None and placed:
        for statement in placed:
            problems.add(
                "MTL113",
                f"{file.source.name} lies in no folder, so `{statement.path.value}` cannot be found from it",
                "save the text in a file, or say where it would lie: `loads(text, path=...)`",
                statement.span,
            )
        return Library(mistakes=tuple(problems.found.values()), whole=False)
    return _Following(problems, reader, file).library()


@attrs.frozen(eq=False, repr=False)
class _Node:
    """A file, where it is, and the files that it imports, each with the statement that says so.

    `shipped` is whether it was imported as one of the library.
    """

    file: tree.File
    path: Path
    shipped: bool = False
    imports: list[tuple[tree.Import, _Node]] = attrs.field(factory=list)


class _Following:
    """Follows the imports of one text."""

    def __init__(self, problems: Problems, reader: Reader, file: tree.File) -> None:
        self.problems = problems
        self.reader = reader
        path = Path(file.source.path or "").resolve()
        self.root = project_root(path.parent)
        self.top = _Node(file, path)
        self.known = {path: self.top}
        self.files: list[tree.File] = []
        self.backbones: dict[_Node, tree.Section | None] = {}
        self.whole = True

    def library(self) -> Library:
        self.follow(self.top, [self.top])
        backbone = None if any(sections_of(self.top.file, "backbone")) else self.backbone(self.top)
        return Library(tuple(self.files), backbone, tuple(self.problems.found.values()), self.whole)

    def follow(self, node: _Node, chain: list[_Node]) -> None:
        """Read all that a file imports; `chain` are the files that lead to it, itself the last."""
        named: dict[Path, tree.Import] = {}
        for statement in imports_of(node.file):
            path = self.target(statement, node)
            if path is None:
                self.whole = False
            elif path in named:
                first = line_of(named[path].span, statement.span)
                self.problems.add(
                    "MTL108",
                    f"`{statement.path.value}` is imported twice: first on {first}",
                    "leave one of them out",
                    statement.span,
                )
            else:
                named[path] = statement
                self.take(statement, path, node, chain)

    def take(self, statement: tree.Import, path: Path, node: _Node, chain: list[_Node]) -> None:
        """Take in one file, unless it is known already or leads back to the one that imports it."""
        known = self.known.get(path)
        if known is not None and known in chain:
            circle = " -> ".join(each.file.source.name for each in (*chain[chain.index(known) :], known))
            if known is node:
                cause, remedy = f"{known.file.source.name} imports itself", "leave it out"
            else:
                cause = f"files that import each other: {circle}"
                remedy = "leave out one of these imports; what both need may lie in a third file"
            self.problems.add("MTL115", cause, remedy, statement.span)
            self.whole = False
            return
        if known is None:
            known = self.read(statement, path, node)
            if known is None:
                self.whole = False
                return
            self.known[path] = known
            self.follow(known, [*chain, known])
            self.files.append(known.file)
        node.imports.append((statement, known))

    def read(self, statement: tree.Import, path: Path, node: _Node) -> _Node | None:
        """The file at a path; None where it cannot be read."""
        if len(self.known) > MOST_FILES:
            self.problems.add(
                "MTL111",
                f"more than {MOST_FILES} files are imported, one by way of the other",
                "bring files together",
                statement.span,
            )
            return None
        shipped = node.shipped or _names_shipped(statement)
        shown = statement.path.value if _names_shipped(statement) else _shown(statement, path, node)
        try:
            source = read_source(path) if shipped else self.reader(path)
        except MtlError as error:
            for found in error.diagnostics:
                cause, remedy = found.cause.replace(str(path), shown), _similar(path, node.path) or found.remedy
                code = "MTL113" if found.span is None else found.code
                self.problems.add(code, cause, remedy, _renamed(found.span, shown) or statement.path.span)
            return None
        source = attrs.evolve(source, name=shown, path=str(path))
        file, mistakes = read(source)
        self.problems.take(mistakes)
        self.whole &= file.whole
        self.check(file)
        return _Node(file, path, shipped)

    def check(self, file: tree.File) -> None:
        """Report what is wrong with an imported file as a whole: its first line, and blocks that do not exist."""
        check_header(file, self.problems)
        for statement in file.statements:
            if isinstance(statement, tree.Section) and statement.kind.text not in BLOCKS:
                kind = statement.kind
                remedy = suggestion(kind.text, (*BLOCKS, "let", "block"), "blocks")
                self.problems.add("MTL101", f"there is no block `{kind.text}`", remedy, kind.span)
                self.whole &= nearest(kind.text, BLOCKS) != "backbone"
        for second in list(sections_of(file, "backbone"))[1:]:
            self.problems.add("MTL102", "there is a second block `backbone`", "leave one of them out", second.kind.span)

    def target(self, statement: tree.Import, node: _Node) -> Path | None:
        """The file that an import names, links resolved; None where it names none that may be read."""
        written, span = statement.path.value, statement.path.span
        if "\\" in written or not written.isprintable() or not written.endswith(SUFFIX):
            cause = f"`{written}` is no path of a `{SUFFIX}` file"
            remedy = (
                f'write a path that ends with `{SUFFIX}`, with `/` between folders: `import "library/blocks{SUFFIX}"`'
            )
            self.problems.add("MTL113", cause, remedy, span)
            return None
        if written.startswith("/") or PureWindowsPath(written).anchor:
            cause, remedy = f"`{written}` is an absolute path", "write it relative to the folder of this file"
            self.problems.add("MTL114", cause, remedy, span)
            return None
        if _names_shipped(statement):
            return self.shipped(statement)
        try:
            path = (node.path.parent / written).resolve()
        except (OSError, RuntimeError) as error:  # links that lead to each other
            reason = error.strerror if isinstance(error, OSError) else "links lead in a circle"
            self.problems.add("MTL113", f"`{written}` cannot be found: {reason}", "check the path", span)
            return None
        if not path.is_relative_to(shipped_folder() if node.shipped else self.root):
            marks = " or ".join(f"`{mark}`" for mark in ROOT_MARKS)
            self.problems.add(
                "MTL114",
                f"`{written}` leads out of the project",
                f"copy the file into the project, whose folder is the nearest with {marks}, or else that of the spec",
                span,
            )
            return None
        return path

    def shipped(self, statement: tree.Import) -> Path | None:
        """The file of the library; None where it has none of that name."""
        name = statement.path.value.removeprefix(SHIPPED)
        known = sorted(each.name for each in shipped_folder().glob(f"*{SUFFIX}"))
        if name in known:
            return shipped_folder() / name
        near = nearest(name, known)
        remedy = f"did you mean `{SHIPPED}{near}`?" if near else f"it has {', '.join(known)}"
        cause = f"the library that comes with mtsldsl has no `{name}`"
        self.problems.add("MTL113", cause, f"{remedy} (a folder of your own is `./{SHIPPED}`)", statement.path.span)
        return None

    def backbone(self, node: _Node) -> tree.Section | None:
        """The backbone that a file has or imports; several that differ are reported."""
        if node not in self.backbones:
            own = next(sections_of(node.file, "backbone"), None)
            self.backbones[node] = own or self.imported_backbone(node)
        return self.backbones[node]

    def imported_backbone(self, node: _Node) -> tree.Section | None:
        found: tree.Section | None = None
        for statement, imported in node.imports:
            other = self.backbone(imported)
            if found is None:
                found = other
            elif other is not None and other != found:
                self.problems.add(
                    "MTL102",
                    f"`{statement.path.value}` brings a second block `backbone`, on "
                    f"{line_of(other.span, statement.span)}; the first is on {line_of(found.span, statement.span)}",
                    "write a `backbone` of your own, or leave one of the imports out",
                    statement.span,
                )
        return found


def project_root(folder: Path) -> Path:
    """The nearest folder, this one or above, that holds a project's mark; the folder itself where none does."""
    return next(
        (each for each in (folder, *folder.parents) if any((each / mark).exists() for mark in ROOT_MARKS)), folder
    )


def _names_shipped(statement: tree.Import) -> bool:
    return statement.path.value.startswith(SHIPPED)


def _shown(statement: tree.Import, path: Path, node: _Node) -> str:
    """The name of an imported file as a person knows it: beside the name of the file that imports it."""
    written = statement.path.value
    straight = Path(os.path.normpath(node.path.parent / written)) == path
    return os.path.normpath(Path(node.file.source.name).parent / written) if straight else str(path)


def _similar(path: Path, importing: Path) -> str | None:
    """A remedy for a file that is not there: one in the same folder whose name is this one misspelt."""
    try:
        beside = [] if path.exists() else sorted(each.name for each in path.parent.glob(f"*{SUFFIX}") if each.is_file())
    except OSError:
        return None
    near = neighbours(path.name, (name for name in beside if path.with_name(name) != importing))
    if not near:
        return None
    return f"did you mean `{Path(os.path.relpath(path.with_name(near[0]), importing.parent)).as_posix()}`?"


def _renamed(span: Span | None, name: str) -> Span | None:
    """The span in a source of another name."""
    return span and attrs.evolve(span, source=attrs.evolve(span.source, name=name))
