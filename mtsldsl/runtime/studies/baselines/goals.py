"""What a learned structure is for, said of each budget in a sentence: as good as the best static shape, better than
what a person would pick, and no dearer than to train two networks."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean, median

from mtsldsl.runtime.studies.baselines.comparison import (
    BEST,
    BEST_TAUGHT,
    PICKED,
    PICKED_TAUGHT,
    Against,
    Comparison,
    Line,
)
from mtsldsl.runtime.studies.baselines.paired import FEWEST, LEVEL, Paired

WITHIN = 0.5
"""Points of Delta-m that a learned network may be below the best static shape."""

OVER = 1.0
"""Points that it is to be above what a person would pick."""

TRAININGS = 2.0
"""Trainings of a static network that a budget may cost."""


def goals(comparison: Comparison) -> Iterator[str]:
    """A sentence for each learned row with a budget, of which anything can be said: it diverged with no seed, and there
    are enough of them."""
    for line in comparison.lines:
        enough = len(line.entries) >= FEWEST and not line.diverged
        if line.row.kind == "learned" and line.row.budget is not None and enough:
            clauses = (*_gains(line, comparison), _cost(line, comparison))
            yield f"{line.name}, the goal: {'; '.join(clauses)}."


def word(low: float | None, high: float | None, least: float) -> str:
    """Whether an interval shows that something is so much at least."""
    if low is not None and low >= least:
        return "shown"
    return "shown not to be" if high is not None and high < least else "not shown"


def _gains(line: Line, comparison: Comparison) -> Iterator[str]:
    against = comparison.against(line)
    best, picked = (BEST_TAUGHT, PICKED_TAUGHT) if BEST_TAUGHT in against else (BEST, PICKED)
    for kind, wanted, least in (
        (best, f"within {WITHIN:g} points of the best static shape", -WITHIN),
        (picked, f"at least {OVER:g} point over what a person would pick", OVER),
    ):
        if kind not in against:
            yield f"{wanted}: not shown, as there is none to compare with"
            continue
        found = against[kind]
        yield f"{wanted}, {found.other}: {_shown(found, least)}, {found.told()}"


def _shown(found: Against, least: float) -> str:
    """Of a difference as it is judged; where the row alone has lost a metric, it holds with that too."""
    judged = found.judged
    if judged is None or judged.count < FEWEST:
        return "not shown"
    said = word(judged.low, judged.high, least)
    whole = word(found.difference.low, found.difference.high, least)
    return "not shown" if said == "shown" != whole and found.lost else said


def _cost(line: Line, comparison: Comparison) -> str:
    wanted = f"at most {TRAININGS:g} trainings of a static network of at most this budget"
    ratios = trainings(line, comparison)
    found = Paired.of(ratios)
    if found is None:
        return f"{wanted}: not shown, as the CPU seconds are not known"
    if found.low is None or found.high is None or found.count < FEWEST:
        return f"{wanted}: not shown, {median(ratios):.2f} of {found.count}"
    said = word(-found.high, -found.low, -TRAININGS)
    reach = f"{100 * LEVEL:.0f} % interval of the mean {found.low:.2f} to {found.high:.2f}, {found.count} seeds"
    return f"{wanted}: {said}, {median(ratios):.2f} in the median ({reach})"


def trainings(line: Line, comparison: Comparison) -> list[float]:
    """What its run costs for each of the budgets that it gives a network of, in trainings of a static network: the mean
    of those that the row is compared with, of the same seed. Of the seeds of which all CPU seconds are known."""
    static = [
        {run.seed: run.outcome.cpu_seconds for run in each.ended} for each in comparison.rivals(line, line.row.taught)
    ]
    found = []
    for run in line.ended:
        seconds = [each.get(run.seed) for each in static]
        known = [each for each in seconds if each is not None]
        if run.outcome.cpu_seconds is None or not known or len(known) < len(seconds):
            continue
        networks = sum(
            other.outcome.folder == run.outcome.folder
            for each in comparison.lines
            if each.row.kind == "learned"
            for other in each.ended
        )
        found.append(run.outcome.cpu_seconds / networks / fmean(known))
    return found
