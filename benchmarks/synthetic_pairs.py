"""Do related tasks learn to use the same, and unrelated ones not? The synthetic tasks of the parameter-allocation work.

    python benchmarks/synthetic_pairs.py --seeds 0 1 2 3 4

Four tasks in two pairs (Ma et al., 2018, section 3.1, as Maziarz et al., 2019, take them): x ~ N(0, I) of 16 numbers,
y = w x + sum over i = 1..10 of sin(i w x + (i - 1)^2) + N(0, 0.01^2). The weights of a pair are u and 0.99 u + sqrt(1 -
0.99^2) v, all u and v orthonormal: the tasks of a pair are almost the same, those of different pairs have nothing in
common. A layer has eight small alternatives, of which the budget gives a task less than two. Each seed draws tasks,
samples and weights; its run is a process of the command line.

Prints what each task came to use, and exits with 1 where on some seed a pair has nothing in common, or two tasks of
different pairs have something.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtsldsl.editing import load

RELATION = 0.99
SIZE, SAMPLES = 16, 4000

SPEC = """\
mtl 1

data arrays {
  path  = "pairs.npz"
  apart = true
  input = row(16)
  batch = 64
}

task [a1, a2, b1, b2] {
  target = values(1)
  head   = linear(outputs)
  loss   = mse
}

backbone {
  mix = parallel(unit=linear(4) | relu | linear(4) | relu, copies=8)
}

train {
  epochs    = 45
  optimizer = adam(lr=6e-3)
  sampling  = round_robin
}

structure allocation {
  lr                   = 0.005
  temperature          = anneal(10, 0.5)
  budget               = 0.15
  budget_weight        = 3
  disconnection_weight = 3
}
"""

Floats = NDArray[np.floating[Any]]


def tasks_of(seed: int) -> dict[str, tuple[Floats, Floats]]:
    """The samples of every task: rows (n, 16), and what follows from them, (n, 1)."""
    chance = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(chance.normal(size=(SIZE, 4)))
    found = {}
    for pair, name in enumerate("ab"):
        first, second = basis[:, 2 * pair], basis[:, 2 * pair + 1]
        related = RELATION * first + np.sqrt(1 - RELATION**2) * second
        for number, weights in enumerate((first, related), start=1):
            rows = chance.normal(size=(SAMPLES, SIZE))
            line = rows @ weights
            waves = sum(np.sin(place * line + (place - 1) ** 2) for place in range(1, 11))
            noise = chance.normal(size=SAMPLES) * 0.01
            found[f"{name}{number}"] = rows, (line + waves + noise)[:, None]
    return found


def uses_of(seed: int) -> dict[str, frozenset[str]]:
    """What each task came to use."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        arrays = {}
        for task, (rows, answers) in tasks_of(seed).items():
            arrays |= {f"{task}/row": rows.astype("float32"), f"{task}/target": answers.astype("float32")}
        np.savez(folder / "pairs.npz", **arrays)  # type: ignore[arg-type]  # numpy's stubs take them for its options
        (folder / "pairs.mtl").write_text(SPEC, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "mtsldsl",
            "train",
            "pairs.mtl",
            "--quiet",
            "--device",
            "cpu",
            "--threads",
            "1",
        ]
        subprocess.run([*command, "--set", f"train.seed={seed}"], check=True, cwd=folder)
        sharing = load(folder / "runs" / "pairs" / "1" / "spec.mtl").sharing
        return {task: frozenset(sharing.uses("mix", task)) for task in sharing.tasks}


def main() -> None:
    """Run the seeds, and print what their tasks have in common."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    failed = False
    print("| seed | a1 | a2 | b1 | b2 | in common within pairs | between them |")
    print("|---|---|---|---|---|---|---|")
    for seed in options.seeds:
        uses = uses_of(seed)
        common = {(one, two): len(uses[one] & uses[two]) for one, two in combinations(uses, 2)}
        within = [count for (one, two), count in common.items() if one[0] == two[0]]
        between = [count for (one, two), count in common.items() if one[0] != two[0]]
        failed = failed or not all(within) or any(between)
        each = [", ".join(sorted(name.removeprefix("unit") for name in uses[task])) or "none" for task in uses]
        print(f"| {seed} | {' | '.join(each)} | {', '.join(map(str, within))} | {sum(between)} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
