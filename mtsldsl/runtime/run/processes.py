"""A run in several processes: how they are started on one machine, and what each of them is."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM

import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.runtime.learning.batch_norm import require_values_to_normalise
from mtsldsl.runtime.run.last_words import LOST, RUN_ID


def start_processes(count: int, words: Sequence[str]) -> int:
    """Run `python -m mtsldsl` with these words in so many processes that train together, by torch's own launcher, and
    return the exit status of the run. A person sees the first one alone, and of another what it says when it fails."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in [each for each in logging.root.manager.loggerDict if each.startswith("torch.distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="mtsldsl-") as logs, _temporary_files_in(logs):
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=RUN_ID,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=logs, redirects=dict.fromkeys(range(1, count), Std.ALL)),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "mtsldsl", *words)
        except ChildFailedError as error:
            failures = dict(sorted(error.failures.items(), key=lambda pair: pair[1].timestamp))
            killed = [rank for rank, each in failures.items() if each.exitcode < 0 and each.exitcode != -SIGTERM]
            own = [rank for rank, each in failures.items() if each.exitcode > 0 and each.exitcode != LOST]
            rank = [*killed, *own, *failures][0]
            status = failures[rank].exitcode
            if killed:
                ended = f"process {rank + 1} of {count} was ended by signal {-status}"
                again = f"go on with `mtsldsl train --resume RUN --nproc {count}`, where RUN is its folder"
                print(f"{ended}: {again}", file=sys.stderr)
            elif 0 not in own:  # else the first has said it
                found = sorted(Path(logs).glob(f"**/{rank}/stderr.log"))
                sys.stderr.write("".join(path.read_text(encoding="utf-8", errors="replace") for path in found))
            return status if status > 0 else 128 - status
        except SignalException as stopped:
            return 128 + stopped.sigval
    return 0


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    """While open, processes that are started have theirs there: what they leave behind is removed, however they end."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def require_even_shares(spec: Spec, count: int) -> None:
    """Hold that so many processes that train together have as many samples of a batch each, and enough to normalise.

    Raises MtlError MTL809 or MTL804 where they have not.
    """
    for data in spec.blocks:
        if data.batch % count:
            cause = f"{count} processes share the batches, and {data.batch} samples are no multiple of that"
            remedy = f"give a `batch` such as {count * -(-data.batch // count)}"
            raise MtlError.of("MTL809", cause, remedy, data.span)
    require_values_to_normalise(spec, count)


def own_device(device: torch.device) -> torch.device:
    """The device of this process: of several GPUs of a machine the one of its place there.

    Raises MtlError MTL809 where there is none.
    """
    local = os.environ.get("LOCAL_RANK", "")
    if device.type != "cuda" or device.index is not None or not local.isdecimal():
        return device
    if int(local) >= (there := torch.cuda.device_count()):
        cause = f"process {int(local) + 1} of this machine has no GPU of its own, of {there} that torch can use"
        raise MtlError.of("MTL809", cause, f"train in {there} processes here, or with --device cpu")
    chosen = torch.device("cuda", int(local))
    torch.cuda.set_device(chosen)
    return chosen


def scratch_folder() -> Path:
    """A folder for what another process than the first would write into the run, until the process ends."""
    path = Path(tempfile.mkdtemp(prefix="mtsldsl-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def scratch_copy(run: Path) -> Path:
    """Such a copy of a run that goes on."""
    copy = scratch_folder() / run.resolve().parent.name / run.resolve().name
    shutil.copytree(run, copy)
    return copy
