"""Which samples of its files a split has: their numbers or names, as predictions of these files are called."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.division import SPLITS


@attrs.frozen(eq=False)
class SampleRows:
    """The samples of each split in their order, by their numbers from 0 in the arrays or the table that they are from;
    of pictures by their place among `names`, the paths of all."""

    numbers: Mapping[str, NDArray[np.int64]]
    names: Sequence[str] | None = None

    def of(self, split: str) -> list[str]:
        """What the samples of a split are called."""
        numbers = self.numbers[split].tolist()
        return [str(number) if self.names is None else self.names[number] for number in numbers]


def rows_table(rows: Mapping[str, SampleRows]) -> str:
    """The samples as CSV, `sample,split`; where there are several sources of samples with the name of each first."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    several = len(rows) > 1
    writer.writerow((*(["source"] if several else []), "sample", "split"))
    for source, found in rows.items():
        for split in SPLITS:
            writer.writerows((*([source] if several else []), name, split) for name in found.of(split))
    return stream.getvalue()
