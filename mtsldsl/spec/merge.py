"""The three-way merge of specs that evolved apart: on the sharing by its algebra, on the rest key by key.

The merged text is our text with the other side's changes edited into it, so that layout and comments survive. What both
sides changed differently is a conflict, and is marked in the text as git marks it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.spec.build import build
from mtsldsl.spec.load import loads_source
from mtsldsl.spec.merge_comments import wanted_comments, with_comments
from mtsldsl.spec.merge_history import History, merge_history, with_history
from mtsldsl.spec.merge_pieces import RUNTIME, merge_pieces
from mtsldsl.spec.merge_sharing import Settled, settle, with_sharing
from mtsldsl.spec.model import Decision, Spec
from mtsldsl.spec.outline import TAIL, Node, Outline, Piece, as_lines, first_line, opened, outline
from mtsldsl.spec.rewrite import decision_line
from mtsldsl.spec.sharing_block import covered
from mtsldsl.spec.threeway import Conflict, decided
from mtsldsl.syntax import parse, tree
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.edit import TextEdit, apply_edits

MARKER = 7
"""The length of a conflict's markers, git's own."""


@attrs.frozen
class Merged:
    """A merged text. It is a spec that loads where there are no conflicts, and has their markers where there are.

    `notes` say what was left out because the merged network has no place for it.
    """

    source: Source
    conflicts: tuple[Conflict, ...]
    notes: tuple[str, ...] = ()


def merge_specs(base: Source, ours: Source, theirs: Source, *, marker: int = MARKER) -> Merged:
    """The text that has the changes of both sides since `base`, an empty text where they have nothing in common.

    What the three import is read from the disk as it is now.

    Raises MtlError: what is wrong with one of the three, or, where all that was changed fits but the whole does not,
    what is wrong with it; MTL704 where the text cannot be edited so that it says what it should.
    """
    specs = [None if _blank(base) else loads_source(base), loads_source(ours), loads_source(theirs)]
    if theirs.text in (base.text, ours.text):
        return Merged(ours, ())
    if base.text == ours.text:
        return Merged(attrs.evolve(theirs, name=ours.name, bom=ours.bom), ())
    before, mine, other = specs
    assert mine is not None
    assert other is not None
    return _Sides(opened(base), ours, opened(theirs), before, mine, other, marker).merged()


def _blank(source: Source) -> bool:
    return not parse(source).statements


class _Sides:
    """The three sides of a merge, read in every way that the merge needs."""

    def __init__(
        self, base: Source, ours: Source, theirs: Source, before: Spec | None, mine: Spec, other: Spec, marker: int
    ) -> None:
        self.base, self.theirs = outline(base), outline(theirs)
        self.ours = outline(opened(ours, _changed_blocks(self.base, self.theirs)))
        self.before, self.mine, self.other = before, mine, other
        self.marker = marker
        self.name = ours.name

    def merged(self) -> Merged:
        """The merge, step by step; each step edits the text that the one before it made."""
        edits, conflicts = merge_pieces(self.base, self.ours, self.theirs)
        source = attrs.evolve(self.ours.file.source, text=apply_edits(self.ours.text, edits))
        network = self.network(source, conflicts)
        settled = settle(self.before, self.mine, self.other, network.backbone, network.sharing.tasks)
        history = merge_history(self.before, self.mine, self.other, network.backbone.layers, network.sharing.tasks)
        source = with_sharing(source, settled, [self.mine.backbone, self.other.backbone])
        source = with_history(source, self.written(), history)
        source = self.commented(source, settled, conflicts)
        conflicts = [*conflicts, *settled.conflicts()]
        if not conflicts:
            self.check(source, settled, history)
        marked = attrs.evolve(source, text=apply_edits(source.text, _marks(outline(source), conflicts, self.marker)))
        self.check_comments(marked)
        dropped = [
            decision_line(each, (*self.mine.sharing.tasks, *self.other.sharing.tasks)) for each in history.dropped
        ]
        notes = tuple(f"left out of the history, for it names a layer or task that is gone: {line}" for line in dropped)
        return Merged(marked, tuple(conflicts), notes)

    def network(self, source: Source, conflicts: Iterable[Conflict]) -> Spec:
        """The merged network, its sharing and history left out. Where conflicts keep it from being one it is ours."""
        file = parse(attrs.evolve(source, name=f"{source.name} (merged)"))
        kept = tuple(each for each in file.statements if not _is_runtime(each))
        try:
            return build(attrs.evolve(file, statements=kept))
        except MtlError as error:
            if list(conflicts):
                return self.mine
            advice = Diagnostic(
                "MTL704",
                f"both sides' changes of {self.name} can be put together, but what comes out is no sound spec",
                "merge by hand, or change one side so that they fit",
            )
            raise MtlError([advice, *error.diagnostics]) from None

    def written(self) -> dict[str, Decision]:
        """The decision of every line of any `history`, by the line's node."""
        found: dict[str, Decision] = {}
        for outlined, spec in ((self.ours, self.mine), (self.theirs, self.other)):
            block = next((piece for piece in outlined.pieces if piece.key == "history"), None)
            if block:
                nodes = [repr(piece.node) for piece in block.children]
                found.update(zip(nodes, spec.history, strict=True))
        return found

    def commented(self, source: Source, settled: Settled, conflicts: Iterable[Conflict]) -> Source:
        """The text with the comments of both sides."""
        lines = {
            layer: f"sharing.{item.key.text}"
            for piece in outline(source).pieces
            if piece.key == "sharing" and isinstance(piece.node, tree.Section)
            for item in piece.node.items
            if isinstance(item, tree.Entry)
            for layer in covered(item, settled.backbone)
        }
        inside = {key for conflict in conflicts for key in conflict.pieces}

        def home(key: str) -> str | None:
            if key.startswith("history "):
                return f"history{TAIL}"
            return lines.get(key.removeprefix("sharing.")) if key.startswith("sharing.") else None

        def skipped(key: str) -> bool:
            return any(key == each or key.startswith((f"{each}.", f"{each}{TAIL}")) for each in inside)

        wanted = wanted_comments(self.base, self.ours, self.theirs)
        return with_comments(source, self.ours, self.theirs, wanted, home, skipped)

    def check(self, source: Source, settled: Settled, history: History) -> None:
        """Hold that the merged text says what it should, and nothing else. Raises MtlError MTL704 where it does not."""
        try:
            spec = loads_source(source)
        except MtlError as error:
            raise self.refusal() from error
        intended = self.intended()
        said = {key: _meaning(piece) for key, piece in _keyed(outline(source)).items()}
        sharing = {layer: set(parts) for layer, parts in spec.sharing.components.items()}
        if (
            said != intended
            or sharing != {layer: set(parts) for layer, parts in settled.components.items()}
            or sorted(map(repr, spec.history)) != sorted(map(repr, history.decisions))
        ):
            raise self.refusal()

    def intended(self) -> dict[str, object]:
        """What every piece is to say, by its key."""
        sides = [
            {key: _meaning(piece) for key, piece in _keyed(each).items()}
            for each in (self.base, self.ours, self.theirs)
        ]
        found: dict[str, object] = {}
        for key in dict.fromkeys(key for side in sides for key in side):
            pick = decided(*(side.get(key) for side in sides))
            if pick is None:
                raise self.refusal()
            if pick[0] is not None:
                found[key] = pick[0]
        return found

    def check_comments(self, merged: Source) -> None:
        """Hold that no comment is lost that a side added or that all have. Raises MtlError MTL704 where one is."""
        before, mine, other = (
            Counter(comment.text for comment in each.file.comments) for each in (self.base, self.ours, self.theirs)
        )
        needed = (mine - before) | (other - before)
        needed |= Counter(text for text in before if before[text] == mine[text] == other[text] == 1)
        if needed - Counter(comment.text for comment in find_comments(merged)):
            raise self.refusal()

    def refusal(self) -> MtlError:
        """That the text cannot be edited as it should."""
        return MtlError.of(
            "MTL704",
            f"the changes of the other side cannot be edited into {self.name} so that it says what it should",
            "merge by hand; it helps to give every entry lines of its own",
        )


