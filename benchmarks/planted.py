"""Does transference find what was planted? Tasks that help, harm and do not concern each other, and their groups.

    python benchmarks/planted.py --seeds 0 1 2 3 4

Six tasks in three pairs (specs/planted.mtl). The tasks of a pair need the same four features of a row of random
numbers, those of different pairs features that have nothing in common. All share `stem`, which has room for all. The
pairs a and b share `narrow` as well, which has room for one. So the tasks of a pair help each other; those of a and b
harm each other, as a feature of one is there at the cost of one of the other; and c concerns neither. Each seed draws
features, samples and weights; its run is a process of the command line.

Prints the mean of Z over the run between the tasks of a pair, between a and b, and between c and the others, from the
least to the greatest, and the three groups that `select_groups` chooses. Exits with 1 where on some seed one who helps
is not above 0, one who harms not below 0, what is between c and the others is more than a fifth of the least of these,
or the groups are not the pairs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from mtsldsl.runtime.studies.affinity import Row, affinities
from mtsldsl.sharing import select_groups

SPEC = Path(__file__).parents[1] / "specs" / "planted.mtl"
PAIRS = frozenset(frozenset((f"{pair}1", f"{pair}2")) for pair in "abc")
PART = 0.2


@attrs.frozen
class Found:
    """What a run measured between two tasks, by what was planted there, and the groups that follow."""

    helpful: Sequence[float]
    harmful: Sequence[float]
    unrelated: Sequence[float]
    groups: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, affinity: Mapping[str, Row]) -> Found:
        """Of what donors do to recipients."""
        kinds: dict[str, list[float]] = {"helpful": [], "harmful": [], "unrelated": []}
        for recipient, row in affinity.items():
            for donor, gain in row.items():
                if donor != recipient:
                    kinds[planted(donor, recipient)].append(gain)
        return cls(**kinds, groups=select_groups(affinity, len(PAIRS)))

    @property
    def right(self) -> bool:
        """Whether it is what was planted."""
        least = min(map(abs, (*self.helpful, *self.harmful)))
        return (
            min(self.helpful) > 0 > max(self.harmful)
            and max(map(abs, self.unrelated)) < PART * least
            and frozenset(self.groups) == PAIRS
        )


def planted(one: str, other: str) -> str:
    """What there is between two tasks."""
    pairs = {one[0], other[0]}
    if len(pairs) == 1:
        return "helpful"
    return "unrelated" if "c" in pairs else "harmful"


def found_of(seed: int, *settings: str) -> Found:
    """What a run of this seed, with more settings, found."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mtsldsl", "train", str(SPEC), "--quiet", "--device", "cpu", "--threads", "1"]
        for setting in (f"data.seed={seed}", f"train.seed={seed}", *settings):
            command += ["--set", setting]
        subprocess.run(command, check=True, cwd=folder)
        return Found.of(affinities(Path(folder) / "runs" / "planted" / "1").mean)


def main() -> None:
    """Run the seeds, and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    failed = False
    print("| seed | within pairs | between a and b | between c and others | groups |")
    print("|---|---|---|---|---|")
    for seed in options.seeds:
        found = found_of(seed)
        failed = failed or not found.right
        spans = (f"{min(each):+.4f} to {max(each):+.4f}" for each in (found.helpful, found.harmful, found.unrelated))
        groups = ", ".join(" + ".join(sorted(group)) for group in found.groups)
        print(f"| {seed} | {' | '.join(spans)} | {groups} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
