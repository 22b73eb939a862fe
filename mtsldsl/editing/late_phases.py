"""Phases that come after the last epoch because the epochs were set from outside: they are left out of the text.

Who writes a spec with phases after its last epoch has made a mistake, which is reported. Who tries one for two epochs
by `--set train.epochs=2` has not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from mtsldsl.ir.library import Library, sections_of
from mtsldsl.ir.sharing_block import names_help
from mtsldsl.language.kinds import REQUIRED
from mtsldsl.methods.method import NO_METHOD, Method
from mtsldsl.methods.registry import METHODS, method
from mtsldsl.records import Record
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, remove_item, replace_value

if TYPE_CHECKING:
    from mtsldsl.diagnostics import Source
    from mtsldsl.editing.overrides import Setting


@attrs.frozen(eq=False, repr=False)
class LatePhases(Record):
    """Phases after epoch `epochs`, the last, and the edits that leave them out."""

    epochs: int
    phases: tuple[int, ...]
    edits: tuple[TextEdit, ...]

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.phases))
        what = f"the phase at epoch {listed} is" if len(self.phases) == 1 else f"the phases at epochs {listed} are"
        return f"{what} left out: training ends at epoch {self.epochs}"


def late_phases(before: tree.File, after: tree.File, earlier: Library, library: Library) -> LatePhases | None:
    """The phases that settings made too late, where they set the epochs and not the phases.

    `before` and `earlier` are the text and what it imports without the settings, `after` and `library` with them.
    """
    section = next(sections_of(after, "structure"), None)
    epochs = _value(after, library, "train", "epochs")
    labels = [label.text for label in section.labels] if section else []
    if section is None or len(labels) != 1 or labels[0] not in METHODS or not isinstance(epochs, tree.Number):
        return None
    chosen = method(labels[0])
    if chosen.phases is None:
        return None
    phases = _numbers(_value(after, library, "structure", chosen.phases))
    if phases is None or (chosen.groups and names_help(next(sections_of(after, "sharing"), None))):
        return None
    if chosen.phases_for is not None and _numbers(_value(after, library, "structure", chosen.phases_for)) is None:
        return None
    was = _value(before, earlier, "train", "epochs")
    same_epochs = isinstance(was, tree.Number) and was.value == epochs.value
    late = tuple(phase for phase in phases if phase > epochs.value)
    if same_epochs or not late or phases != _numbers(_value(before, earlier, "structure", chosen.phases)):
        return None
    kept = [place for place, phase in enumerate(phases) if phase <= epochs.value]
    key = chosen.block.key(chosen.phases)
    if not kept and key is not None and key.default is REQUIRED:  # it decides at no other epoch
        label = section.labels[0].span
        return LatePhases(int(epochs.value), late, (TextEdit(label.start, label.end, NO_METHOD),))
    if not kept and chosen.phases_for is not None:
        without = (chosen.phases, chosen.phases_for)
        named = [item for item in section.items if isinstance(item, tree.Entry) and item.key.text in without]
        return LatePhases(int(epochs.value), late, tuple(remove_item(after, item) for item in named))
    edits = [
        replace_value(item, _list(phases, kept))
        for item in section.items
        if isinstance(item, tree.Entry) and item.key.text == chosen.phases
    ]
    for value in _one_a_phase(section, chosen):
        numbers = _numbers(_followed(value, after, library))
        if numbers and len(numbers) == len(phases):
            edits.append(TextEdit(value.span.start, value.span.end, _list(numbers, kept)))
    return LatePhases(int(epochs.value), late, tuple(edits))


def left_out(source: Source, overrides: Mapping[str, Setting]) -> LatePhases | None:
    """The phases that `load` leaves out of a text with these settings."""
    from mtsldsl.editing.overrides import library_overridden, overridden
    from mtsldsl.ir.imports import read_imports
    from mtsldsl.syntax import read

    before, _ = read(source)
    library = read_imports(before)
    after, _ = read(overridden(source, overrides, library))
    return late_phases(before, after, library, library_overridden(library, overrides))


def _list(numbers: Sequence[int], kept: Sequence[int]) -> str:
    return f"[{', '.join(str(numbers[place]) for place in kept)}]"


def _value(file: tree.File, library: Library, kind: str, key: str) -> tree.Value | None:
    """What a key of a block is, a constant followed to its value."""
    section = next(sections_of(file, kind), None)
    for item in section.items if section else ():
        if isinstance(item, tree.Entry) and item.key.text == key:
            return _followed(item.value, file, library)
    return None


def _followed(value: tree.Value, file: tree.File, library: Library) -> tree.Value:
    own = [each for each in file.statements if isinstance(each, tree.Definition)]
    constants = {each.name.text: each.value for each in (*library.definitions(), *own) if each.kind.text == "let"}
    seen: set[str] = set()
    while isinstance(value, tree.Name) and value.text in constants and value.text not in seen:
        seen.add(value.text)
        value = constants[value.text]
    return value


def _numbers(value: tree.Value | None) -> list[int] | None:
    """The whole numbers of a list, or the one that stands for a list of one; None where it is none of such."""
    items = value.items if isinstance(value, tree.List) else (value,)
    numbers = [item.value for item in items if isinstance(item, tree.Number) and isinstance(item.value, int)]
    return numbers if numbers and len(numbers) == len(items) else None


def _one_a_phase(section: tree.Section, chosen: Method) -> Iterator[tree.Value]:
    """What may be a list with an entry for each phase, given by name or as the first of a call's arguments."""
    calls = [item for item in section.items if isinstance(item, tree.Entry) and isinstance(item.value, tree.Call)]
    for listed in chosen.one_a_phase:
        for item in calls:
            assert isinstance(item.value, tree.Call)
            if (item.key.text, item.value.function.text) == (listed.key, listed.call):
                for place, argument in enumerate(item.value.arguments):
                    if (argument.name.text == listed.argument) if argument.name else place == 0:
                        yield argument.value
