"""How long NYUv2 takes to load once it was decoded before, against decoding it, in CPU time.

    python benchmarks/data_cache.py data/nyuv2

loads the five tasks of `specs/nyuv2_small.mtl` in turn without the cache, cold (decoded, and kept) and warm, in one
process with one thread, and holds that the samples are the same. Exits with 1 where the median ratio of a warm load to
the cold one before it is above its target.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from processes import ROOT

from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Splits, load_data

TARGET = 0.05


def timed(spec: Spec, cache: bool) -> tuple[float, Splits]:
    start = time.process_time()
    splits = load_data(spec, cache=cache)
    return time.process_time() - start, splits


def same(one: Splits, other: Splits) -> bool:
    return all(
        list(a.fields) == list(b.fields) and all(torch.equal(a.fields[name], b.fields[name]) for name in a.fields)
        for (_, a), (_, b) in zip(one.named(), other.named(), strict=True)
    )


def main() -> int:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="NYUv2, in any layout")
    parser.add_argument("--size", type=int, nargs=2, default=(48, 64), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    height, width = options.size
    settings = {"data.root": str(options.data.absolute()), "data.input": f"image(3, {height}, {width})"}
    spec = load(ROOT / "specs" / "nyuv2_small.mtl", settings)
    os.environ.pop("MTSLDSL_NO_CACHE", None)
    taken: dict[str, list[float]] = {"without": [], "cold": [], "warm": []}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        load_data(spec, cache=False)  # imports what it takes
        for _ in range(options.rounds):
            shutil.rmtree(Path(folder, "mtsldsl"), ignore_errors=True)
            seconds, decoded = timed(spec, cache=False)
            taken["without"].append(seconds)
            for label in ("cold", "warm"):
                seconds, splits = timed(spec, cache=True)
                taken[label].append(seconds)
                if not same(splits, decoded):
                    raise RuntimeError(f"the samples of a {label} load are others than those that are decoded")
        kept = sum(path.stat().st_size for path in Path(folder, "mtsldsl").glob("data-*"))
    print(f"{'load':<8} {'median CPU s':>12} {'least':>7} {'most':>7}")
    for label, seconds_taken in taken.items():
        print(f"{label:<8} {median(seconds_taken):>12.3f} {min(seconds_taken):>7.3f} {max(seconds_taken):>7.3f}")
    missed = False
    for above, below, target in (("warm", "cold", TARGET), ("cold", "without", None)):
        ratios = [one / other for one, other in zip(taken[above], taken[below], strict=True)]
        verdict = "" if target is None else f", target {target}: {'ok' if median(ratios) <= target else 'MISSED'}"
        missed |= verdict.endswith("MISSED")
        print(f"{above} / {below}: {median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f}){verdict}")
    print(f"kept: {kept:,} bytes")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