def _changed_blocks(base: Outline, theirs: Outline) -> list[str]:
    """The blocks whose text is not the same on both."""
    former = {piece.key: piece.node.span.text for piece in base.pieces}
    return [piece.key for piece in theirs.pieces if former.get(piece.key) != piece.node.span.text]


def _is_runtime(node: Node) -> bool:
    return isinstance(node, tree.Section) and node.kind.text in RUNTIME


def _keyed(outlined: Outline) -> dict[str, Piece]:
    """All pieces but the blocks that the runtime keeps."""
    return {piece.key: piece for top in outlined.pieces if not _is_runtime(top.node) for piece in (top, *top.children)}


def _meaning(piece: Piece) -> object:
    node = piece.node
    return (node.labels, node.listed) if isinstance(node, tree.Section) else node


def _marks(outlined: Outline, conflicts: Iterable[Conflict], marker: int) -> list[TextEdit]:
    """The edits that put markers around the pieces in conflict, with the other side's lines."""
    pieces = outlined.everything()
    edits = []
    for conflict in conflicts:
        ours = [pieces[key] for key in conflict.ours if key in pieces]
        if ours:
            start, end = min(piece.start for piece in ours), max(piece.end for piece in ours)
        else:
            start = end = _place(outlined, pieces, conflict)
        edits.append(as_lines(outlined.text, start, [f"{'<' * marker} ours"]))
        edits.append(as_lines(outlined.text, end, ["=" * marker, *conflict.theirs, f"{'>' * marker} theirs"]))
    return edits


def _place(outlined: Outline, pieces: dict[str, Piece], conflict: Conflict) -> int:
    """Where the pieces of a conflict would stand that are not there."""
    for key in conflict.after:
        if key in pieces:
            return pieces[key].end
    if conflict.section in pieces:
        return first_line(outlined.text, pieces[conflict.section])
    return len(outlined.text)
