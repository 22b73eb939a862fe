"""Rewriting the two blocks that the runtime keeps, `sharing` and `history`, inside a text that a person wrote.

Only the lines whose meaning changes are edited; every other byte stays, and so does every comment (law 12). A text that
was in the one layout of `mtsldsl fmt` is so again: there the columns of neighbouring lines may move too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing.new_lines import aligned
from mtsldsl.ir.ignoring import ignores
from mtsldsl.ir.model import Decision, Spec
from mtsldsl.ir.sharing_block import covered, line_above
from mtsldsl.language.constants import Constant
from mtsldsl.language.kinds import Alternatives, Kind, Real, Tasks
from mtsldsl.methods.registry import decision_rules
from mtsldsl.sharing import Sharing, format_components, format_tasks
from mtsldsl.sharing.text import NONE
from mtsldsl.syntax import parse, tree
from mtsldsl.syntax.edit import TextEdit, append_section, apply_edits, insert_items, line_ending, verify


def rewritten(spec: Spec, sharing: Sharing, decisions: Sequence[Decision] = ()) -> Spec:
    """The spec with another sharing and with `decisions` added to its history.

    The text is edited line by line and read again: the answer is what it then says. Raises MtlError MTL407 where the
    sharing is not one of this spec's layers and tasks, MTL704 where the new text would lose something or say anything
    else than it should.
    """
    if sharing.backbone != spec.backbone or sharing.tasks != spec.sharing.tasks:
        raise MtlError.of(
            "MTL407",
            f"the sharing is not one of the layers and tasks of {spec.source.name}",
            "make it from `spec.backbone` and the tasks of the spec, in their order",
        )
    before = spec.source
    file = parse(before)
    edits = _edits(file, spec, sharing, decisions)
    after = apply_edits(before.text, edits)
    verify(before.text, after, edits, before.name)
    intended = attrs.evolve(spec, sharing=sharing, history=(*spec.history, *decisions))
    return _read_back(file, attrs.evolve(before, text=after), intended)


def _read_back(before: tree.File, after: Source, intended: Spec) -> Spec:
    """The spec that the new text says, in the one layout if the old one was; it must be the intended one."""
    from mtsldsl.ir.build import build
    from mtsldsl.syntax.format import formatted, in_layout

    try:
        file = parse(after)
        if after.text != before.source.text and in_layout(before):
            file = formatted(file)
        found = build(file, library=intended.library)
    except MtlError as error:
        raise _refusal(after) from error
    if found != intended:
        raise _refusal(after)
    return found


def _refusal(source: Source) -> MtlError:
    return MtlError.of(
        "MTL704",
        f"the sharing of {source.name} cannot be rewritten so that it says what it should",
        "write the `sharing` block on lines of its own, one layer a line",
    )


def _edits(file: tree.File, spec: Spec, sharing: Sharing, decisions: Sequence[Decision]) -> list[TextEdit]:
    blocks = {statement.kind.text: statement for statement in file.statements if isinstance(statement, tree.Section)}
    edits: list[TextEdit] = []
    new: list[str] = []
    if "sharing" in blocks:
        edits += _sharing_edits(file, blocks["sharing"], spec.sharing, sharing)
    elif sharing != spec.sharing:
        new.append(block_text("sharing", sharing_lines(sharing, sharing.backbone.layers)))
    lines = [decision_line(decision, sharing.tasks) for decision in decisions]
    if lines and "history" in blocks:
        edits.append(insert_items(file, blocks["history"], lines))
    elif lines:
        new.append(block_text("history", lines))
    if new:
        edits.append(append_section(file, "\n\n".join(new)))
    return edits


def sharing_lines(sharing: Sharing, layers: Sequence[str]) -> list[str]:
    """A line for each layer; one for all of them where they are in groups, which are the same everywhere."""
    if sharing.helpers and len(layers) == len(sharing.backbone) > 1:
        return [f"{layers[0]}..{layers[-1]} = {format_components(sharing, layers[0])}"]
    width = max(map(len, layers))
    return [f"{layer.ljust(width)} = {format_components(sharing, layer)}" for layer in layers]


def block_text(heading: str, lines: Iterable[str]) -> str:
    """A block of these lines."""
    return "\n".join([f"{heading} {{", *(f"  {line}" for line in lines), "}"])


def decision_line(decision: Decision, tasks: Sequence[str]) -> str:
    """The decision as a line of `history`; its tasks stay in the order that they have."""
    epoch, *rest = decision_rules()[decision.kind].call.keys
    said = [key for key in rest if key.name in decision.fields]
    written = [f"{key.name}={_written(key.kind, decision.fields[key.name], tasks)}" for key in said]
    return f"{decision.kind}({', '.join([f'{epoch.name}={decision.epoch}', *written])})"


def _written(kind: Kind, value: Constant, tasks: Sequence[str]) -> str:
    match kind, value:
        case Tasks(), tuple(names):
            return " + ".join(map(str, names)) or format_tasks(tasks, tasks)
        case Alternatives(), tuple(names):
            return " + ".join(map(str, names)) or NONE
        case Real(), float(number) | int(number):
            return repr(float(number))
    return str(value)


@attrs.define
class _Line:
    """A line of the block, and the lines that are to come after it."""

    entry: tree.Entry
    layers: tuple[str, ...]
    after: list[str] = attrs.field(factory=list)


def _sharing_edits(file: tree.File, section: tree.Section, old: Sharing, new: Sharing) -> list[TextEdit]:
    """Edits of the lines whose layers changed; lines for changed layers that have none."""
    lines = [_Line(item, covered(item, old.backbone)) for item in section.items if isinstance(item, tree.Entry)]
    replaced: list[TextEdit] = []
    for line in lines:
        if any(old[layer] != new[layer] for layer in line.layers):
            replaced += _replace(file, line, new)
    owner = {layer: line for line in lines for layer in line.layers}
    missing = [layer for layer in old.backbone.layers if layer not in owner and old[layer] != new[layer]]
    if missing and not lines:
        return [insert_items(file, section, sharing_lines(new, missing))]
    first: list[str] = []
    for layer in missing:
        anchor = line_above(layer, old.backbone, owner)
        sibling = anchor.entry if anchor else lines[0].entry
        (anchor.after if anchor else first).append(aligned(layer, format_components(new, layer), sibling))
    # Of what is inserted at one place the first comes first: a line's comments stay next to it.
    above = [_insert_before(file, _topmost(lines).entry, first)] if first else []
    return [*above, *(_insert_after(file, section, line) for line in lines if line.after), *replaced]


def _topmost(lines: Sequence[_Line]) -> _Line:
    return min(lines, key=lambda line: line.entry.span.start)


def _replace(file: tree.File, line: _Line, new: Sharing) -> list[TextEdit]:
    """The line with its new value. A range becomes a line for each layer, but for groups, which are the same for all; a
    comment behind it stays on the first.

    Comments inside the value move to lines of their own above; from one that ignores a diagnostic on they stay inside,
    where alone it holds for the line.
    """
    entry, text = line.entry, file.source.text
    first, *rest = line.layers
    edits = []
    if entry.last is not None and not new.helpers:
        start, end = entry.key.span.start, entry.last.span.end
        spaced = text[end : end + 1] in (" ", "\t")
        edits.append(TextEdit(start, end, first.ljust(end - start) if spaced else first))
        line.after += [aligned(layer, format_components(new, layer), entry) for layer in rest]
    value, start, end = format_components(new, first), entry.value.span.start, entry.value.span.end
    inside = [each for each in file.comments if entry.span.start <= each.span.start < end]
    if not inside:
        return [*edits, TextEdit(start, end, value)]
    staying = next((place for place, each in enumerate(inside) if ignores(each)), len(inside))
    above, kept = inside[:staying], inside[staying:]
    if above:
        edits.insert(0, _insert_before(file, entry, [each.text for each in above]))
    joint = f"{line_ending(text)}{_indent(text, entry.span.start)}    "
    lines = [f" {kept[0].text}", *(each.text for each in kept[1:]), value] if kept else [value]
    equals = text.index("=", (entry.last or entry.key).span.end)
    return [*edits, TextEdit(equals + 1, end, f" {joint.join(lines)}")]


def _insert_before(file: tree.File, entry: tree.Entry, lines: Sequence[str]) -> TextEdit:
    start = entry.span.start
    joint = line_ending(file.source.text) + _indent(file.source.text, start)
    return TextEdit(start, start, "".join(line + joint for line in lines))


def _insert_after(file: tree.File, section: tree.Section, line: _Line) -> TextEdit:
    """Lines after an entry and the comment behind it; before the brace where that closes on the same line."""
    text, end = file.source.text, line.entry.span.end
    ending, indent = line_ending(text), _indent(text, line.entry.span.start)
    newline = text.find("\n", end)
    if 0 <= newline < section.body.end:
        place = newline + 1
        return TextEdit(place, place, "".join(indent + each + ending for each in line.after))
    return TextEdit(end, end, "".join(ending + indent + each for each in line.after))


def _indent(text: str, offset: int) -> str:
    """The blank space before an entry; two columns more than its line where something else stands before it."""
    start = text.rfind("\n", 0, offset) + 1
    before = text[start:offset]
    blank = before[: len(before) - len(before.lstrip())]
    return before if not before.strip() else f"{blank}  "
