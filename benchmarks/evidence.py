"""Does a learned structure pay? The runs behind the pages of docs/results, job after job.

    python benchmarks/evidence.py --data data --jobs 2
    python benchmarks/evidence.py --data data --jobs 2 --quick

Each job is a spec of `benchmarks/evidence`, and what is done with it one command, `mtsldsl baselines`, which is printed
before its table. Every run is kept below --output; what was made is read and not made again, so that the same command
goes on after a stop. `--quick` takes three seeds of the planted job and of the smaller one of NYUv2, without teachers
and with one budget. With three seeds a 95 % interval is 2.5 times the standard deviation of the differences to both
sides: on planted tasks it shows that who goes with whom matters; on NYUv2 no difference of a few points can be shown.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

from mtsldsl.runtime.studies.baselines.wanted_rows import KINDS

HERE = Path(__file__).parent / "evidence"


@attrs.frozen
class Job:
    """A spec, what of it is compared, and the folder of its data, where it reads some."""

    spec: str
    budgets: str | None = "0.35,0.5,0.75"
    """Those of the learner in the spec, so that `widened` has a network of each size; None where it has none."""
    rows: tuple[str, ...] = ()
    teachers: bool = False
    data: str | None = None
    quick: str | None = None
    """The budget that `--quick` has."""

    def command(self, chosen: argparse.Namespace) -> list[str]:
        """The command line without the interpreter."""
        found = ["mtsldsl", "baselines", os.path.relpath(HERE / f"{self.spec}.mtl")]
        found += ["--rows", ",".join(self.rows)] if self.rows else []
        budgets = self.quick if chosen.quick else self.budgets
        found += ["--budgets", budgets] if budgets else []
        found += ["--teachers"] if self.teachers and not chosen.quick else []
        found += ["--seeds", chosen.seeds or ("0..2" if chosen.quick else "0..7"), "--jobs", str(chosen.jobs)]
        if self.data is not None:
            found += ["--set", f"data.root={chosen.data / self.data}"]
        return [*found, "--output", str(chosen.output / self.spec)]


JOBS = (
    Job("planted", "0.3,0.4,0.6", rows=tuple(KINDS), teachers=True, quick="0.4"),
    Job("nyuv2_200", teachers=True, data="nyuv2", quick="0.35"),
    Job("nyuv2_715", data="nyuv2"),
    Job("omniglot", data="omniglot"),
    Job("nyuv2_48x64", None, rows=("each", "all", "encoder", "last:1", "learned"), data="nyuv2"),
)


def jobs(chosen: argparse.Namespace) -> Iterator[Job]:
    """Those that are asked for."""
    for job in JOBS:
        if job.spec in (chosen.job or [each.spec for each in JOBS if each.quick or not chosen.quick]):
            yield job


def main() -> int:
    """Run the jobs; the status of the first one that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", nargs="*", choices=[[], *(job.spec for job in JOBS)], help="all by default")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--seeds", help="other seeds, such as 100..102")
    parser.add_argument("--output", type=Path, default=Path("runs/evidence"))
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    for job in jobs(chosen):
        command = job.command(chosen)
        print(f"$ {shlex.join(command)}", flush=True)
        done = subprocess.run([sys.executable, "-m", *command], check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
