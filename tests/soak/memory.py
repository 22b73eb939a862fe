"""Networks trained in processes whose memory the C library watches: it ends one that writes beyond what it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import attrs
import torch

from mtsldsl.codegen import model_source
from mtsldsl.editing import loads
from tests.soak.exercise import Case

SECONDS = 1_800
"""A process whose memory is damaged may also hang."""

WATCHED = {"MALLOC_CHECK_": "3", "LD_PRELOAD": "libc_malloc_debug.so.0", "OMP_WAIT_POLICY": "PASSIVE"}
"""glibc marks the end of all that it gives and looks at the mark when it is given back; since 2.34 in a library of its
own, before that without one."""

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
"""What processors without AVX-512 run, on those that have it too."""

ON_X86 = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


@attrs.frozen
class Damage:
    """A case that ended its process: its number, and what was said last."""

    case: int
    status: int
    said: str


def case(text: str, batch: int, *, channels_last: bool) -> Case:
    """The network of a spec, as it is compiled."""
    spec = loads(text)
    shape = list(spec.data.shape)
    return {"model": model_source(spec), "shape": shape, "batch": batch, "channels_last": channels_last}


def run(told: object, settings: dict[str, str], threads: int = 1) -> subprocess.CompletedProcess[str]:
    """A process that exercises what it is told, with its memory watched.

    With one thread the same memory is given in the same order each time, and damage is found where it is made.
    """
    return subprocess.run(
        [sys.executable, "-m", "tests.soak.exercise"],
        env={**os.environ, **WATCHED, "OMP_NUM_THREADS": str(threads), **settings},
        input=json.dumps(told), capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip


def damages(cases: Sequence[Case], settings: dict[str, str], threads: int = 1) -> list[Damage]:
    """The cases that end their process; those after one of them are exercised in a new one."""
    found: list[Damage] = []
    rest = list(enumerate(cases))
    while rest:
        done = run(rest, settings, threads)
        last = done.stdout.split()[-1] if done.stdout else ""
        if last == "end":
            break
        assert last, done.stderr  # it ended before it began
        found.append(Damage(int(last), done.returncode, done.stderr.strip()[-200:]))
        rest = rest[int(last) - rest[0][0] + 1 :]
    return found
