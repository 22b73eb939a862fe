"""How long the commands take that answer without computing, each as a cold process, in CPU time.

Run as `python benchmarks/cli.py`; exits with 1 where a target is missed. The commands take turns. What they keep
between processes is there already, but for the row that says otherwise.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from compile import long_spec
from processes import ROOT, cpu_seconds

ROUNDS = 9
TASKS = ("segment", "depth")


def evolved_spec(layers: int) -> str:
    """The long spec as a run leaves it: a comment at every fourth layer, and a line of sharing for each."""
    body, end = long_spec(layers).split("\n}\n\ntrain {", 1)
    lines = [
        f"{line}{'  # as wide as the layer before' if place % 4 == 0 else ''}"
        for place, line in enumerate(body.split("\n"))
    ]
    text = "\n".join(lines).replace("| batch_norm | relu", "| act")
    shared = [f"  layer{place} = {(' + ' if place < layers // 2 else ', ').join(TASKS)}" for place in range(layers)]
    sharing = "\n".join(["sharing {  # kept by `mtsldsl train`", *shared, "}"])
    return f"{text}\n}}\n\nblock act = batch_norm | relu\n\ntrain {{{end}\n{sharing}\n"


def main() -> int:
    """Time each command, print the table."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        short = ROOT / "specs" / "scenes.mtl"  # about 60 lines
        plain, evolved, wrong = place / "plain.mtl", place / "evolved.mtl", place / "wrong.mtl"
        plain.write_text(long_spec(980), encoding="utf-8")  # about 1,000 lines, as the other two
        evolved.write_text(evolved_spec(485), encoding="utf-8")
        wrong.write_text(long_spec(980).replace("(5, 3) | batch_norm", "(5, 3) | batch_nrm"), encoding="utf-8")
        blank = (place / str(number) for number in range(ROUNDS + 1))
        cases: dict[str, tuple[Callable[[], float], float | None]] = {
            "--help": (lambda: cpu_seconds("--help"), 0.1),
            "check, 60 lines": (lambda: cpu_seconds("check", short), 0.2),
            "check, 60 lines, nothing kept": (lambda: cpu_seconds("check", short, cache=next(blank)), None),
            "check, 1,000 lines": (lambda: cpu_seconds("check", plain), 0.5),
            "check, 1,000 lines, evolved": (lambda: cpu_seconds("check", evolved), 0.5),
            "check, 1,000 lines, mistakes": (lambda: cpu_seconds("check", wrong, status=1), 0.5),
            "check --pedantic, 1,000 lines": (lambda: cpu_seconds("check", "--pedantic", evolved), None),
            "fmt --check, 60 lines": (lambda: cpu_seconds("fmt", "--check", short), None),
            "show, 60 lines": (lambda: cpu_seconds("show", short), None),
            "diff, 60 lines": (lambda: cpu_seconds("diff", short, short), None),
            "diff, 1,000 lines": (lambda: cpu_seconds("diff", plain, evolved), None),
        }
        for run, _ in cases.values():
            run()  # fills the cache of the grammar and Python's own
        taken: dict[str, list[float]] = {label: [] for label in cases}
        for number in range(ROUNDS):
            for label in list(cases)[:: 1 if number % 2 else -1]:
                taken[label].append(cases[label][0]())
    missed = False
    print(f"{'command':<30} {'median CPU s':>12} {'least':>6} {'most':>6} {'target':>7}")
    for label, (_, target) in cases.items():
        middle = median(taken[label])
        verdict = "" if target is None else "ok" if middle <= target else "MISSED"
        missed |= verdict == "MISSED"
        spread = f"{min(taken[label]):>6.3f} {max(taken[label]):>6.3f}"
        print(f"{label:<30} {middle:>12.3f} {spread} {target or '':>7} {verdict}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
