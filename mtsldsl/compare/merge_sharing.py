"""The three-way merge of the two blocks that the runtime keeps, by what they mean, and their new lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from mtsldsl.compare.outline import Outline, Piece, as_lines, first_line, indent_of, opened, outline, without
from mtsldsl.compare.threeway import Conflict
from mtsldsl.diagnostics import Source
from mtsldsl.editing.new_lines import aligned
from mtsldsl.ir.model import Spec
from mtsldsl.ir.problems import Broken, Problems
from mtsldsl.ir.sharing_block import covered, line_above, line_row, unsaid
from mtsldsl.records import Record
from mtsldsl.sharing import Backbone, ConflictError, Cover, Group, Groups, Partition, Row, Sharing, format_row, merge3
from mtsldsl.sharing.partition import canonical, meet, parted, single
from mtsldsl.sharing.row import groups_of, reordered, tasks_of
from mtsldsl.sharing.validity import group_problems, refinement_problems
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, append_section, apply_edits


@attrs.frozen(eq=False, repr=False)
class Settled(Record):
    """The row of every layer of a merged network.

    Where the other side is taken at every conflict, layers of `apart` have other components and those of `lone`, which
    have lines in the text of their side, are not there, so that each has a line of its own.
    """

    backbone: Backbone
    tasks: tuple[str, ...]
    components: Mapping[str, Row]
    sources: Partition
    apart: frozenset[str] = frozenset()
    lone: frozenset[str] = frozenset()

    def alone(self, layer: str) -> bool:
        """Whether the layer is as one without a line is: every task has it for itself, or uses all its alternatives."""
        return self.components[layer] == unsaid(self.backbone.alternatives(layer), self.tasks)

    def ordered_as(self, other: Settled) -> Settled:
        """The same, its tasks in the order of the other, so that what is the same is also written so."""
        ranks = {task: place for place, task in enumerate(dict.fromkeys((*other.tasks, *self.tasks)))}
        components = {layer: reordered(row, ranks) for layer, row in self.components.items()}
        return attrs.evolve(self, tasks=tuple(sorted(self.tasks, key=ranks.__getitem__)), components=components)

    def silent(self, layer: str) -> bool:
        """Whether the layer needs no line of the block."""
        return self.alone(layer) and layer not in self.apart and layer not in self.lone


def settle(
    base: Spec | None, ours: Spec, theirs: Spec, networks: tuple[Spec, Spec]
) -> tuple[tuple[Settled, Settled], list[Conflict]]:
    """What each layer has with both sides' changes: `merge3`, layer by layer; and where that has no answer.

    `networks` are the merged networks with our side at every conflict and with the other, and so are the answers. A
    task that is new shares nothing on the side that does not have it, so that what the other side says of it counts as
    merges; one that a side removed is there as in the base. A layer that one side alone has is as that side has it; one
    that both added, and no base at all, start from nothing shared. In a conflict about a layer that a side does not
    have, that side has it shared as far as what it reads allows.

    A layer in whose way another one is comes with it into the conflict, so that each side of it can be taken whole.
    """
    sides = (ours, theirs)
    reasons = dict(_of_other_alternatives(base, sides, networks))
    while True:
        known = len(reasons)
        settled = [_settled(base, sides, networks[taken], taken, reasons) for taken in (0, 1)]
        for each in settled:
            rows = each.backbone, each.tasks, each.components, each.sources
            for problem in (*refinement_problems(*rows), *group_problems(each.components, each.sources)):
                if _differ(base, sides, problem.layer, each.tasks):
                    reasons.setdefault(problem.layer, f"with both sides' changes {problem.reason}")
                if problem.keeper and _differ(base, sides, problem.keeper, each.tasks):
                    reasons.setdefault(problem.keeper, f"goes with sharing.{problem.layer}, which reads it")
        if len(reasons) == known:
            break
    one, other = settled[0], settled[1].ordered_as(settled[0])
    common = [layer for layer in one.backbone.layers if layer in other.backbone]
    apart = {layer for layer in common if set(one.components[layer]) != set(other.components[layer])}
    apart = {layer for layer in apart if not (one.alone(layer) and other.alone(layer))} | reasons.keys()
    lone = frozenset(one.backbone.layers) ^ frozenset(other.backbone.layers)
    lone &= _with_lines(ours) | _with_lines(theirs)
    first, second = (attrs.evolve(each, apart=frozenset(apart), lone=lone) for each in (one, other))
    order = {layer: place for place, layer in enumerate((*one.backbone.layers, *other.backbone.layers))}
    found = [(f"sharing.{layer}", reasons[layer]) for layer in sorted(reasons, key=lambda layer: order[layer])]
    return (first, second), [Conflict(key, reason, (key,)) for key, reason in found]


def _of_other_alternatives(
    base: Spec | None, sides: tuple[Spec, Spec], networks: tuple[Spec, Spec]
) -> Iterator[tuple[str, str]]:
    """The layers that have other alternatives with the other side at every conflict: what the sides say of them goes
    with these, whole."""
    mine, other = networks
    for layer in mine.backbone.layers:
        if layer not in other.backbone or mine.backbone.alternatives(layer) == other.backbone.alternatives(layer):
            continue
        if _differ(base, sides, layer, mine.sharing.tasks):
            yield layer, f"goes with backbone.{layer}, which has other alternatives on each side"


def _settled(
    base: Spec | None, sides: tuple[Spec, Spec], network: Spec, taken: int, reasons: dict[str, str]
) -> Settled:
    """What each layer of one network has; what cannot be settled is added to `reasons`, and is as that side has it."""
    backbone, tasks = network.backbone, network.sharing.tasks
    components: dict[str, Row] = {}
    for layer in backbone.layers:
        alternatives = backbone.alternatives(layer)
        each = unsaid(alternatives, tasks)
        mine, other = (_fitting(_extended(side, layer, tasks, base), alternatives) for side in sides)
        if mine is None or other is None:
            foreign = (mine, other)[taken] is None and layer in reasons
            components[layer] = _as_read(backbone, layer, components, tasks) if foreign else _known(mine, other, each)
            continue
        before = _known(_fitting(_extended(base, layer, tasks) if base else None, alternatives), each)
        alone = Backbone((layer,), {}, {layer: alternatives} if alternatives else {})
        try:
            merged = merge3(*(Sharing(alone, tasks, {layer: side}) for side in (before, mine, other)))
            components[layer] = merged[layer]
        except ConflictError as error:
            reasons.setdefault(layer, error.conflicts[0].reason)
        if layer in reasons:
            components[layer] = (mine, other)[taken]
    return Settled(backbone, tasks, components, network.sharing.sources)


def _with_lines(spec: Spec) -> frozenset[str]:
    """The layers that the text of a spec has lines about."""
    block = _block(outline(spec.source), "sharing")
    entries = [piece.node for piece in block.children if isinstance(piece.node, tree.Entry)] if block else []
    return frozenset(layer for entry in entries for layer in covered(entry, spec.backbone))


def _known(*rows: Row | None) -> Row:
    """The first row that there is; one of alternatives that nobody uses is there too."""
    return next(row for row in rows if row is not None)


def _fitting(row: Row | None, alternatives: Sequence[str]) -> Row | None:
    """The row where the layer of the merged network, with these alternatives, can have it; what a cover says of others
    is left out."""
    if isinstance(row, Cover) != bool(alternatives):
        return None
    if not isinstance(row, Cover):
        return row
    return Cover.of_pairs((pair for pair in row.pairs if pair[1] in alternatives), alternatives)


def _as_read(backbone: Backbone, layer: str, components: Mapping[str, Row], tasks: Sequence[str]) -> Row:
    """The row of a layer that shares as much as what it reads allows."""
    if backbone.alternatives(layer):
        return unsaid(backbone.alternatives(layer), tasks)
    found = single(tasks)
    for source in () if backbone.below_alternatives(layer) else backbone.inputs(layer):
        row = components[source]
        found = meet(found, row, tasks) if isinstance(row, Partition) else found
    return found


def _differ(base: Spec | None, sides: tuple[Spec, Spec], layer: str, tasks: Sequence[str]) -> bool:
    mine, other = (_extended(side, layer, tasks, base) for side in sides)
    return mine != other


def left_out(base: Spec | None, ours: Spec, theirs: Spec, settled: Sequence[Settled]) -> Iterator[str]:
    """What a side changed in the sharing of layers, alternatives and tasks that no merged network has, one sentence a
    line."""
    layers = {layer for each in settled for layer in each.backbone.layers}
    tasks = {task for each in settled for task in each.tasks}
    for name, side in (("ours", ours), ("theirs", theirs)):
        for layer in side.backbone.layers:
            now = side.sharing[layer]
            default = unsaid(side.backbone.alternatives(layer), side.sharing.tasks)
            before = _known(_extended(base, layer, side.sharing.tasks) if base else None, default)
            changed = _changed(now, before)
            said = f"`{layer} = {format_row(now, side.sharing.tasks)}` of {name}"
            if changed and (layer not in layers or changed - tasks):
                gone = f"layer `{layer}`" if layer not in layers else _named(sorted(changed - tasks))
                yield f"left out of the sharing, for {gone} is gone: {said}"
            elif changed and (other := _of_another_kind(side, layer, before, settled)):
                yield f"left out of the sharing, for {other}: {said}"
    yield from _without_use(ours, theirs, settled)


def _without_use(ours: Spec, theirs: Spec, settled: Sequence[Settled]) -> Iterator[str]:
    """The tasks that would get zeros of a layer of alternatives, and did on neither side."""
    for layer in settled[0].backbone.layers:
        row = settled[0].components[layer]
        sides = [side.sharing for side in (ours, theirs) if layer in side.backbone]
        for task in settled[0].tasks if isinstance(row, Cover) else ():
            known = [side.of(layer, task) for side in sides if task in side.tasks]
            if known and all(known) and not row.of(task):
                yield f"with both sides' changes `{task}` uses no alternative of `{layer}`, and gets zeros: name one"


def _of_another_kind(side: Spec, layer: str, before: Row, settled: Sequence[Settled]) -> str | None:
    """Why no merged network can have all that a side changed in a layer that is there; None where one can."""
    now = side.sharing[layer]
    kept = [each.backbone.alternatives(layer) for each in settled if layer in each.backbone]
    if isinstance(now, Cover) and isinstance(before, Cover):
        changed = {alternative for _, alternative in now.pairs ^ before.pairs}
        own = [name for name in side.backbone.alternatives(layer) if name in changed]
        gone = [name for name in own if not any(name in names for names in kept)]
        verb = "is" if len(gone) == 1 else "are"
        return f"{', '.join(f'`{name}`' for name in gone)} of layer `{layer}` {verb} gone" if gone else None
    if isinstance(now, Cover) or isinstance(before, Cover) or not all(kept):
        return None
    return f"layer `{layer}` is made of alternatives now"


def _changed(now: Row, before: Row) -> set[str]:
    """The tasks whose components are others."""
    if isinstance(now, Cover) and isinstance(before, Cover):
        return {task for task, _ in now.pairs ^ before.pairs}
    if isinstance(now, Cover) or isinstance(before, Cover):
        return {task for component in now.components for task in tasks_of(component)}
    changed = set(groups_of(now)) ^ set(groups_of(before))
    return {task for group in changed for task in group.tasks | group.helped}


def _named(tasks: Sequence[str]) -> str:
    return f"task{'s' if len(tasks) > 1 else ''} {', '.join(f'`{task}`' for task in tasks)}"


def _extended(spec: Spec, layer: str, tasks: Sequence[str], base: Spec | None = None) -> Row | None:
    """The row of a layer over these tasks; None where the spec lacks the layer.

    A task that the spec lacks is with those that it is with in the base, and alone where that has it neither. Of
    alternatives it uses those that it uses in the base, and all where that has it neither.
    """
    if layer not in spec.backbone:
        return None
    if spec.backbone.alternatives(layer):
        return _extended_cover(spec, layer, tasks, base)
    row = spec.sharing[layer]
    assert not isinstance(row, Cover)
    among = [(set(tasks) & group.tasks, group.helped & set(tasks)) for group in groups_of(row)]
    components = [served for served, _ in among if served]
    helped = [helping for served, helping in among if served]
    known = base is not None and layer in base.backbone and not base.backbone.alternatives(layer)
    former = parted(tasks, base.sharing.partition(layer)) if base and known else ()
    for task in tasks:
        if task not in spec.sharing.tasks:
            mates = next((component for component in former if task in component), frozenset())
            together = next((component for component in components if not component.isdisjoint(mates)), None)
            if together is None:
                components.append({task})
            else:
                together.add(task)
    rank = {task: place for place, task in enumerate(tasks)}
    if any(helped):
        helped += [frozenset()] * (len(components) - len(helped))
        pairs = zip(map(frozenset, components), helped, strict=True)
        return Groups(tuple(Group(served, helping - served) for served, helping in pairs)).reordered(rank)
    return canonical(map(frozenset, components), rank)


def _extended_cover(spec: Spec, layer: str, tasks: Sequence[str], base: Spec | None) -> Cover:
    alternatives = spec.backbone.alternatives(layer)
    pairs: set[tuple[str, str]] = set()
    for task in tasks:
        having = (each for each in (spec, base) if each and layer in each.backbone and task in each.sharing.tasks)
        known = next((each for each in having if each.backbone.alternatives(layer)), None)
        used = known.sharing.uses(layer, task) if known else alternatives
        pairs |= {(task, alternative) for alternative in used if alternative in alternatives}
    return Cover.of_pairs(pairs, alternatives)


# The lines of `sharing`


def with_sharing(source: Source, settled: Settled, former: Sequence[Backbone]) -> Source:
    """The text with the settled sharing in its block, line by line; lines that say it already stay as they are.

    A layer that is to stand `apart` gets a line of its own. `former` are backbones that a line's range may be about.
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
    if len(line.layers) > 1 and not settled.apart.isdisjoint(line.layers):
        return False
    for layer in line.layers:
        said = line_row(entry, settled.tasks, settled.backbone.alternatives(layer), Problems())
        if isinstance(said, Broken) or set(said) != set(settled.components[layer]):
            return False
    return True


