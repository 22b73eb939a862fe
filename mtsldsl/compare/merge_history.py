"""The three-way merge of `history`: the decisions of both sides, in the order of their epochs, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import cast

import attrs

from mtsldsl.compare.outline import Outline, Piece, as_lines, first_line, indent_of, opened, outline, without
from mtsldsl.compare.threeway import counted
from mtsldsl.diagnostics import Source
from mtsldsl.editing.rewrite import decision_line
from mtsldsl.ir.model import Decision, Spec
from mtsldsl.language.kinds import Alternatives, LayerName, Tasks
from mtsldsl.language.operators.arguments import number
from mtsldsl.methods.registry import decision_rules
from mtsldsl.records import Record
from mtsldsl.sharing import Backbone
from mtsldsl.syntax.edit import TextEdit, append_section, apply_edits


@attrs.frozen(eq=False, repr=False)
class History(Record):
    """The decisions to be in the merged text, those of ours first, and those that cannot be.

    A decision about a layer, an alternative or a task that the merged network does not have is `dropped`.
    """

    decisions: tuple[Decision, ...]
    dropped: tuple[Decision, ...]


NO_HISTORY = History((), ())


def merge_history(base: Spec | None, ours: Spec, theirs: Spec, backbone: Backbone, tasks: Sequence[str]) -> History:
    """The decisions of both sides; one that a side took away is gone, and what both decided is there once."""
    sides = [[*map(repr, spec.history)] if spec else [] for spec in (base, ours, theirs)]
    wanted = counted(*sides)
    lists: tuple[list[Decision], list[Decision]] = ([], [])
    for spec, picked_here in zip((ours, theirs), lists, strict=True):
        for decision in spec.history:
            if wanted[repr(decision)]:
                wanted[repr(decision)] -= 1
                picked_here.append(decision)
    picked = _once(*lists, {*sides[0], *(set(sides[1]) & set(sides[2]))})
    fitting = [each for each in picked if _fits(each, backbone, tasks)]
    return History(tuple(fitting), tuple(each for each in picked if each not in fitting))


def _once(ours: Sequence[Decision], theirs: Sequence[Decision], shared: Collection[str]) -> list[Decision]:
    """The decisions without the second of two on one subject, such as the same tasks at the same layer, one on each
    side.

    Two runs come to one decision with another similarity, or after another epoch: the earlier stays, of equal ones
    the stronger, such as that of the higher similarity. Those that are `shared` already, by their repr, are not
    compared.
    """
    kept = list(ours)
    alone = [place for place, each in enumerate(ours) if repr(each) not in shared]
    for decision in theirs:
        same = [place for place in alone if repr(decision) not in shared and _what(kept[place]) == _what(decision)]
        if same:
            alone.remove(same[0])
            kept[same[0]] = min(kept[same[0]], decision, key=_rank)
        else:
            kept.append(decision)
    return kept


def _fits(decision: Decision, backbone: Backbone, tasks: Collection[str]) -> bool:
    """Whether all layers, alternatives and tasks that the decision names are there."""
    keys = decision_rules()[decision.kind].call.keys
    layers = [str(decision.fields[key.name]) for key in keys if isinstance(key.kind, LayerName)]
    known = {name for layer in layers if layer in backbone for name in backbone.alternatives(layer)}
    there = {Tasks: set(tasks), Alternatives: known}
    return all(layer in backbone for layer in layers) and all(
        set(cast("tuple[str, ...]", decision.fields[key.name])) <= there[type(key.kind)]
        for key in keys
        if type(key.kind) in there
    )


def _rank(decision: Decision) -> tuple[int, float]:
    rule = decision_rules()[decision.kind]
    strength = number(decision.fields, rule.strength) if rule.strength else 0.0
    return decision.epoch, -strength if rule.rising else strength


def _what(decision: Decision) -> tuple[object, ...]:
    """What was decided: its kind and its subject, of which the order of tasks is no part."""
    fields = (decision.fields[name] for name in decision_rules()[decision.kind].subject)
    return decision.kind, *(frozenset(value) if isinstance(value, tuple) else value for value in fields)


def dropped_lines(histories: Sequence[History], tasks: Sequence[str]) -> Iterator[str]:
    """What is said of decisions that none of the texts has."""
    for decision in histories[0].dropped:
        if all(decision in history.dropped for history in histories):
            yield (
                "left out of the history, for it names a layer, task or alternative that is gone: "
                f"{decision_line(decision, tasks)}"
            )


def with_history(source: Source, written: Mapping[str, Decision], history: History) -> Source:
    """The text with these decisions in its `history` block: lines that stay are left as they are.

    `written` gives for the repr of the node of every line the decision that it is.
    """
    outlined = outline(source)
    block = next((piece for piece in outlined.pieces if piece.key == "history"), None)
    waiting = list(history.decisions)
    if block is None:
        if not waiting:
            return source
        waiting.sort(key=lambda decision: decision.epoch)
        section = "\n".join(["history {", *(f"  {_line(decision)}" for decision in waiting), "}"])
        return attrs.evolve(source, text=apply_edits(source.text, [append_section(outlined.file, section)]))
    kept: list[tuple[Piece, Decision]] = []
    gone: list[Piece] = []
    for piece in block.children:
        decision = written.get(repr(piece.node))
        if decision in waiting:
            assert decision is not None
            waiting.remove(decision)
            kept.append((piece, decision))
        else:
            gone.append(piece)
    if not waiting and not gone:
        return source
    roomy = opened(source, ["history"])
    if roomy.text != source.text:
        return with_history(roomy, written, history)
    if not kept and not waiting and not block.all_comments:
        return attrs.evolve(source, text=apply_edits(source.text, [without(outlined, block)]))
    edits = [without(outlined, piece) for piece in gone]
    edits += _insertions(outlined, block, kept, waiting)
    return attrs.evolve(source, text=apply_edits(source.text, edits))


def _insertions(
    outlined: Outline, block: Piece, kept: Sequence[tuple[Piece, Decision]], new: Sequence[Decision]
) -> Iterator[TextEdit]:
    """Each new decision after the last one that is not later."""
    text, indent = outlined.text, indent_of(outlined.text, block)
    for decision in sorted(new, key=lambda decision: decision.epoch):
        place = first_line(text, block)
        for piece, other in kept:
            if other.epoch <= decision.epoch:
                place = piece.end
        yield as_lines(text, place, [indent + _line(decision)])


def _line(decision: Decision) -> str:
    """The decision as it stands in the text that it comes from."""
    if decision.span is None:
        raise ValueError(f"{decision} comes from no text")
    return " ".join(decision.span.text.split()) if "#" not in decision.span.text else decision.span.text
