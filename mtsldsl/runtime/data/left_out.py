"""Samples that are left out because they cannot be used, as `on_error = skip` says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mtsldsl.diagnostics.bounded import named
from mtsldsl.diagnostics.counted import counted

_SAID = "left out, as `on_error = skip` says"


def remarks_on_left_out(causes: Mapping[str, str], count: int, whose: str) -> Iterator[str]:
    """What a person should know of them: how many of `count` samples of `whose` they are, the first names, and what is
    wrong with the first. `causes` has what is wrong with each, by its name; where there is none, nothing is said."""
    if causes:
        verb = "is" if len(causes) == 1 else "are"
        yield (
            f"{len(causes)} of {counted(count, 'sample')} of `{whose}` {verb} {_SAID}: "
            f"{named(list(causes))}; of the first: {next(iter(causes.values()))}"
        )


def told_of_left_out(remarks: Iterable[str]) -> list[str]:
    """Those of a data set's remarks that are about samples which are left out."""
    return [remark for remark in remarks if _SAID in remark]
