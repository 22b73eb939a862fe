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
    return _seconds(["-m", "mtsldsl", *map(str, arguments)], status, cache)


def python_seconds(program: str, *arguments: str, cache: Path | None = None) -> float:
    """CPU time, user and system, of one process `python -c PROGRAM ARGUMENTS`; `cache` as above."""
    return _seconds(["-c", program, *arguments], 0, cache)


def _seconds(given: list[str], status: int, cache: Path | None) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *given]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != status:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
