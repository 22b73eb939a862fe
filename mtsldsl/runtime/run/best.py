"""The best weights of a run, with the spec they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.ir import Spec, Task
from mtsldsl.runtime.network.built import build_model, place
from mtsldsl.runtime.network.source_file import original_spans
from mtsldsl.runtime.run.checkpoint import MEAN, WEIGHTS, load_weights
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_beside import called, names_beside
from mtsldsl.runtime.run.user_module_record import warn_of_other_modules


def load_run(path: str | Path, of: str = MEAN) -> tuple[Spec, nn.Module]:
    """The spec and the network of a run folder with its best weights, on the CPU and in evaluation mode.

    The network's forward maps an input `(n, ...)` to `{task: output}`. With a task's name, `of` takes the weights of
    that task's own best epoch, and the network gives its output alone; with the name of a network that was trained
    beside the run's own, such as a budget of `structure ladder`, it is that one.

    Raises:
        MtlError: MTL801 for a folder that is no run or has no finished epoch, MTL107 where `of` is no task of it,
            MTL805 for weights that do not fit, and what `build_model` raises.
    """
    spec, model = load_best(RunFolder.open(Path(path)), torch.device("cpu"), of)
    return spec, model.eval()


def load_best(
    folder: RunFolder, device: torch.device, of: str = MEAN, settings: Mapping[str, str] = {}
) -> tuple[Spec, nn.Module]:
    """The same on a device, and with settings for the spec, such as `{"data.path": "other.npz"}`. A person is told of
    modules of their own that have changed before one runs.

    Raises MtlError: MTL805 where they would make another network, besides what `load_run` and reading a spec do.
    """
    warn_of_other_modules(folder.events)
    return load_kept(folder, device, of, settings)


def load_kept(
    folder: RunFolder, device: torch.device, of: str = MEAN, settings: Mapping[str, str] = {}
) -> tuple[Spec, nn.Module]:
    """The same for the run itself, in which these modules run already."""
    of = called(folder, of)
    path, own = folder.best / f"{MEAN}.mtl", folder.own_best / f"{of}.mtl"
    if not path.is_file():
        raise MtlError.of("MTL801", f"`{folder.path}` has no finished epoch yet", "let the run end its first epoch")
    beside = names_beside(folder)
    if of in beside:
        path, own = folder.beside / f"{of}.mtl", path
    spec = folder.read_spec(path)
    tasks = [task.name for task in spec.tasks]
    if of not in (MEAN, *tasks, *beside):
        raise _unknown(of, tasks, beside, folder)
    alone = of in tasks and own.is_file()  # the network of that epoch is another one
    if alone:
        path, spec = own, folder.read_spec(own)
    with original_spans(spec):
        model = place(build_model(spec), spec, device)
    if not alone:
        load_weights(path.with_name(f"{path.stem}.{WEIGHTS}"), model)
    if of in tasks:
        load_weights(folder.own_best / f"{of}.{WEIGHTS}", model, whole=False)
        model.register_forward_hook(_giving_only(of))
    if settings:
        changed = folder.read_spec(path, settings)
        _require_same_network(spec, changed, folder)
        spec = changed
    return spec, model


def _unknown(of: str, tasks: list[str], beside: list[str], folder: RunFolder) -> MtlError:
    if of.isidentifier():
        cause, remedy = f"`{folder.path}` has no task `{of}`", suggestion(of, [*tasks, *beside], "tasks")
    elif beside:
        cause, remedy = f"`{folder.path}` has no network `{of}`", suggestion(of, beside, "networks beside its own")
    else:
        cause, remedy = f"`{folder.path}` has no network `{of}`, but its own alone", "leave `--of` out, or name a task"
    return MtlError.of("MTL107", cause, remedy)


def _giving_only(task: str) -> Callable[[nn.Module, tuple[Tensor, ...], Mapping[str, Tensor]], dict[str, Tensor]]:
    def only(_: nn.Module, __: tuple[Tensor, ...], outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {task: outputs[task]}

    return only


def _require_same_network(spec: Spec, changed: Spec, folder: RunFolder) -> None:
    """Hold that settings change no more than what is evaluated, and how: the data, and tasks' losses and metrics."""
    different = _first_difference(spec, changed)
    if different is not None:
        cause = f"{different} would be another one than the weights of `{folder.path}` were trained with"
        remedy = "set the data, or a task's loss, metrics or weight; for anything else train again with `--set`"
        raise MtlError.of("MTL805", cause, remedy)


def _inputs(spec: Spec) -> list[object]:
    """The inputs of all data blocks, in their order."""
    return [(data.name, *data.inputs.items()) for data in spec.blocks]


def _first_difference(spec: Spec, changed: Spec) -> str | None:
    if _inputs(spec) != _inputs(changed):
        return "the input"
    for block in ("train", "structure"):
        if getattr(spec, block) != getattr(changed, block):
            return f"`{block}`"
    for layer, other in zip(spec.layers, changed.layers, strict=True):
        if layer != other:
            return f"the layer `{layer.name}`"
    for before, after in zip(spec.tasks, changed.tasks, strict=True):
        if _answers(before) != _answers(after):
            return f"the task `{before.name}`"
    return None if spec.sharing == changed.sharing else "the sharing"


def _answers(task: Task) -> tuple[object, ...]:
    """What of a task the network depends on."""
    target = task.target
    return task.name, task.head, target.kind, target.channels, target.ignore
