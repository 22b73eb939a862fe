"""A merged text while it is made: with one side taken at every conflict, brought step by step to what it should say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from mtsldsl.compare.merge_comments import wanted_comments, with_comments
from mtsldsl.compare.merge_history import NO_HISTORY, History, merge_history, with_history
from mtsldsl.compare.merge_order import Order, order_conflict, task_order, with_task_order
from mtsldsl.compare.merge_pieces import is_runtime, merged_labels, merged_layers
from mtsldsl.compare.merge_sharing import Settled, with_sharing
from mtsldsl.compare.outline import TAIL, Outline, Piece, opened, outline
from mtsldsl.compare.threeway import Conflict, decided
from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.editing.load import loads_source
from mtsldsl.ir.build import build
from mtsldsl.ir.model import Decision, Spec
from mtsldsl.ir.sharing_block import covered
from mtsldsl.records import Record
from mtsldsl.syntax import parse, tree
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.edit import TextEdit, apply_edits
from mtsldsl.syntax.format import format_text


class MisfitError(Exception):
    """What was put together is no sound spec, or does not say what it should; `diagnostics` say why, if it is known."""

    def __init__(self, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(diagnostics)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        if not self.diagnostics:
            return "the other side's changes cannot be edited into this text one by one"
        return f"what both sides changed does not fit together: {self.diagnostics[0].cause}"


@attrs.frozen(eq=False, repr=False)
class Sides(Record):
    """The three sides of a merge, as pieces of text and as what they mean; `formatted` is whether both
    have the layout of `fmt`; `rivals` are the tasks that each renamed in its own way, by their keys."""

    base: Outline
    ours: Outline
    theirs: Outline
    before: Spec | None
    mine: Spec
    other: Spec
    formatted: bool
    rivals: Mapping[str, str]

    @classmethod
    def of(
        cls, base: Source, before: Spec | None, mine: Spec, other: Spec, formatted: bool, rivals: Mapping[str, str]
    ) -> Sides:
        """The sides, blocks that are to be edited with a line for each item."""
        old, new = outline(opened(base)), outline(opened(other.source))
        former = {piece.key: piece.node.span.text for piece in old.pieces}
        changed = [piece.key for piece in new.pieces if former.get(piece.key) != piece.node.span.text]
        keys = {f"task.{mine}": f"task.{theirs}" for mine, theirs in rivals.items()}
        return cls(old, outline(opened(mine.source, changed)), new, before, mine, other, formatted, keys)

    @property
    def name(self) -> str:
        """What our text is called."""
        return self.ours.file.source.name

    def outlines(self) -> tuple[Outline, Outline, Outline]:
        """The three texts."""
        return self.base, self.ours, self.theirs


@attrs.frozen(eq=False, repr=False)
class Draft(Record):
    """A merged text with the side `take` at every conflict."""

    sides: Sides
    take: str
    source: Source
    order: Order
    sharing: Settled | None = None
    history: History = NO_HISTORY

    @classmethod
    def of(cls, sides: Sides, take: str, edits: Iterable[TextEdit]) -> Draft:
        """Our text with these edits, its tasks in the merged order."""
        source = attrs.evolve(sides.ours.file.source, text=apply_edits(sides.ours.text, edits))
        try:
            order = task_order(*sides.outlines(), source, take)
        except MtlError as error:
            raise MisfitError(error.diagnostics) from error
        return cls(sides, take, with_task_order(source, order), order)

    @property
    def order_conflicts(self) -> list[Conflict]:
        """The conflict about the order of the tasks, if there is one."""
        return order_conflict(self.order)

    @property
    def own(self) -> Outline:
        """The side that is taken."""
        return self.sides.ours if self.take == "ours" else self.sides.theirs

    def network(self) -> Spec:
        """The merged network, its sharing and history left out. Raises MisfitError where it is not one."""
        file = parse(attrs.evolve(self.source, name=f"{self.source.name} (merged)"))
        kept = tuple(each for each in file.statements if not is_runtime(each))
        try:
            return build(attrs.evolve(file, statements=kept))
        except MtlError as error:
            raise MisfitError(error.diagnostics) from error

    def settled(self, sharing: Settled) -> Draft:
        """The draft with this sharing, and with the history of both sides."""
        sides = self.sides
        history = merge_history(sides.before, sides.mine, sides.other, sharing.backbone, sharing.tasks)
        source = with_sharing(self.source, sharing, [sides.mine.backbone, sides.other.backbone])
        source = with_history(source, self._written(), history)
        return attrs.evolve(self, source=source, sharing=sharing, history=history)

    def _written(self) -> dict[str, Decision]:
        """The decision of every line of any `history`, by the line's node."""
        found: dict[str, Decision] = {}
        for outlined, spec in ((self.sides.ours, self.sides.mine), (self.sides.theirs, self.sides.other)):
            block = next((piece for piece in outlined.pieces if piece.key == "history"), None)
            if block:
                nodes = [repr(piece.node) for piece in block.children]
                found.update(zip(nodes, spec.history, strict=True))
        return found

    def keys(self) -> set[str]:
        """The keys of all its pieces."""
        return set(outline(self.source).everything())

    def commented(self, conflicts: Sequence[Conflict], elsewhere: Collection[str]) -> Draft:
        """The draft with the comments of both sides, in the layout of `fmt` if both have it.

        At a conflict it has those of its side; `elsewhere` are the pieces of the other draft, which keep their own.
        """
        here = self.keys()
        lines = self._lines_of_layers()
        wanted = wanted_comments(*self.sides.outlines())
        own = self.own.comments()
        for key in wanted:
            if any(conflict.about(key) for conflict in conflicts):
                wanted[key] = Counter(comment.text for comment in own.get(key, ()))

        def home(key: str) -> str | None:
            if key.startswith("history "):
                return f"history{TAIL}"
            return lines.get(key.removeprefix("sharing.")) if key.startswith("sharing.") else None

        def skipped(key: str) -> bool:
            piece = key.removesuffix(TAIL)
            if not piece or piece in here:
                return False
            return piece in elsewhere or any(conflict.about(piece) for conflict in conflicts)

        source = with_comments(self.source, self.sides.ours, self.sides.theirs, wanted, home, skipped)
        if self.sides.formatted:
            source = attrs.evolve(source, text=format_text(source))
        return attrs.evolve(self, source=source)

    def _lines_of_layers(self) -> dict[str, str]:
        assert self.sharing is not None
        return {
            layer: f"sharing.{item.key.text}"
            for piece in outline(self.source).pieces
            if piece.key == "sharing" and isinstance(piece.node, tree.Section)
            for item in piece.node.items
            if isinstance(item, tree.Entry)
            for layer in covered(item, self.sharing.backbone)
        }

    def hold(self, base: Outline, conflicts: Sequence[Conflict]) -> None:
        """Hold that the text says what it should of the changes since that base, and nothing else.

        Raises MisfitError where it does not.
        """
        assert self.sharing is not None
        try:
            spec = loads_source(self.source)
        except MtlError as error:
            raise MisfitError(error.diagnostics) from error
        outlined = outline(self.source)
        said = {key: _meaning(piece) for key, piece in _keyed(outlined).items()}
        found = {layer: set(parts) for layer, parts in spec.sharing.components.items()}
        wanted = {layer: set(parts) for layer, parts in self.sharing.components.items()}
        tasks = tuple(key for key in said if key in self.order.names)
        if said != self._intended(conflicts) or found != wanted or tasks != self.order.names:
            raise MisfitError
        layers = merged_layers(base, self.sides.ours, self.sides.theirs, self.take)
        if [key for key in said if key.startswith("backbone.")] != [key for key in layers if key in said]:
            raise MisfitError
        if sorted(map(repr, spec.history)) != sorted(map(repr, self.history.decisions)):
            raise MisfitError

    def _intended(self, conflicts: Sequence[Conflict]) -> dict[str, object]:
        """What every piece is to say, by its key."""
        sides = [_keyed(each) for each in self.sides.outlines()]
        own = _keyed(self.own)
        found: dict[str, object] = {}
        for key in dict.fromkeys(key for side in sides for key in side):
            if any(conflict.about(key) for conflict in conflicts if conflict.key != "tasks"):
                if key in own:
                    found[key] = _meaning(own[key])
                continue
            old, mine, other = (side.get(key) for side in sides)
            pick = decided(*(piece and _meaning(piece) for piece in (old, mine, other)))
            if pick is None and mine and other:
                pick = _merged_list(old, mine, other)
            if pick is None:
                raise MisfitError
            if pick[0] is not None:
                found[key] = pick[0]
        return found


