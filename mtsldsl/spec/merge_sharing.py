"""The three-way merge of the two blocks that the runtime keeps, by what they mean, and their new lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from mtsldsl.diagnostics import Source
from mtsldsl.sharing import Backbone, ConflictError, Partition, Sharing, format_partition, merge3
from mtsldsl.sharing.partition import canonical, parted, singletons
from mtsldsl.sharing.validity import refinement_problems
from mtsldsl.spec.layout import aligned
from mtsldsl.spec.model import Spec
from mtsldsl.spec.outline import Outline, Piece, as_lines, first_line, indent_of, opened, outline, without
from mtsldsl.spec.problems import Problems
from mtsldsl.spec.sharing_block import covered, line_components
from mtsldsl.spec.threeway import Conflict
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, append_section, apply_edits


@attrs.frozen
class Settled:
    """The components of every layer of the merged network; ours where there is a conflict. `theirs` are the other
    side's at the layers with a conflict, `reasons` why there is one."""

    backbone: Backbone
    tasks: tuple[str, ...]
    components: Mapping[str, Partition]
    theirs: Mapping[str, Partition]
    reasons: Mapping[str, str]

    def conflicts(self) -> tuple[Conflict, ...]:
        """One conflict for each layer that has one."""
        return tuple(
            Conflict(f"sharing.{layer}", reason, (f"sharing.{layer}",), (self.line(layer, self.theirs[layer]),))
            for layer, reason in self.reasons.items()
        )

    def line(self, layer: str, partition: Partition) -> str:
        """A layer's line."""
        return f"  {layer} = {format_partition(partition, self.tasks)}"

    def alone(self, layer: str) -> bool:
        """Whether every task has the layer for itself."""
        return len(self.components[layer]) == len(self.tasks)


def settle(base: Spec | None, ours: Spec, theirs: Spec, backbone: Backbone, tasks: Sequence[str]) -> Settled:
    """What each layer of the merged network has with both sides' changes: `merge3`, layer by layer.

    A task that a side does not have shares nothing there, so that what the other side says of it counts as merges. A
    layer that one side alone has is as that side has it; one that both added, and no base at all, start from nothing
    shared.
    """
    names = tuple(tasks)
    each = singletons(names)
    components: dict[str, Partition] = {}
    reasons: dict[str, str] = {}
    for layer in backbone.layers:
        mine, other = _extended(ours, layer, names), _extended(theirs, layer, names)
        if mine is None or other is None:
            components[layer] = mine or other or each
            continue
        before = (base and _extended(base, layer, names)) or each
        alone = Backbone((layer,), {})
        try:
            components[layer] = merge3(*(Sharing(alone, names, {layer: side}) for side in (before, mine, other)))[layer]
        except ConflictError as error:
            reasons[layer] = error.conflicts[0].reason
    for problem in refinement_problems(backbone, names, components):
        reasons.setdefault(problem.layer, f"with both sides' changes {problem.reason}")
    reasons = {layer: reasons[layer] for layer in backbone.layers if layer in reasons}
    components |= {layer: _extended(ours, layer, names) or each for layer in reasons}
    others = {layer: _extended(theirs, layer, names) or each for layer in reasons}
    return Settled(backbone, names, components, others, reasons)


def _extended(spec: Spec, layer: str, tasks: Sequence[str]) -> Partition | None:
    """The components of a layer over these tasks, those that the spec lacks alone; None where it lacks the layer."""
    if layer not in spec.backbone:
        return None
    present = [task for task in tasks if task in spec.sharing.tasks]
    absent = singletons([task for task in tasks if task not in present])
    rank = {task: place for place, task in enumerate(tasks)}
    return canonical((*parted(present, spec.sharing[layer]), *absent), rank)


# The lines of `sharing`


def with_sharing(source: Source, settled: Settled, former: Sequence[Backbone]) -> Source:
    """The text with the settled sharing in its block, line by line; lines that say it already stay as they are.

    A layer with a conflict gets a line of its own. `former` are the backbones that a line's range may be about.
    """
    outlined = outline(source)
    block = _block(outlined, "sharing")
    if block is None:
        return _appended(source, outlined, settled)
    lines = [_Line(piece, _layers(piece, settled.backbone, former)) for piece in block.children]
    if all(_says(line, settled) for line in lines) and not _unsaid(lines, settled):
        return source
    roomy = opened(source, ["sharing"])
    if roomy.text != source.text:
        return with_sharing(roomy, settled, former)
    return attrs.evolve(source, text=apply_edits(source.text, _edits(outlined, block, lines, settled)))


