"""The CPU time of whole processes, which is what a person at a prompt waits for."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cpu_seconds(*arguments: str | Path, status: int = 0, cache: Path | None = None) -> float:
    """CPU time, user and system, of one cold process `python -m mtsldsl ARGUMENTS`, run from the project's root.

    `status` is the exit status that it is to have, `cache` the folder in which it may keep what it computes, the
    user's own if none is given.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "mtsldsl", *map(str, arguments)]
    environment = os.environ if cache is None else {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != status:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
