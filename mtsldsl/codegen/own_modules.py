"""A person's own modules in the generated code: imported by name, and made with the arguments of the spec."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from itertools import groupby

import attrs

from mtsldsl.codegen.identifiers import CLASSES_TAKEN, TAKEN
from mtsldsl.ir.cost import own_steps
from mtsldsl.ir.model import Spec
from mtsldsl.language.constants import Constant
from mtsldsl.language.literals import literal
from mtsldsl.language.operator import Arguments
from mtsldsl.language.operators.own import options_of, target_parts
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class OwnClass(Record):
    """A class that the generated code imports, and the name that it has there."""

    module: str
    name: str
    alias: str

    @property
    def imported(self) -> str:
        """What stands after `import`."""
        return self.name if self.alias == self.name else f"{self.name} as {self.alias}"


def own_classes(spec: Spec, taken: frozenset[str]) -> dict[str, OwnClass]:
    """The class of every target, under a name that is neither in `taken` nor Python's nor another class's."""
    targets = dict.fromkeys(str(step.arguments["target"]) for step in own_steps(spec))
    given = set(taken | TAKEN | CLASSES_TAKEN)
    classes = {}
    for target in targets:
        module, name = target_parts(target)
        alias, number = name, 1
        while alias in given or hasattr(builtins, alias) or alias.endswith("_CALLS"):
            alias = f"{name}Module{number if number > 1 else ''}"
            number += 1
        given.add(alias)
        classes[target] = OwnClass(module, name, alias)
    return classes


def import_lines(classes: Mapping[str, OwnClass]) -> tuple[str, ...]:
    """The import statements, in the order in which a linter wants them."""
    lines = []
    ordered = sorted(classes.values(), key=lambda each: (each.module, each.alias != each.name, _rank(each.name)))
    for (module, renamed), group in groupby(ordered, key=lambda each: (each.module, each.alias != each.name)):
        names = [each.imported for each in group]
        lines += [f"from {module} import {name}" for name in ([", ".join(names)] if not renamed else names)]
    return tuple(lines)


def _rank(name: str) -> tuple[int, str]:
    """Constants before classes before the rest, as a linter sorts the names of one import."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name)


def own_call(arguments: Arguments, classes: Mapping[str, OwnClass]) -> str:
    """The constructor of a module, such as `Gate(channels=64, sizes=[1, 2])`."""
    options = (f"{name}={_value(value)}" for name, value in options_of(arguments).items())
    return f"{classes[str(arguments['target'])].alias}({', '.join(options)})"


def _value(value: Constant) -> str:
    """A list as a list, as it is written in the spec."""
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, tuple) else literal(value)
