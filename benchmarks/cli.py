"""How long the commands take that answer without computing, each as a cold process, in CPU time.

Run as `python benchmarks/cli.py`; exits with 1 where a target is missed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from compile import long_spec
from processes import ROOT, cpu_seconds

ROUNDS = 7


def main() -> int:
    """Time each command, print the table."""
    missed = False
    with tempfile.TemporaryDirectory() as name:
        long = Path(name) / "long.mtl"
        long.write_text(long_spec(980), encoding="utf-8")  # about 1,000 lines
        short = ROOT / "specs" / "scenes.mtl"  # about 60 lines
        cases = (
            ("--help", ("--help",), 0.1),
            ("check, 60 lines", ("check", short), 0.2),
            ("check, 1,000 lines", ("check", long), 0.5),
            ("fmt --check, 60 lines", ("fmt", "--check", short), None),
            ("show, 60 lines", ("show", short), None),
            ("diff, 60 lines", ("diff", short, short), None),
        )
        print(f"{'command':<22} {'CPU s':>7} {'target':>7}")
        for label, arguments, target in cases:
            cpu_seconds(*arguments)  # fills the cache of the grammar and Python's own
            taken = median(cpu_seconds(*arguments) for _ in range(ROUNDS))
            verdict = "" if target is None else "ok" if taken <= target else "MISSED"
            missed |= verdict == "MISSED"
            print(f"{label:<22} {taken:>7.3f} {target or '':>7} {verdict}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
