"""Warnings about constants, blocks and their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mtsldsl.diagnostics import Diagnostic
from mtsldsl.ir.definitions import walk
from mtsldsl.ir.pedantic.reading import Check, Reading, warn
from mtsldsl.syntax import tree


def unused_definitions(reading: Reading) -> Iterator[Diagnostic]:
    """MTL901, MTL902: constants and blocks that no block of the text needs, not even by way of other definitions."""
    own = {each.name.text: each for each in _definitions(reading)}
    needed: set[str] = set()
    waiting = {name for value in _values(reading) for name in _names(value)}
    while waiting:
        name = waiting.pop()
        if name in own and name not in needed:
            needed.add(name)
            waiting |= _needs(own[name])
    for name, definition in own.items():
        if name not in needed:
            constant = definition.kind.text == "let"
            code, noun = ("MTL901", "constant") if constant else ("MTL902", "block")
            yield warn(code, f"nothing uses the {noun} `{name}`", "use it, or leave it out", definition.name.span)


def unused_parameters(reading: Reading) -> Iterator[Diagnostic]:
    """MTL903: parameters that neither the block's pipeline nor another parameter's default names."""
    for definition in _definitions(reading):
        used = set(_names(definition.value))
        for parameter in definition.parameters or ():
            if parameter.name.text not in used:
                cause = f"the block `{definition.name.text}` does not use its parameter `{parameter.name.text}`"
                yield warn("MTL903", cause, "use it, or leave it out", parameter.name.span)


def hiding_parameters(reading: Reading) -> Iterator[Diagnostic]:
    """MTL904: parameters with the name of a constant, a block, a layer or the input."""
    spec = reading.spec
    library = spec.library.definitions() if spec.library else ()
    known = {each.name.text: "constant" if each.kind.text == "let" else "block" for each in library}
    known |= {each.name.text: "constant" if each.kind.text == "let" else "block" for each in _definitions(reading)}
    known |= {layer.name: "layer" for layer in spec.layers} | dict.fromkeys(spec.data.inputs, "input")
    for definition in _definitions(reading):
        for parameter in definition.parameters or ():
            name = parameter.name.text
            if name in known:
                cause = f"the parameter `{name}` of `{definition.name.text}` hides the {known[name]} `{name}`"
                yield warn("MTL904", cause, "give the parameter another name", parameter.name.span)


DEFINITIONS: tuple[Check, ...] = (unused_definitions, unused_parameters, hiding_parameters)
"""All checks of this module."""


def _definitions(reading: Reading) -> Iterator[tree.Definition]:
    for statement in reading.file.statements:
        if isinstance(statement, tree.Definition):
            yield statement


def _values(reading: Reading) -> Iterator[tree.Value]:
    """The values of all entries and decisions of the text."""
    for statement in reading.file.statements:
        for item in statement.items if isinstance(statement, tree.Section) else ():
            yield item.value if isinstance(item, tree.Entry) else item


def _needs(definition: tree.Definition) -> set[str]:
    """The names that a definition needs, its own parameters left out."""
    parameters = definition.parameters or ()
    own = {parameter.name.text for parameter in parameters}
    defaults: Iterable[tree.Value] = [each.default for each in parameters if each.default is not None]
    inside = set(_names(definition.value)) - own
    return inside.union(*(set(_names(default)) for default in defaults))


def _names(value: tree.Value) -> Iterator[str]:
    for node in walk(value):
        if isinstance(node, tree.Name):
            yield node.text
        elif isinstance(node, tree.Call):
            yield node.function.text