@attrs.define
class _Line:
    """A line of the block, the layers that it is about, and the lines that are to come after it."""

    piece: Piece
    layers: tuple[str, ...]
    after: list[str] = attrs.field(factory=list)


def _layers(piece: Piece, backbone: Backbone, former: Sequence[Backbone]) -> tuple[str, ...]:
    """The layers of the merged backbone that a line is about."""
    if not isinstance(piece.node, tree.Entry):
        return ()
    found = covered(piece.node, backbone)
    for other in former:
        found = found or tuple(layer for layer in covered(piece.node, other) if layer in backbone)
    return found


def _says(line: _Line, settled: Settled) -> bool:
    """Whether a line says what is settled, and nothing else."""
    entry = line.piece.node
    if not isinstance(entry, tree.Entry) or not line.layers or covered(entry, settled.backbone) != line.layers:
        return False
    if len(line.layers) > 1 and not settled.reasons.keys().isdisjoint(line.layers):
        return False
    said = line_components(entry, settled.tasks, Problems())
    return isinstance(said, tuple) and all(set(said) == set(settled.components[layer]) for layer in line.layers)


def _unsaid(lines: Sequence[_Line], settled: Settled) -> list[str]:
    """The layers that need a line and have none."""
    owned = {layer for line in lines for layer in line.layers}
    return [
        layer
        for layer in settled.backbone.layers
        if layer not in owned and (layer in settled.reasons or not settled.alone(layer))
    ]


def _edits(outlined: Outline, block: Piece, lines: list[_Line], settled: Settled) -> Iterator[TextEdit]:
    text = outlined.text
    owner = {layer: line for line in lines for layer in line.layers}
    first: list[str] = []
    for line in lines:
        if not line.layers:
            yield without(outlined, line.piece)
        elif not _says(line, settled):
            yield from _replaced(text, line, settled)
    for layer in _unsaid(lines, settled):
        before = settled.backbone.layers[: settled.backbone.position(layer)]
        anchor = next((owner[name] for name in reversed(before) if name in owner), None)
        sibling = anchor.piece.node if anchor else lines[0].piece.node if lines else None
        value = format_partition(settled.components[layer], settled.tasks)
        written = aligned(layer, value, sibling if isinstance(sibling, tree.Entry) else None)
        (anchor.after if anchor else first).append(written)
    indent = indent_of(text, block)
    if first:
        yield as_lines(text, first_line(text, block), [indent + line for line in first])
    for line in lines:
        if line.after:
            yield as_lines(text, line.piece.end, [indent + each for each in line.after])


def _replaced(text: str, line: _Line, settled: Settled) -> Iterator[TextEdit]:
    """The line's new key and value; a range becomes a line for each layer."""
    entry = line.piece.node
    assert isinstance(entry, tree.Entry)
    first, *rest = line.layers
    start, end = entry.key.span.start, (entry.last or entry.key).span.end
    if text[start:end] != first:
        spaced = text[end : end + 1] in (" ", "\t")
        yield TextEdit(start, end, first.ljust(end - start) if spaced else first)
    value = entry.value.span
    yield TextEdit(value.start, value.end, format_partition(settled.components[first], settled.tasks))
    line.after += [aligned(layer, format_partition(settled.components[layer], settled.tasks), entry) for layer in rest]


def _appended(source: Source, outlined: Outline, settled: Settled) -> Source:
    if all(map(settled.alone, settled.backbone.layers)) and not settled.reasons:
        return source
    width = max(map(len, settled.backbone.layers))
    lines = [
        f"  {layer.ljust(width)} = {format_partition(settled.components[layer], settled.tasks)}"
        for layer in settled.backbone.layers
    ]
    section = "\n".join(["sharing {", *lines, "}"])
    return attrs.evolve(source, text=apply_edits(source.text, [append_section(outlined.file, section)]))


def _block(outlined: Outline, kind: str) -> Piece | None:
    return next((piece for piece in outlined.pieces if piece.key == kind), None)