def _unsaid(lines: Sequence[_Line], settled: Settled) -> list[str]:
    """The layers that need a line and have none."""
    owned = {layer for line in lines for layer in line.layers}
    return [layer for layer in settled.backbone.layers if layer not in owned and not settled.silent(layer)]


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
        anchor = line_above(layer, settled.backbone, owner)
        sibling = anchor.piece.node if anchor else lines[0].piece.node if lines else None
        value = format_row(settled.components[layer], settled.tasks)
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
    yield TextEdit(value.start, value.end, format_row(settled.components[first], settled.tasks))
    line.after += [aligned(layer, format_row(settled.components[layer], settled.tasks), entry) for layer in rest]


def _appended(source: Source, outlined: Outline, settled: Settled) -> Source:
    if all(map(settled.alone, settled.backbone.layers)) and not settled.apart:
        return source
    width = max(map(len, settled.backbone.layers))
    lines = [
        f"  {layer.ljust(width)} = {format_row(settled.components[layer], settled.tasks)}"
        for layer in settled.backbone.layers
    ]
    section = "\n".join(["sharing {", *lines, "}"])
    return attrs.evolve(source, text=apply_edits(source.text, [append_section(outlined.file, section)]))


def _block(outlined: Outline, kind: str) -> Piece | None:
    return next((piece for piece in outlined.pieces if piece.key == kind), None)
