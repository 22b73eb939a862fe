"""Checking a file that is there to be imported: blocks, constants and a backbone, without a use that gives shapes."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from mtsldsl.diagnostics import Diagnostic
from mtsldsl.ir.definitions import read_definitions
from mtsldsl.ir.expand import USUAL_INPUT
from mtsldsl.ir.header import check_header
from mtsldsl.ir.library import Library, imports_of, sections_of
from mtsldsl.ir.network import read_network
from mtsldsl.ir.problems import BROKEN, Problems, Sort
from mtsldsl.records import Record
from mtsldsl.syntax import tree


@attrs.frozen(eq=False, repr=False)
class Contents(Record):
    """How much a file has to import."""

    blocks: int
    constants: int
    layers: int
    imports: int


def is_library(file: tree.File) -> bool:
    """Whether a file holds definitions, imports or a backbone, and nothing else that makes a specification."""
    sections = [statement.kind.text for statement in file.statements if isinstance(statement, tree.Section)]
    others = any(isinstance(statement, tree.Definition | tree.Import) for statement in file.statements)
    return sections == ["backbone"] or (not sections and others)


def check_library(file: tree.File, mistakes: Iterable[Diagnostic], library: Library) -> Contents:
    """What the file holds, its blocks expanded as far as that can be done without the values of their parameters.

    `mistakes` are those of its writing, `library` is what it imports. A name that it does not define may be a layer or
    the input of the file that imports it. Raises MtlError with every problem.
    """
    problems = Problems(sources=(file.source.name, *(each.source.name for each in library.files)))
    problems.take(mistakes)
    problems.take(library.mistakes)
    check_header(file, problems)
    definitions = read_definitions([*library.definitions(), *file.statements], problems)
    own = next(sections_of(file, "backbone"), None)
    problems.lost.add(Sort.LAYER)
    network = read_network(
        own or library.backbone, BROKEN, USUAL_INPUT, definitions, library, dict(definitions.places), problems
    )
    for block in definitions.blocks.values():
        if block is not None and block.span.source.name == file.source.name:
            network.expander.definition(block)
    problems.check()
    defined = [each.kind.text for each in file.statements if isinstance(each, tree.Definition)]
    layers = len(own.items) if own else 0
    return Contents(defined.count("block"), defined.count("let"), layers, len(list(imports_of(file))))
