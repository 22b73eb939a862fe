"""`report.html` of a study: its table, what that shows, and the picture of it, as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mtsldsl import __version__
from mtsldsl.pages.page import page
from mtsldsl.runtime.studies.baselines.comparison import Comparison
from mtsldsl.runtime.studies.baselines.comparison_lines import table_cells
from mtsldsl.runtime.studies.baselines.size_chart import size_drawing
from mtsldsl.runtime.studies.baselines.verdicts import verdicts


def study_page(
    comparison: Comparison, name: str, head: Sequence[str], notes: Sequence[str], command: str, computed_on: str
) -> str:
    """The page of a study of that name. `head` says what was compared, `notes` what has to be known to read the
    table."""
    columns, *rows = table_cells(comparison)
    return page(
        "mtsldsl.runtime.studies.baselines",
        "study.html",
        {},
        study=name,
        head=head,
        verdicts=verdicts(comparison),
        drawing=size_drawing(comparison),
        columns=columns,
        rows=rows,
        notes=notes,
        repeated=[
            ("command", command),
            ("computed on", computed_on),
            ("versions", f"mtsldsl {__version__}, torch {torch.__version__}"),
        ],
    )
