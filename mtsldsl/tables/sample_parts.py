"""Which samples are for training, for validation and for the test, by the seed and by what is said of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError
from mtsldsl.division import CALLED_ELSEWHERE, SPLITS, Shares, divided, trained_on

Rows: TypeAlias = NDArray[np.int64]


@attrs.frozen(eq=False)
class Mark:
    """What is said of each sample in a word: a column of a table, or an array. A word is empty where nothing is said.

    `called` is what it is called in a report, and `place` where a sample stands in it; `misread` makes the report of
    samples of which it says what it should not, with why not and what to do."""

    called: str
    words: Sequence[str]
    place: Callable[[int], str]
    misread: Callable[[Sequence[int], str, str], MtlError]

    @classmethod
    def of_entries(cls, called: str, words: Sequence[str], place: Callable[[int], str]) -> Mark:
        """Of what has no cells, so that the place of a sample says all."""

        def misread(rows: Sequence[int], what: str, remedy: str) -> MtlError:
            more = f"; {len(rows) - 1} more of its kind" if len(rows) > 1 else ""
            return MtlError.of("MTL602", f"{place(rows[0])} holds `{words[rows[0]]}`, {what}{more}", remedy)

        return cls(called, words, place, misread)

    def only(self, rows: Rows) -> Mark:
        """What is said of these samples alone, which are counted anew."""
        own = rows.tolist()
        return Mark(
            self.called,
            [self.words[row] for row in own],
            lambda row: self.place(own[row]),
            lambda found, what, remedy: self.misread([own[row] for row in found], what, remedy),
        )


def word_of_entry(entry: str | bytes | float | bool) -> str:
    """What an entry says of a sample: a name as it is, a number as `3` also where it is `3.0`, nothing for NaN."""
    if isinstance(entry, bytes):
        return entry.decode(errors="replace").strip()
    if isinstance(entry, str):
        return entry.strip()
    number = float(entry)
    return "" if np.isnan(number) else str(int(entry)) if number.is_integer() else str(number)


@attrs.frozen(eq=False)
class Marks:
    """Which part samples are in (`split`), which of them stay together (`group`), and of which classes every part has
    its share (`stratify`)."""

    split: Mark | None = None
    group: Mark | None = None
    stratify: Mark | None = None

    def only(self, rows: Rows) -> Marks:
        """What is said of these samples alone, which are counted anew."""
        return Marks(*(mark and mark.only(rows) for mark in (self.split, self.group, self.stratify)))


def parted(
    whole: str,
    count: int,
    marks: Marks,
    shares: Shares,
    *,
    given: Mapping[str, Rows] | None = None,
    broken: Collection[int] = (),
) -> dict[str, Rows]:
    """The numbers of the samples of each split, in their order. `whole` is what holds them, such as a file.

    The parts are `given`, or `split` says them, or seeded parts are taken as of other data: of the samples, or of the
    groups. What is not said of validation is a seeded part of the training samples, and
    of what is left as many are drawn as are trained on.
    Of samples that are `broken` the marks say nothing, so that they are in no part; where there is no mark they count
    as any others. Raises MTL602 for words that say no split, no group or no class, and for a group in two splits;
    MTL804 where a split has no sample, or training too few.
    """
    assert marks.group is None or marks.stratify is None  # which `ir` reports
    if broken and any((marks.split, marks.group, marks.stratify)):
        told = np.setdiff1d(np.arange(count), list(broken))
        own = given and {part: np.searchsorted(told, np.intersect1d(rows, told)) for part, rows in given.items()}
        found = parted(whole, len(told), marks.only(told), shares, given=own)
        return {part: told[rows] for part, rows in found.items()}
    groups = np.arange(count) if marks.group is None else _groups(marks.group)
    strata = None if marks.stratify is None else _strata(marks.stratify)
    found = dict(given) if given is not None else {} if marks.split is None else _said(marks.split)
    if not found:
        found["train"], found["test"] = _divided(np.arange(count), groups, strata, shares.test, shares.seed)
    elif marks.group is not None:
        _require_whole(marks.group, groups, found)
    if "validation" not in found:
        found["train"], found["validation"] = _divided(
            found["train"], groups, strata, shares.validation, shares.seed + 1
        )
    elif marks.stratify is not None and (given is not None or marks.split is not None):
        cause = f"{whole} says of every sample which part it is in, and nothing is left to `stratify`"
        raise MtlError.of("MTL602", cause, "leave `stratify` out")
    for part in SPLITS:
        if not len(found[part]):
            holder, what = (whole, "sample") if marks.group is None else (marks.group.called, "group")
            many = len(np.unique(groups))
            cause = f"{holder} has {many} {what if many == 1 else f'{what}s'}, and none is left for {part}"
            raise MtlError.of("MTL804", cause, "add samples to it")
    train = found["train"]
    of_classes = None if strata is None else strata[train]
    return {**found, "train": train[trained_on(len(train), shares.train_samples, shares.seed, whole, of_classes)]}


def _groups(mark: Mark) -> Rows:
    """The number of each sample's group."""
    missing = [row for row, word in enumerate(mark.words) if not word]
    if missing:
        raise mark.misread(missing, "which says no group", "fill it in, with a name of its own if need be")
    return _numbered(mark.words)


