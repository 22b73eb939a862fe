"""Checkpoints: spec text, weights and optimizer state by name, position, random states; loading one runs no code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.learning.training import Training, named_parameters
from mtsldsl.runtime.network.optimizer_state import load_named_state, named_optimizer_state
from mtsldsl.runtime.run.folder import RunFolder, write_source

WEIGHTS = "weights.safetensors"

MEAN = "mean"
"""What the best weights of the whole network are called; a task's own stand apart, by the task's name."""


def keep_weights(folder: RunFolder, training: Training, tasks: Collection[str]) -> None:
    """Keep the present weights of all that the predictions of `tasks` depend on as the best ones of the network.

    What other tasks depend on stays as it was: they share nothing with these, and have an epoch of their own.
    """
    if not tasks:
        return
    path, kept = folder.best / f"{MEAN}.{WEIGHTS}", _read_by(training, tasks)
    if len(tasks) < len(training.spec.tasks):
        kept = load_file(path) | {name: _stored(value) for name, value in kept.items()}
    save_tensors(path, kept)
    write_source(folder.best / f"{MEAN}.mtl", training.spec.source)


def keep_own_weights(folder: RunFolder, training: Training, task: str) -> None:
    """Keep the present weights of all that the prediction of `task` depends on as the best ones of that task."""
    folder.own_best.mkdir(exist_ok=True)
    save_tensors(folder.own_best / f"{task}.{WEIGHTS}", _read_by(training, [task]))


def _read_by(training: Training, tasks: Collection[str]) -> dict[str, Tensor]:
    """The tensors that the predictions of `tasks` depend on, by name."""
    prefixes = [f"{copy.name}." for copy in copies(training.spec) if not copy.component.isdisjoint(tasks)]
    state = training.model.state_dict()
    return {name: value for name, value in state.items() if name.startswith(tuple(prefixes))}


def save_weights(path: Path, model: nn.Module) -> None:
    """The network's parameters and buffers."""
    save_tensors(path, model.state_dict())


def save_tensors(path: Path, state: Mapping[str, Tensor]) -> None:
    """The tensors by name as a safetensors file, which is there whole or not at all.

    Raises MtlError MTL703 where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        save_file({name: _stored(value) for name, value in state.items()}, str(temporary))
    except SafetensorError as problem:
        cause = f"{path} cannot be written: {problem}"
        raise MtlError.of("MTL703", cause, "check the folder, its permissions and the space on the disk") from None
    temporary.replace(path)


def _stored(value: Tensor) -> Tensor:
    return value.detach().to("cpu").contiguous()


def load_weights(path: Path, model: nn.Module, *, whole: bool = True) -> None:
    """Fill `model` from a file of `save_weights`, or those parts that it holds where it need not be `whole`.

    Raises MtlError MTL805 where names or shapes do not fit.
    """
    try:
        state = load_file(str(path))
    except (OSError, SafetensorError) as problem:
        raise MtlError.of("MTL805", f"`{path}` cannot be read: {problem}", "name a weights file of a run") from problem
    expected = model.state_dict()
    missing = sorted(expected.keys() - state.keys()) if whole else []
    unknown = sorted(state.keys() - expected.keys())
    wrong = sorted(name for name in expected.keys() & state.keys() if expected[name].shape != state[name].shape)
    if missing or unknown or wrong:
        first = (missing + unknown + wrong)[0]
        raise MtlError.of(
            "MTL805",
            f"the weights of `{path}` are of another network: {len(missing)} tensors are missing, "
            f"{len(unknown)} unknown, {len(wrong)} of another shape, the first is `{first}`",
            "use the spec that stands beside the weights",
        )
    model.load_state_dict(state, strict=whole)


def save_checkpoint(folder: RunFolder, training: Training) -> None:
    """Write `checkpoints/epoch-<n>` and then drop the older ones."""
    final = folder.checkpoints / f"epoch-{training.epoch:03d}"
    temporary = folder.checkpoints / f".partial-{final.name}"
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir()
    write_source(temporary / "spec.mtl", training.spec.source)
    save_weights(temporary / WEIGHTS, training.model)
    state: dict[str, Any] = {
        "optimizer": named_optimizer_state(
            training.optimizer, dict(named_parameters(training.model, training.balance, training.learner))
        ),
        "scheduler": training.scheduler.state_dict() if training.scheduler else None,
        "balance": training.balance.state_dict(),
        "random": torch.get_rng_state(),
    }
    if training.device.type == "cuda":
        state["random_cuda"] = torch.cuda.get_rng_state(training.device)
    packed = BytesIO()
    torch.save(state, packed)
    (temporary / "state.pt").write_bytes(packed.getvalue())  # whose error on a full disk says so
    position = {"epoch": training.epoch, "earlier": training.earlier}
    (temporary / "position.json").write_text(json.dumps(position) + "\n", encoding="utf-8")
    folder.replace_folder(temporary, final)
    for child in folder.checkpoints.iterdir():
        if child != final:
            shutil.rmtree(child)


def restore_checkpoint(checkpoint: Path, training: Training) -> None:
    """Bring a fresh `training` of the checkpoint's own spec to where the checkpoint was taken."""
    load_weights(checkpoint / WEIGHTS, training.model)
    state = torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)
    parameters = dict(named_parameters(training.model, training.balance, training.learner))
    training.balance.load_state_dict(state["balance"])
    load_named_state(training.optimizer, parameters, state["optimizer"])
    if training.scheduler is not None:
        training.scheduler.load_state_dict(state["scheduler"])
    random: Tensor = state["random"]
    torch.set_rng_state(random)
    if training.device.type == "cuda" and "random_cuda" in state:
        torch.cuda.set_rng_state(state["random_cuda"], training.device)
    position = json.loads((checkpoint / "position.json").read_text(encoding="utf-8"))
    training.epoch, training.earlier = int(position["epoch"]), int(position.get("earlier", 0))
