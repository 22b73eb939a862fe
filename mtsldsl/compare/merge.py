"""The three-way merge of specs that evolved apart: on the sharing by its algebra, on the rest key by key.

The merged text is our text with the other side's changes edited into it, so that layout and comments survive. Where
both sides changed something differently the merge is made twice, with our side at every conflict and with the other;
each must be a sound spec that says what it should, and the text with markers is the two of them put together. So either
side can be taken everywhere, and what depends on a conflict, such as the sharing of a layer that only one side has, is
marked with it. Where the changes fit piece by piece but the whole is no sound spec, everything that differs is in
conflict.
"""

from __future__ import annotations

import attrs

from mtsldsl.compare.merge_comments import moved_comments, wanted_comments
from mtsldsl.compare.merge_draft import Draft, MisfitError, Sides, hold_comments
from mtsldsl.compare.merge_history import dropped_lines
from mtsldsl.compare.merge_marks import Markers, marked
from mtsldsl.compare.merge_names import called_alike
from mtsldsl.compare.merge_pieces import estranged, merge_pieces
from mtsldsl.compare.merge_runs import as_before
from mtsldsl.compare.merge_sharing import left_out, settle
from mtsldsl.compare.outline import Outline
from mtsldsl.compare.threeway import Conflict
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing.load import loads_source
from mtsldsl.records import Record
from mtsldsl.syntax import parse
from mtsldsl.syntax.format import format_text


@attrs.frozen(eq=False, repr=False)
class Merged(Record):
    """A merged text. It is a spec that loads where there are no conflicts, and has their markers where there are.

    `notes` say which names a side changed, which settings of a run are as before, and what was left out because the
    merged network has no place for it.
    """

    source: Source
    conflicts: tuple[Conflict, ...]
    notes: tuple[str, ...] = ()


def merge_specs(base: Source, ours: Source, theirs: Source, *, markers: Markers | None = None) -> Merged:
    """The text that has the changes of both sides since `base`, an empty text where they have nothing in common.

    What the three import is read from the disk as it is now.

    Raises MtlError: what is wrong with one of the three; MTL704 where no text can be edited so that it says what it
    should.
    """
    before = None if _blank(base) else loads_source(base)
    mine, other = loads_source(ours), loads_source(theirs)
    if theirs.text in (base.text, ours.text):
        return Merged(ours, ())
    if base.text == ours.text:
        return Merged(attrs.evolve(theirs, name=ours.name, bom=ours.bom), ())
    ours, theirs, of_runs = as_before(base, ours, theirs)
    if of_runs:
        mine, other = loads_source(ours), loads_source(theirs)
    formatted = _is_formatted(ours) and _is_formatted(theirs)
    renamed: tuple[str, ...] = ()
    if before is None:
        sides = Sides.of(base, None, mine, other, formatted, {})
    else:
        alike = called_alike(before, mine, other)
        renamed = alike.notes
        sides = Sides.of(alike.base.source, alike.base, alike.ours, alike.theirs, formatted, alike.rivals)
    markers = markers or Markers()
    try:
        merged = _merged(sides, sides.base, None, markers)
    except MisfitError as misfit:
        merged = _all_in_conflict(sides, misfit, markers)
    return attrs.evolve(merged, notes=(*renamed, *of_runs, *merged.notes))


def _blank(source: Source) -> bool:
    return not parse(source).statements


def _is_formatted(source: Source) -> bool:
    return format_text(source) == source.text


def _merged(sides: Sides, base: Outline, reason: str | None, markers: Markers) -> Merged:
    """The merge of the pieces since that base; `reason` is why there are conflicts, if it is another than usual.

    Raises MisfitError where a text that comes out is no sound spec, or cannot be made to say what it should.
    """
    takes = ("ours", "theirs")
    merges = [merge_pieces(base, sides.ours, sides.theirs, take, sides.rivals) for take in takes]
    drafts = [Draft.of(sides, take, edits) for take, (edits, _) in zip(takes, merges, strict=True)]
    conflicts = merges[0][1]
    if reason:
        conflicts = [attrs.evolve(conflict, reason=reason) for conflict in conflicts]
    conflicts += drafts[0].order_conflicts
    settled, undecided = settle(sides.before, sides.mine, sides.other, (drafts[0].network(), drafts[1].network()))
    conflicts += undecided
    if not conflicts:
        drafts.pop()
    drafts = [draft.settled(each) for draft, each in zip(drafts, settled, strict=False)]
    keys = [draft.keys() for draft in drafts]
    drafts = [draft.commented(conflicts, keys[-1 - place]) for place, draft in enumerate(drafts)]
    for draft in drafts:
        draft.hold(base, conflicts)
    source, named = drafts[0].source, tuple(conflicts)
    if conflicts:
        source, named = marked(sides.base, source, drafts[1].source, conflicts, markers)
    hold_comments(sides, source)
    lost = left_out(sides.before, sides.mine, sides.other, settled)
    gone = dropped_lines([draft.history for draft in drafts], (*sides.mine.sharing.tasks, *sides.other.sharing.tasks))
    moved = moved_comments(wanted_comments(*sides.outlines()), set().union(*keys))
    return Merged(source, named, (*lost, *gone, *moved))


def _all_in_conflict(sides: Sides, misfit: MisfitError, markers: Markers) -> Merged:
    """The merge in which each side stands by itself."""
    try:
        return _merged(sides, estranged(sides.ours, sides.theirs), str(misfit), markers)
    except MisfitError as error:
        refusal = MtlError.of(
            "MTL704",
            f"the changes of the other side cannot be edited into {sides.name} so that it says what it should",
            "merge by hand; it helps to give every entry lines of its own",
        )
        raise MtlError([*refusal.diagnostics, *error.diagnostics]) from error
