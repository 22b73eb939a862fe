"""Is it worth measuring which tasks to train together? The runs behind
docs/results/grouping.md, each a process of its own.

    python benchmarks/grouping_study.py --data data/nyuv2 --jobs 2 --seeds 0 1 2

The four scene tasks of `specs/nyuv2_small.mtl`, every layer shared by the tasks of a network, the sum of the losses. A
network is trained for each of the 15 sets of tasks with each seed, which is enough for every grouping: groups have
nothing in common. One more run of all tasks measures transference. Choices of two and of three networks are compared:

- by transference: `select_groups` with what the run of the same seed measured; groups may overlap, and a task is
  answered by the group that serves it;
- at random: the mean over all partitions into so many groups;
- the best of all partitions into so many, of all 15 too, by the mean gain over single tasks on validation; and the best
  by the very test that is reported, which no choice can be relied on to reach;
- all tasks together, and every task alone.

Then the network of all four tasks with other ways to combine losses or gradients. Prints Delta-m on the test set
against the single-task networks (the mean relative gain in percent, higher is better), its spread over seeds, and what
it costs to choose, to train and to use. Runs that are in --results are not made again.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from typing import TypeAlias

import attrs
import numpy as np
from kept_runs import Metrics, Result, Run, add_options, results_of, spread

from mtsldsl.runtime.studies.gain import Gain, delta_m
from mtsldsl.sharing.overlapping import decide_groups

SPEC = Path(__file__).parent.parent / "specs" / "nyuv2_small.mtl"
TASKS = ("segment", "depth", "normal", "edge")
SHARED = "\nsharing {\n  stem..dec1 = all\n}\n"
MEASURED = "measured"
TRANSFERENCE = "structure transference {\n  every = 10\n}\n"
BUDGETS = (2, 3)
BALANCES = ("equal", "relative", "uncertainty", "pcgrad", "mgda", "imtl_g", "stch")

Group: TypeAlias = frozenset[str]
Partition: TypeAlias = tuple[Group, ...]

ALL = frozenset(TASKS)
SETS = tuple(frozenset(chosen) for size in range(1, 5) for chosen in combinations(TASKS, size))


def text_of(tasks: Group, structure: str = "") -> str:
    """The spec of one network of some tasks: that of nyuv2_small with every layer shared."""
    text = SPEC.read_text(encoding="utf-8")
    text = re.sub(r"structure \w+ \{.*?\n\}\n", structure, text, flags=re.DOTALL)
    for task in {"autoencode", *TASKS} - tasks:
        text = re.sub(rf"task {task} \{{.*?\n\}}\n\n", "", text, flags=re.DOTALL)
    return text + SHARED


def named(tasks: Group) -> str:
    """The tasks in the order of the spec."""
    return " + ".join(task for task in TASKS if task in tasks)


def partitions(tasks: Sequence[str]) -> Iterator[Partition]:
    """All partitions."""
    if not tasks:
        yield ()
        return
    first, *rest = tasks
    for size in range(len(tasks)):
        for others in combinations(rest, size):
            group = frozenset((first, *others))
            for more in partitions([task for task in rest if task not in group]):
                yield (group, *more)


PARTITIONS = tuple(partitions(TASKS))


@attrs.frozen
class Choice:
    """Networks, each with the tasks that it answers."""

    served: Mapping[Group, Group]

    @classmethod
    def of(cls, groups: Partition) -> Choice:
        """Each group answers all of its tasks."""
        return cls({group: group for group in groups})

    def __str__(self) -> str:
        """As a line of `sharing` has it."""
        lines = []
        for group, served in sorted(self.served.items(), key=lambda pair: min(map(TASKS.index, pair[1]))):
            lines.append(" + ".join(task if task in served else f"({task})" for task in TASKS if task in group))
        return ", ".join(lines)


@attrs.frozen
class Seed:
    """The networks of one seed, by their tasks, and the run of all tasks that measured transference."""

    networks: Mapping[Group, Result]
    measured: Result

    def metrics(self, choice: Choice, split: str) -> Metrics:
        """Those of every task, by the network that answers it."""
        return {
            task: getattr(self.networks[group], split)[task]
            for group, served in choice.served.items()
            for task in served
        }

    def by_transference(self, groups: int) -> Choice:
        """At most so many groups by what was measured with this seed."""
        found = decide_groups(self.measured.affinity, groups)
        return Choice(dict(zip(found.groups, found.served, strict=True)))


@attrs.frozen
class Study:
    """All seeds, and what single tasks reach on average over them."""

    seeds: Sequence[Seed]

    def baseline(self, split: str) -> Metrics:
        """The mean over the seeds of what each task reaches alone."""
        alone = [seed.metrics(Choice.of(tuple(frozenset({task}) for task in TASKS)), split) for seed in self.seeds]
        return mean_of(alone)

    def gain(self, seed: Seed, choice: Choice, split: str = "test") -> Gain:
        """Delta-m of a choice over the single tasks."""
        return delta_m(seed.metrics(choice, split), self.baseline(split))

    def best(self, seed: Seed, among: Sequence[Choice], split: str) -> Choice:
        """The choice with the highest Delta-m on a split."""
        return max(among, key=lambda choice: self.gain(seed, choice, split).mean)


def mean_of(found: Sequence[Metrics]) -> Metrics:
    """The mean of each metric."""
    return {
        task: {key: fmean(each[task][key] for each in found) for key in metrics} for task, metrics in found[0].items()
    }


@attrs.frozen
class Row:
    """A way to choose: what it chose with each seed, where it is random all that it might, and the networks that had to
    be trained to choose; None is the run that measures transference."""

    name: str
    chosen: Sequence[Sequence[Choice]]
    trained: Sequence[Group | None] = ()


def rows_of(study: Study) -> Iterator[Row]:
    """All ways to choose."""
    every = [Choice.of(partition) for partition in PARTITIONS]
    by_size = {size: [choice for choice in every if len(choice.served) == size] for size in (1, *BUDGETS, 4)}
    yield Row("every task alone, 4 networks", [by_size[4]] * len(study.seeds))
    yield Row("all together, 1 network", [by_size[1]] * len(study.seeds))
    for size in BUDGETS:
        networks = f"{size} networks"
        yield Row(f"by transference, {networks}", [[seed.by_transference(size)] for seed in study.seeds], [None])
        yield Row(f"at random, {networks}", [by_size[size]] * len(study.seeds))
        tried = sorted({group for choice in by_size[size] for group in choice.served}, key=SETS.index)
        best = [[study.best(seed, by_size[size], "validation")] for seed in study.seeds]
        yield Row(f"best of {len(by_size[size])} partitions, {networks}", best, tried)
        best = [[study.best(seed, by_size[size], "test")] for seed in study.seeds]
        yield Row(f"best of them on the test itself, {networks}", best, tried)
    best = [[study.best(seed, every, "validation")] for seed in study.seeds]
    yield Row("best of all 15 partitions", best, SETS)


def table(study: Study) -> Iterator[str]:
    """What each way to choose comes to."""
    titles = ("Δm %", *(f"{task} %" for task in TASKS), "networks trained to choose", "their minutes")
    titles += ("minutes to train the chosen", "parameters", "MFLOP a picture")
    yield f"| choice | {' | '.join(titles)} |"
    yield "|---" * (len(titles) + 1) + "|"
    for row in rows_of(study):
        gains = [[study.gain(seed, choice) for choice in found] for seed, found in pairs(study, row)]
        cells = [spread([fmean(gain.mean for gain in each) for each in gains], sign="+")]
        cells += [f"{fmean(gain.tasks[task] for each in gains for gain in each):+.1f}" for task in TASKS]
        cells.append(str(len(row.trained)))
        cells.append(f"{fmean(minutes(seed, row.trained) for seed in study.seeds):.1f}")
        used = [(seed, choice) for seed, found in pairs(study, row) for choice in found]
        cells.append(f"{fmean(minutes(seed, list(choice.served)) for seed, choice in used):.1f}")
        for cost, unit in (("parameters", 1e3), ("flops", 1e6)):
            sums = [sum(getattr(seed.networks[group], cost) for group in choice.served) for seed, choice in used]
            cells.append(f"{fmean(sums) / unit:.0f}{' k' if cost == 'parameters' else ''}")
        yield f"| {row.name} | {' | '.join(cells)} |"


def pairs(study: Study, row: Row) -> Iterator[tuple[Seed, Sequence[Choice]]]:
    """Each seed with what a row chose."""
    return zip(study.seeds, row.chosen, strict=True)


def minutes(seed: Seed, trained: Sequence[Group | None]) -> float:
    """The processor time of some networks, one after the other."""
    return sum((seed.measured if each is None else seed.networks[each]).seconds for each in trained) / 60


def choices(study: Study, numbers: Sequence[int]) -> Iterator[str]:
    """What was chosen with each seed, and what it is worth on the test."""
    yield "| seed | networks | by transference | Δm % | best partition by validation | Δm % | least and most, Δm % |"
    yield "|---|---|---|---|---|---|---|"
    for number, seed in zip(numbers, study.seeds, strict=True):
        for size in BUDGETS:
            among = [Choice.of(partition) for partition in PARTITIONS if len(partition) == size]
            chosen = [seed.by_transference(size), study.best(seed, among, "validation")]
            cells = [f"`{choice}` | {study.gain(seed, choice).mean:+.1f}" for choice in chosen]
            worth = [study.gain(seed, choice).mean for choice in among]
            yield f"| {number} | {size} | {' | '.join(cells)} | {min(worth):+.1f}, {max(worth):+.1f} |"


def measured(study: Study) -> Iterator[str]:
    """Transference: the mean over the seeds, with its spread."""
    yield "| 1e-4 | " + " | ".join(f"from {task}" for task in TASKS) + " |"
    yield "|---" * (len(TASKS) + 1) + "|"
    for task in TASKS:
        rows = [seed.measured.affinity[task] for seed in study.seeds]
        cells = [spread([1e4 * row[donor] for row in rows], 2, "+") for donor in TASKS]
        yield f"| {task} gains | {' | '.join(cells)} |"


def sets(study: Study) -> Iterator[str]:
    """What each task reaches in each set of tasks."""
    yield "| trained together | " + " | ".join(f"{task} %" for task in TASKS) + " | mean |"
    yield "|---" * (len(TASKS) + 2) + "|"
    baseline = study.baseline("test")
    for tasks in SETS:
        gains = [
            delta_m(seed.networks[tasks].test, {task: baseline[task] for task in TASKS if task in tasks})
            for seed in study.seeds
        ]
        cells = [spread([gain.tasks[task] for gain in gains], sign="+") if task in tasks else "" for task in TASKS]
        yield f"| {named(tasks)} | {' | '.join(cells)} | {spread([gain.mean for gain in gains], sign='+')} |"


def agreement(study: Study) -> Iterator[str]:
    """How far transference orders the groups of a task as the test does: Spearman's correlation over the seven groups
    of each task, the score of the task in a group being the mean of what the others give it."""
    for task in TASKS:
        groups = [tasks for tasks in SETS if task in tasks and len(tasks) > 1]
        found = []
        for seed in study.seeds:
            row = seed.measured.affinity[task]
            scores = [fmean(row[donor] for donor in sorted(group - {task})) for group in groups]
            baseline = {task: study.baseline("test")[task]}
            worth = [delta_m(seed.networks[group].test, baseline).mean for group in groups]
            found.append(spearman(scores, worth))
        yield f"- {task}: {spread(found, 2, '+')}"


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """The correlation of the ranks of numbers of which no two are equal."""
    one, other = (np.argsort(np.argsort(each)) for each in (first, second))
    return float(np.corrcoef(one, other)[0, 1])


def balances(study: Study, found: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    """The network of all tasks with each balance."""
    yield "| balance | Δm % | " + " | ".join(f"{task} %" for task in TASKS) + " | processor time beside `equal` |"
    yield "|---" * (len(TASKS) + 3) + "|"
    baseline = study.baseline("test")
    for name, results in found.items():
        gains = [delta_m(result.test, baseline) for result in results]
        cells = [spread([gain.tasks[task] for gain in gains], sign="+") for task in TASKS]
        times = [median(result.seconds for result in each) for each in (results, found["equal"])]
        mean = spread([gain.mean for gain in gains], sign="+")
        yield f"| `{name}` | {mean} | {' | '.join(cells)} | {times[0] / times[1]:.2f} |"


def main() -> None:
    """Train what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/nyuv2"), help="the NYUv2 folder, zip or .mat")
    parser.add_argument("--balances", nargs="+", default=list(BALANCES))
    add_options(parser, "runs/grouping_study")
    options = parser.parse_args()
    names = ["equal", *(name for name in options.balances if name != "equal")]
    wanted: dict[tuple[str, int], Run] = {}
    for seed in options.seeds:
        texts = {MEASURED: text_of(ALL, TRANSFERENCE), **{named(tasks): text_of(tasks) for tasks in reversed(SETS)}}
        for name, text in texts.items():
            wanted[name, seed] = Run(f"{name} seed {seed}", text, {"train.seed": str(seed)})
        for name in names:
            settings = {"train.seed": str(seed), "train.balance": name}
            wanted[name, seed] = Run(f"{name} seed {seed}", text_of(ALL), settings)
    found = dict(zip(wanted, results_of(list(wanted.values()), options), strict=True))
    study = Study(
        [Seed({tasks: found[named(tasks), seed] for tasks in SETS}, found[MEASURED, seed]) for seed in options.seeds]
    )
    by_balance = {name: [found[name, seed] for seed in options.seeds] for name in names}
    for part in (table(study), choices(study, options.seeds), measured(study), sets(study), agreement(study)):
        print("\n".join(part), end="\n\n")
    print("\n".join(balances(study, by_balance)))


if __name__ == "__main__":
    main()
