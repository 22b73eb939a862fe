"""The logger `csv`: the numbers of a run as a table, `metrics.csv`, with a row for each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import attrs

from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.measurements import Measurement, measured, measurements
from mtsldsl.runtime.run.record_file import damaged, numbered_events
from mtsldsl.syntax import write_text_atomically

COLUMNS = tuple(field.name for field in attrs.fields(Measurement))


class CsvLog:
    """Adds to the table as the run goes on. A run that goes on has it anew from its record, which is cut to the
    checkpoint: what was written after that is gone from both."""

    def __init__(self, run: Path) -> None:
        self._folder = RunFolder(run)
        self._stream: TextIO | None = None

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Write the rows of an event."""
        if self._stream is None:
            write_text_atomically(self._folder.metrics, csv_table(self._folder.events))
            self._stream = self._folder.metrics.open("a", encoding="utf-8", newline="")
        else:
            self._stream.write(_lines(measurements(event)))
            self._stream.flush()

    def close(self) -> None:
        """Nothing more is written."""
        if self._stream is not None:
            self._stream.close()


def csv_table(record: Path) -> str:
    """The table of a file of events: epoch, split, task (empty: of the run), name, value (empty: not finite).

    Raises MtlError MTL801 at a line that is no event.
    """
    rows: list[Measurement] = []
    for number, event in numbered_events(record):
        try:
            rows += measured(event)
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise damaged(record, number) from problem
    return ",".join(COLUMNS) + "\n" + _lines(rows)


def _lines(rows: Iterable[Measurement]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(attrs.astuple, rows))
    return text.getvalue()
