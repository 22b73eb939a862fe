"""How long short commands take against `import torch`, each a process of its own, in CPU time.

Run as `python benchmarks/cold.py`; exits with 1 where a goal is missed. The processes take turns, so the ratios hold
on a machine that does other work too. All that Python and mtsldsl keep between processes is there already, but for the
last rows, whose commands find nothing that mtsldsl has kept, as the first one after an installation. The rows between
say how much of a command is the libraries that it needs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import quantiles

from processes import python_seconds

ROUNDS = 25
COMMAND = "from mtsldsl.cli import run; run()"
"""What the script `mtsldsl` runs."""


def main() -> int:
    """Time each process next to `import torch`, print the table."""
    with tempfile.TemporaryDirectory() as name:
        place, number = Path(name), count()

        def command(*arguments: str, kept: bool = True) -> Callable[[], float]:
            given = [COMMAND, *arguments, *(["-o", str(place / "made")] if arguments[0] == "compile" else [])]
            return lambda: python_seconds(*given, cache=None if kept else place / str(next(number)))

        check, compile_ = ("check", "specs/scenes.mtl"), ("compile", "specs/nyuv2.mtl")
        cases: dict[str, tuple[Callable[[], float], float | None]] = {
            "compile specs/nyuv2.mtl": (command(*compile_), 0.10),
            "check specs/scenes.mtl": (command(*check), 0.07),
            "--help": (command("--help"), 0.03),
            "python alone": (lambda: python_seconds("pass"), None),
            "import click": (lambda: python_seconds("import click"), None),
            "import click, attrs, lark": (lambda: python_seconds("import click, attrs, lark"), None),
            "import click, attrs, lark, jinja2": (lambda: python_seconds("import click, attrs, lark, jinja2"), None),
            "compile, nothing kept": (command(*compile_, kept=False), None),
            "check, nothing kept": (command(*check, kept=False), None),
        }
        for run, _ in cases.values():
            run()
        python_seconds("import torch")
        ratios: dict[str, list[float]] = {label: [] for label in cases}
        for turn in range(ROUNDS):
            torch = python_seconds("import torch")
            for label in list(cases)[:: 1 if turn % 2 else -1]:
                ratios[label].append(cases[label][0]() / torch)
    missed = False
    print(f"{'process':<34} {'of import torch':>15} {'quartiles':>13} {'goal':>5}")
    for label, (_, goal) in cases.items():
        low, middle, high = quantiles(ratios[label], n=4)
        verdict = "" if goal is None else "ok" if middle <= goal else "MISSED"
        missed |= verdict == "MISSED"
        print(f"{label:<34} {middle:>15.3f} {low:>7.3f}-{high:.3f} {goal or '':>5} {verdict}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
