"""The logger `tensorboard`: the numbers of a run as event files, in a folder for each split.

TensorBoard shows a folder as a run of its own, so that training and validation of a loss are two curves of one chart.
Files are written at once and without a queue: tensorboardX's `SummaryWriter` writes in a thread, which loses what waits
when the process is killed, and waits for ever once its disk is full.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.measurements import Measurement, measurements
from mtsldsl.runtime.run.record_file import read_record


class TensorBoardLog:
    """Writes a scalar for every number; its step is the epoch. A run that goes on has new files, which tell TensorBoard
    to forget the steps after the checkpoint, and the test set's anew."""

    def __init__(self, run: Path) -> None:
        self._folder = RunFolder(run)
        self._writers: dict[str, EventsWriter] = {}
        self._after: int | None = None
        """The epoch after which the run goes on."""

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Write the scalars of an event."""
        if event["event"] == "resume":
            self._after = event["epoch"]
            if (tested := self._folder.tensorboard / "test").exists():
                shutil.rmtree(tested)
            if not self._folder.tensorboard.exists():  # the run had no such logger until now
                for content in read_record(self._folder.events):
                    self._write(content)
        self._write(event)

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _write(self, event: Mapping[str, Any]) -> None:
        rows = [each for each in measurements(event) if each.value is not None]
        for row in rows:
            self._writer(row.split).write_event(_event(row))
        for split in {row.split for row in rows}:
            self._writers[split].flush()

    def _writer(self, split: str) -> EventsWriter:
        if split not in self._writers:
            folder = self._folder.tensorboard / split
            first = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            suffix = "" if self._after is None else f".after-{self._after}"
            made = self._writers[split] = EventsWriter(str(folder / "events"), suffix)
            if self._after is not None and not first:
                start = SessionLog(status=SessionLog.START)
                made.write_event(Event(wall_time=time.time(), step=self._after + 1, session_log=start))
        return self._writers[split]


def _event(row: Measurement) -> Event:
    return Event(wall_time=time.time(), step=row.epoch, summary=scalar(row.tag, row.value))
