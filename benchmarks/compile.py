"""How long `mtsldsl compile` takes as a cold process, in CPU time: the paper's network, and a spec of 1,000 layers.

Run as `python benchmarks/compile.py`; exits with 1 where a target is missed.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
ROUNDS = 7

FRAME = """\
mtl 1

data scenes {{
  input = image(3, 64, 64)
}}

task segment {{
  target = classes(5)
  head   = conv2d(5, 1)
}}

task depth {{
  target = values(1)
  head   = conv2d(1, 1)
}}

backbone {{
{layers}
}}

train {{
  epochs = 1
}}
"""


def long_spec(layers: int) -> str:
    """A chain of layers with a skip at every tenth and ten different widths."""
    lines = []
    for place in range(layers):
        skip = f"concat(layer{place - 5}) | " if place % 10 == 9 else ""
        lines.append(f"  layer{place} = {skip}conv2d({4 + place % 10}, 3) | batch_norm | relu")
    return FRAME.format(layers="\n".join(lines))


def cpu_seconds(spec: Path, folder: Path) -> float:
    """CPU time, user and system, of one process that compiles into a new folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = [sys.executable, "-m", "mtsldsl", "compile", str(spec), "-o", str(folder)]
    subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    missed = False
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        cases = [("specs/nyuv2.mtl", ROOT / "specs" / "nyuv2.mtl", 0.3, ROUNDS)]
        for layers, target, rounds in ((250, None, 3), (500, None, 3), (1000, 3.0, 3)):
            spec = place / f"layers{layers}.mtl"
            spec.write_text(long_spec(layers), encoding="utf-8")
            cases.append((f"{layers:,} layers", spec, target, rounds))
        print(f"{'spec':<18} {'CPU s':>7} {'target':>7}")
        for label, spec, target, rounds in cases:
            cpu_seconds(spec, place / "warm-up")  # fills the cache of the grammar and Python's own
            taken = median(cpu_seconds(spec, place / f"{spec.stem}-{turn}") for turn in range(rounds))
            verdict = "" if target is None else "ok" if taken <= target else "MISSED"
            missed |= verdict == "MISSED"
            print(f"{label:<18} {taken:>7.3f} {target or '':>7} {verdict}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
