"""What a run learned of its data, which new inputs and answers need: read from its record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from mtsldsl.ir.model import Data, Spec
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.new_inputs import Extent
from mtsldsl.runtime.data.samples import Scale
from mtsldsl.runtime.run.data_record import noted
from mtsldsl.tables.table_inputs import TableInputs


@attrs.frozen
class Recorded:
    """Of one data block."""

    extents: Mapping[str, Extent]
    """Between which numbers each of the training inputs lay; nothing where that was not noted."""
    inputs: TableInputs | None
    """How columns of a table become the input; None where no table is read."""
    names: Mapping[str, tuple[str, ...]]
    """Of each task whose classes have names, these in their order."""
    scales: Mapping[str, Scale]
    """Of each task that is learned with another mean and deviation, these."""

    @classmethod
    def of(cls, spec: Spec, data: Data, events: Path) -> Recorded:
        """What the run of these events noted of a data block of its spec."""
        found = noted(events, spec, data) or {}
        noted_extents, fitted = found.get("input", {}), found.get("fitted", {})
        if not isinstance(noted_extents, Mapping):  # of the only input
            noted_extents = {data.input: noted_extents}
        tasks = [task for task in spec.tasks if spec.data_of(task.name) is data]
        fields = {task.name: field_of_task(data, task) for task in tasks}
        streams = {task: stream.name for stream in spec.streams for task in stream.tasks}
        keys = {task: f"{streams[task]}/{field}" if data.apart else field for task, field in fields.items()}
        scales = {task.name: found["scales"][keys[task.name]] for task in tasks if task.target.scale == "standard"}
        names = fitted.get("classes", {})
        return cls(
            {name: (float(each[0]), float(each[1])) for name, each in noted_extents.items() if each},
            TableInputs.of_record(fitted["inputs"]) if "inputs" in fitted else None,
            {task: tuple(names[field]) for task, field in fields.items() if field in names},
            {task: Scale(tuple(scale["mean"]), tuple(scale["deviation"])) for task, scale in scales.items()},
        )
