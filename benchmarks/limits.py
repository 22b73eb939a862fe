"""How long the commands take at the limits of the language, each as a cold process, in CPU time.

Run as `python benchmarks/limits.py`; exits with 1 where a target is missed: a second for a short text that would become
a huge network and is refused, five for the largest networks that are allowed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from processes import ROOT, cpu_seconds

ROUNDS = 3
COMMANDS = (("check", "--pedantic"), ("compile",), ("show",), ("diff",), ("fmt",))
REFUSED, ALLOWED = 1.0, 5.0


def main() -> int:
    """Time each text, print the table."""
    sys.path.insert(0, str(ROOT))  # the tests hold that these texts take time in proportion
    from tests.ir.explosions import HOSTILE, LARGE

    missed = False
    print(f"{'command':<10} {'text':<42} {'median CPU s':>12} {'target':>7}")
    with tempfile.TemporaryDirectory() as name:
        spec = Path(name) / "limit.mtl"
        for text, written in {**HOSTILE, **{label: make(100) for label, make in LARGE.items()}}.items():
            refused = written in HOSTILE.values()
            for command in COMMANDS[:1] if refused else COMMANDS:
                spec.write_text(written, encoding="utf-8")
                places = [spec, spec] if command[0] == "diff" else [spec]
                options = ["-o", Path(name) / "out"] if command[0] == "compile" else []
                taken = median(cpu_seconds(*command, *places, *options, status=int(refused)) for _ in range(ROUNDS))
                target = REFUSED if refused else ALLOWED
                missed |= taken > target
                verdict = "ok" if taken <= target else "MISSED"
                print(f"{command[0]:<10} {text:<42} {taken:>12.3f} {target:>7} {verdict}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
