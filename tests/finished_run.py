"""A run folder as one that has ended, with whatever weights, in no time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.checkpoint import MEAN, WEIGHTS, save_tensors
from mtsldsl.runtime.run.event_json import plain
from mtsldsl.runtime.run.folder import RunFolder, write_source
from mtsldsl.runtime.run.record_file import EventLog


def finished_run(
    path: Path, spec: Spec, model: nn.Module | None = None, read: Mapping[str, Any] | None = None, *, ended: bool = True
) -> RunFolder:
    """The folder of a run of `spec` that has kept the weights of `model`, by default its initial ones, and whose record
    says that it has `read` this data."""
    folder = RunFolder(path)
    for place in (folder.best, folder.evolution):
        place.mkdir(parents=True)
    folder.write_spec(spec.source, "start")
    write_source(folder.best / f"{MEAN}.mtl", spec.source)
    save_tensors(folder.best / f"{MEAN}.{WEIGHTS}", (model or build_model(spec)).state_dict())
    folder.events.touch()
    log = EventLog(folder.events, lambda _: None)
    names = [task.name for task in spec.tasks]
    start = events.Start(
        spec=spec.source.name, spec_sha256="", folder=str(path), in_place=None, tasks=names, layers=[], method="none",
        balance="equal", epochs=1, seed=0, device="cpu", python="", torch="", parameters=0, flops=0, data={},
        read=plain(read),
    )  # fmt: skip
    log.write(start)
    if ended:
        log.write(final_events.End(folder=str(path), seconds=0.0))
    return folder
