"""The best weights of a run as a file for other programs, with its model card beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from mtsldsl import __version__
from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.diagnostics.bounded import named
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.runtime.data.samples import Scale
from mtsldsl.runtime.network.portable import FORMS, Portable, as_file
from mtsldsl.runtime.network.source_file import original_spans
from mtsldsl.runtime.objectives.token_answers import in_units
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.checkpoint import MEAN
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_beside import called, epochs_kept
from mtsldsl.runtime.run.recorded import Recorded
from mtsldsl.syntax import write_bytes_atomically, write_text_atomically


@attrs.frozen
class Exported:
    """A file that is not written yet: its bytes, and by how much its numbers differ from torch's at most, as a share of
    the largest of an output. `network` is what is in it, with the `epochs` that its tasks' weights are of."""

    path: Path
    form: str
    data: bytes
    difference: float
    network: Portable
    epochs: Mapping[str, int]
    scales: Mapping[str, Scale]
    columns: Mapping[str, Sequence[Mapping[str, Any]]]
    """Of a data block that is a table how its columns become the input, as the record of the run has it."""
    names: Mapping[str, Sequence[str]]
    """Of tasks whose classes have names these, in their order."""
    of: str = MEAN
    """The task of whose own best epoch the weights are, or the name of a network beside the run's own."""

    @property
    def only(self) -> Sequence[str] | None:
        """The tasks of which the file has no more than what their outputs depend on; None where it has the whole
        network."""
        return self.network.tasks if FORMS[self.form].computes else None

    def write(self, card: str) -> None:
        """Replace the file, and `<file>.md` beside it by its model card. Raises MtlError MTL703 where one cannot be
        written."""
        write_bytes_atomically(self.path, self.data)
        write_text_atomically(self.path.with_name(f"{self.path.name}.md"), card)


def export(
    folder: RunFolder, form: str, output: Path | None = None, tasks: Sequence[str] = (), of: str = MEAN
) -> Exported:
    """The best weights of a run as one file of a form of `portable.FORMS`, compared with the network: for `output`, or
    `export/<spec>.<form>` in the run's folder.

    Without `tasks` it is for all of them; a file that computes is for those of one data block. With a task's name, `of`
    takes the weights of that task's own best epoch: a file that computes, for it alone, `export/<spec>_<task>.<form>`.

    Raises:
        MtlError: MTL107 for a task that there is not, MTL811 for what cannot be exported so, MTL808 where a library is
            missing, MTL801 where the record of the run does not say of which epoch the weights are, and what
            `load_best` raises.
    """
    of = called(folder, of)
    spec, model = load_best(folder, torch.device("cpu"), of)
    chosen = _chosen(spec, form, tasks, of)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stubs lack the keyword
    best = epochs_kept(folder, spec, of)
    if not best.keys() >= set(chosen):
        cause = f"the record of `{folder.path}` does not say of which epoch its weights are"
        raise MtlError.of("MTL801", cause, "copy the run folder once more from where it is whole")
    epochs = {task: best[task] for task in chosen}
    recorded = {data.name: Recorded.of(spec, data, folder.events) for data in spec.blocks}
    scales = {task: scale for each in recorded.values() for task, scale in each.scales.items() if task in chosen}
    columns = {name: each.inputs.record() for name, each in recorded.items() if each.inputs is not None}
    names = {task: each.names[task] for each in recorded.values() for task in chosen if task in each.names}
    about = {
        "version": __version__,
        "spec": spec.source.text,
        "spec_sha256": digest(spec),
        "tasks": chosen,
        "epochs": epochs,
        **({"scales": {task: attrs.asdict(scale) for task, scale in scales.items()}} if scales else {}),
        **({"columns": columns} if columns else {}),
        **({"classes": names} if names else {}),
        **({"outputs": outputs} if (outputs := _columns(spec, chosen)) else {}),
    }
    units = {task: in_units(spec.task(task), scale) for task, scale in scales.items()}
    network = Portable(spec, model, chosen, json.dumps(about), units)
    with original_spans(spec):
        data, difference = as_file(network, form)
    if output is None:
        folder.exports.mkdir(exist_ok=True)
        stem = Path(spec.source.name).stem
        output = folder.exports / f"{stem if of == MEAN else f'{stem}_{of}'}.{form}"
    return Exported(output, form, data, difference, network, epochs, scales, columns, names, of)


def _columns(spec: Spec, tasks: Sequence[str]) -> dict[str, Sequence[str]]:
    """Of tasks that learn several columns of a table these, in the order of the output."""
    return {name: columns for name in tasks if (columns := spec.task(name).columns)}


def _chosen(spec: Spec, form: str, tasks: Sequence[str], of: str) -> list[str]:
    """The tasks that the file is for, in the order of the spec."""
    known = [task.name for task in spec.tasks]
    alone = of if of in known else None
    for task in tasks:
        if task not in known:
            raise MtlError.of("MTL107", f"the run has no task `{task}`", suggestion(task, known, "tasks"))
    chosen = [task for task in known if (not tasks or task in tasks) and alone in (None, task)]
    if form == "safetensors":
        if tasks or alone:
            cause = "safetensors has the weights of the whole network, which `build_model` makes of its spec"
            raise MtlError.of("MTL811", cause, f"leave out `--{'of' if alone else 'task'}`, or take `--to pt2`")
        return known
    blocks = list(dict.fromkeys(spec.data_of(task).name for task in chosen))
    if len(blocks) > 1:
        first = [task for task in chosen if spec.data_of(task).name == blocks[0]]
        cause = f"a file has the inputs of one data block, and these tasks read the samples of {named(blocks)}"
        words = " ".join(f"--task {task}" for task in first)
        raise MtlError.of("MTL811", cause, f"make a file for each: that of `{blocks[0]}` with `{words}`")
    return chosen