def _numbered(words: Sequence[str]) -> Rows:
    return np.unique(np.array(words, dtype=object), return_inverse=True)[1].astype(np.int64)


def _strata(mark: Mark) -> Rows:
    """The number of each sample's class; samples of which none is said are a class as well. Raises MTL602 where most
    words are said once, as of numbers that are measured."""
    counted = Counter(filter(None, mark.words))
    alone = sum(count == 1 for count in counted.values())
    if 2 * alone > counted.total():
        row = next(row for row, word in enumerate(mark.words) if counted[word] == 1)
        remedy = "name one of classes, or of yes and no, or leave `stratify` out"
        what = f"which no other sample has, and so it is with {alone} of {counted.total()}: these are no classes"
        raise mark.misread([row], what, remedy)
    return _numbered(mark.words)


def _divided(rows: Rows, groups: Rows, strata: Rows | None, part: float, seed: int) -> tuple[Rows, Rows]:
    """All of the rows but those of a seeded part of their groups, and these."""
    present = np.unique(groups[rows])
    kept, held = divided(len(present), part, seed, None if strata is None else strata[rows])
    return rows[np.isin(groups[rows], present[kept])], rows[np.isin(groups[rows], present[held])]


def _said(mark: Mark) -> dict[str, Rows]:
    """The rows of the splits that are named: training and test, and validation where any word says so."""
    words = [word.lower() for word in mark.words]
    wrong = [row for row, word in enumerate(words) if word not in SPLITS]
    if wrong:
        meant = CALLED_ELSEWHERE.get(words[wrong[0]])
        remedy = f"write `{meant}`" if meant else "write `train`, `validation` or `test` of every sample"
        raise mark.misread(wrong, "which is no split", remedy)
    found = {split: np.flatnonzero(np.array(words) == split) for split in SPLITS}
    for split in ("train", "test"):
        if not len(found[split]):
            cause = f"no sample says `{split}` in {mark.called}"
            raise MtlError.of("MTL602", cause, "write it of some, or leave `split` out, for parts by the seed")
    return found if len(found["validation"]) else {"train": found["train"], "test": found["test"]}


def _require_whole(mark: Mark, groups: Rows, found: Mapping[str, Rows]) -> None:
    """Raises MTL602 where a group has samples in two splits."""
    where: dict[int, tuple[str, int]] = {}
    for split, rows in found.items():
        for row in rows.tolist():
            before, first = where.setdefault(int(groups[row]), (split, row))
            if before != split:
                places = f"{before} ({mark.place(first)}) and in {split} ({mark.place(row)})"
                cause = f"`{mark.words[row]}` of {mark.called} is in {places}"
                raise MtlError.of("MTL602", cause, "put all samples of a group into one split, or leave `group` out")
