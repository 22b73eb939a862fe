"""What a run begins with: its data, read and held against the spec, and what is said of it before anything trains."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from mtsldsl import __version__
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec, normal
from mtsldsl.ir.pedantic.training import remarks_on_mirroring
from mtsldsl.runtime.data import Splits, describe, load_data
from mtsldsl.runtime.data.label_remarks import remarks_on_labels
from mtsldsl.runtime.data.labels import Described, require_labels
from mtsldsl.runtime.data.loading import load_for
from mtsldsl.runtime.learning.batch_norm import remarks_on_statistics
from mtsldsl.runtime.learning.precision import remark_on
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.learning.schedule import remarks_on_schedule, require_room_for_schedule
from mtsldsl.runtime.network.source_file import original_spans
from mtsldsl.runtime.network.user_modules import remarks_on_sizes
from mtsldsl.runtime.run import events
from mtsldsl.runtime.run.data_record import record_of_data
from mtsldsl.runtime.run.user_module_record import record_of_own_modules


@attrs.frozen(eq=False)
class Read:
    """The samples of a spec, how many labels they have, and what a person should know about these."""

    data: Splits[Any]
    described: Described
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, spec: Spec, recorded: Mapping[str, Path] = {}, *, cache: bool = True, workers: int = 0) -> Read:
        """Read them as `load_data` does. Raises MtlError as that does, and MTL804 where a task has no label to learn
        from, or none for the metric that chooses the epoch, and MTL814 where a schedule has too few steps."""
        with original_spans(spec):
            data = load_data(spec, recorded, cache=cache, workers=workers)
            described = describe(spec, data)
            missing = _held(spec, described)
            require_room_for_schedule(spec, data.train)
        return cls(data, described, (*missing, *remarks_on_labels(spec, data), *remarks_on_mirroring(spec)))

    def start(
        self,
        spec: Spec,
        device: torch.device,
        ranks: Ranks,
        *,
        folder: str | None,
        in_place: str | None = None,
    ) -> events.Start:
        """The event of the start of a run that reads these."""
        cost = spec.cost()
        return events.Start(
            spec=spec.source.name,
            spec_sha256=normal.digest(spec),
            folder=folder,
            in_place=in_place,
            tasks=[task.name for task in spec.tasks],
            layers=[layer.name for layer in spec.layers],
            method=spec.structure.method if spec.structure else "none",
            balance=spec.train.balance.name,
            epochs=spec.train.epochs,
            seed=spec.train.seed,
            device=str(device),
            threads=torch.get_num_threads(),
            processes=ranks.size if ranks.several else None,
            python=platform.python_version(),
            torch=torch.__version__,
            parameters=cost.parameters,
            flops=cost.flops,
            modules=record_of_own_modules(spec),
            data=self.described,
            read=record_of_data(spec, self.data),
            version=__version__,
        )

    def warnings(self, spec: Spec, device: torch.device) -> Iterator[events.Warned]:
        """What a person is told before the first step."""
        if (slow := remark_on(spec.train.precision, device)) is not None:
            yield events.Warned(about="precision", text=slow)
        for remark in remarks_on_schedule(spec, self.data.train):
            yield events.Warned(about="schedule", text=remark)
        for remark in remarks_on_sizes(spec):
            yield events.Warned(about="modules", text=remark)
        for remark in (*self.data.remarks, *self.remarks, *remarks_on_statistics(spec)):
            yield events.Warned(about="data", text=remark)


def every_problem(spec: Spec, found: MtlError, *, cache: bool = True, workers: int = 0) -> MtlError:
    """What was found wrong with the data of a spec, which ends at the first, and what else is: that of each task, as if
    it were the only one."""
    problems = {(each.code, each.cause, each.place): each for each in found.diagnostics}
    for task in spec.tasks:
        try:
            with original_spans(spec):
                _held(spec, describe(spec, load_for(spec, task, cache=cache, workers=workers), [task]))
        except MtlError as error:
            for each in error.diagnostics:
                problems.setdefault((each.code, each.cause, each.place), each)
    return MtlError(problems.values())


def _held(spec: Spec, described: Described) -> list[str]:
    """What to warn of in what is described of labels, which holds what a run needs."""
    missing = require_labels(spec, described)
    _require_score(spec, described)
    return missing


def _require_score(spec: Spec, described: Described) -> None:
    """Hold that the metric that chooses the epoch, where one is named, has a label to be measured on."""
    keep = spec.train.keep
    task, dot, _ = keep.partition(".") if isinstance(keep, str) else ("", "", "")
    labels = described["validation"]["labels"]
    if dot and task in labels and not labels[task]["entries"]:
        cause = f"no validation sample has a label of `{task}`, whose metric is to choose the epoch"
        raise MtlError.of("MTL804", cause, "write `keep = best` or `keep = last`", spec.train.span)
