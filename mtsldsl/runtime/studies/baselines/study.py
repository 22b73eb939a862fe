"""A study from its rows to their comparison: the runs that are missing are made, then all are read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.normal import digest
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.network.source_file import original_spans
from mtsldsl.runtime.objectives.constant import constant_metrics
from mtsldsl.runtime.objectives.relative_gain import Results
from mtsldsl.runtime.run.data_record import record_of_data
from mtsldsl.runtime.run.event_json import plain
from mtsldsl.runtime.studies.baselines.comparison import Comparison
from mtsldsl.runtime.studies.baselines.trial import TEST, Outcome, Trial, digests_of
from mtsldsl.runtime.studies.baselines.trials import Tell, Trials
from mtsldsl.runtime.studies.baselines.wanted_rows import EACH, LEARNED, Row, Wanted
from mtsldsl.syntax import write_text_atomically
from mtsldsl.syntax.files import is_file


@attrs.frozen
class Floor:
    """What the best constant answer reaches on a set, and the digests of the data that it is a part of."""

    read: Mapping[str, Any]
    metrics: Results


@attrs.frozen(eq=False)
class Study:
    """Rows, the seeds of their runs, and how and where these are made."""

    wanted: Wanted
    seeds: tuple[int, ...]
    folder: Path
    device: str
    threads: int = 1
    jobs: int = 1
    with_reconstruct: bool = False
    """Whether what is to be the input again counts in Delta-m."""
    split: str = TEST
    """The set that rows are compared on: `test`, or `validation` as long as options are chosen."""

    @property
    def pages(self) -> tuple[str, str]:
        """What the picture and the page are called in its folder."""
        of = "" if self.split == TEST else f"-{self.split}"
        return f"gain_by_size{of}.png", f"report{of}.html"

    @property
    def counted(self) -> tuple[str, ...]:
        """The tasks that Delta-m is the mean of. Raises MtlError MTL804 where there are none."""
        tasks = self.wanted.chosen.tasks
        found = tuple(task.name for task in tasks if self.with_reconstruct or task.target.kind != "reconstruct")
        if not found:
            raise MtlError.of("MTL804", "no task counts in Δm, as all are `reconstruct`", "let them count")
        return found

    def run(self, tell: Tell) -> Comparison:
        """Make what is missing, telling of each run that ends, and compare all. Raises as `Trials.outcomes` does,
        MtlError as `load_data` does where the data is not there, and MTL801 where the runs did not read the same."""
        counted, floor = self.counted, self._floor()
        trials = Trials(self.folder, self.jobs, tell, self.split)
        made: dict[Row, dict[int, Outcome]] = {row: {} for row in self.wanted.rows}
        first = [row for row in self.wanted.rows if row.structure_of is None and not row.taught]
        later = [row for row in self.wanted.rows if row not in first]  # made of what others have, or taught by them
        for rows in (first, later):
            orders = {(row, seed): self._order(row, seed, made) for seed in self.seeds for row in rows}
            ended = iter(trials.outcomes([each for each in orders.values() if isinstance(each, Trial)]))
            for (row, seed), order in orders.items():
                made[row][seed] = next(ended) if isinstance(order, Trial) else order
        if any(each.data != floor.read for runs in made.values() for each in runs.values() if not each.diverged):
            cause = f"the runs in {self.folder} did not all read the same data"
            raise MtlError.of("MTL801", cause, "name another folder with -o, and let the study begin anew")
        return Comparison.of(made, floor.metrics, counted)

    def _order(self, row: Row, seed: int, made: Mapping[Row, Mapping[int, Outcome]]) -> Trial | Outcome:
        """The run to be made; of a structure whose run diverged, or with teachers that did, nothing can be made,
        and that is the outcome."""
        found = teachers = taught_by = None
        if row.taught:
            each, runs = next((other, runs) for other, runs in made.items() if EACH in other.names)
            if runs[seed].diverged:
                return runs[seed]
            order = self._order(each, seed, made)
            assert isinstance(order, Trial)
            teachers, taught_by = runs[seed].folder, order.key
        if row.structure_of is not None:
            other = next(runs[seed] for each, runs in made.items() if each.name == row.structure_of)
            if other.diverged:
                return other
            found = other.sharing()
        name = LEARNED if row.several else row.name
        return Trial(name, seed, row.at(seed, found, teachers), self.device, self.threads, row.network, taught_by)

    def _floor(self) -> Floor:
        """Of the set that rows are compared on, kept in the study's folder."""
        spec = next(row.spec for row in self.wanted.rows if EACH in row.names)
        of = "" if self.split == TEST else f"{self.split}-"
        path = self.folder / f"constant-{of}{digest(spec)[:12]}.json"
        if not is_file(path):
            with original_spans(spec):
                data = load_data(spec)
            samples = data.test if self.split == TEST else data.validation
            found = Floor(digests_of(record_of_data(spec, data)), constant_metrics(spec.tasks, samples))
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text_atomically(path, json.dumps(plain(attrs.asdict(found))) + "\n")
        kept = json.loads(path.read_text(encoding="utf-8"))
        constant: dict[str, dict[str, float | None]] = kept["metrics"]
        numbers = {
            task: {name: math.nan if value is None else value for name, value in values.items()}
            for task, values in constant.items()
        }
        return Floor(kept["read"], numbers)