def _keyed(outlined: Outline) -> dict[str, Piece]:
    """All pieces but the blocks that the runtime keeps."""
    return {piece.key: piece for top in outlined.pieces if not is_runtime(top.node) for piece in (top, *top.children)}


def _meaning(piece: Piece) -> object:
    node = piece.node
    return (node.labels, node.listed) if isinstance(node, tree.Section) else node


def _merged_list(old: Piece | None, mine: Piece, other: Piece) -> tuple[object] | None:
    """What a block with a list of names is to say where both sides changed the list."""
    before = old.node if old and isinstance(old.node, tree.Section) else None
    if not (isinstance(mine.node, tree.Section) and isinstance(other.node, tree.Section)):
        return None
    labels = merged_labels(before, mine.node, other.node)
    return labels and ((labels[0], mine.node.listed),)


def hold_comments(sides: Sides, merged: Source) -> None:
    """Hold that no comment is lost that a side added or that all have. Raises MisfitError where one is."""
    before, mine, other = (Counter(comment.text for comment in each.file.comments) for each in sides.outlines())
    needed = (mine - before) | (other - before)
    needed |= Counter(text for text in before if before[text] == mine[text] == other[text] == 1)
    if needed - Counter(comment.text for comment in find_comments(merged)):
        raise MisfitError
