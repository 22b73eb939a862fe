"""Weights that a run begins with, of another run or of a file that one was exported to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import attrs
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.initial_state import begin_with
from mtsldsl.runtime.network.portable import ABOUT
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.events import Begun
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.syntax.files import is_folder


@attrs.frozen
class InitialWeights:
    """The weights of a network and its spec, and where they are from."""

    path: Path
    spec: Spec
    state: Mapping[str, Tensor]

    @classmethod
    def of(cls, path: Path) -> InitialWeights:
        """The best weights of a run folder, or those of a file that `mtsldsl export --to safetensors` wrote.

        Raises MtlError: MTL805 for a file that is none, MTL801 for a folder that is no run or has no finished epoch.
        """
        if is_folder(path):
            spec, model = load_best(RunFolder.open(path), torch.device("cpu"))
            return cls(path, spec, model.state_dict())
        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {}).get(ABOUT, "null"))
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        except (OSError, SafetensorError, ValueError) as problem:
            cause = f"`{path}` cannot be read as weights: {problem}"
            raise MtlError.of(
                "MTL805", cause, "name a run, or a file of `mtsldsl export --to safetensors`"
            ) from problem
        if not isinstance(about, dict) or "spec" not in about:
            cause = f"`{path}` does not say which network its weights are of"
            raise MtlError.of("MTL805", cause, "name a run, or a file of `mtsldsl export --to safetensors`")
        return cls(path, loads(about["spec"]), state)

    def begin(self, spec: Spec, model: nn.Module, run: RunFolder | None = None) -> Begun:
        """Let the network of a new run begin with them. A run that cannot leaves no folder behind; raises MtlError as
        `fill` does."""
        try:
            return Begun(text=self.fill(spec, model), sha256=self.digest())
        except MtlError:
            if run is not None:
                shutil.rmtree(run.path)
            raise

    def digest(self) -> str:
        """The SHA-256 of the weights by their names, in hexadecimal."""
        found = sha256()
        for name, value in sorted(self.state.items()):
            found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return found.hexdigest()

    def fill(self, spec: Spec, model: nn.Module) -> str:
        """Let the network of a run begin with them, and say of which part it does.

        Raises MtlError MTL805 where no part of it is there.
        """
        found = begin_with(spec, model, self.spec, self.state)
        if not found.taken:
            cause = f"the weights of `{self.path}` have no layer and no head of this network"
            raise MtlError.of("MTL805", cause, "name the run of a spec with layers of the same names and sizes")
        reasons: dict[str, list[str]] = {}
        for name, reason in found.anew.items():
            reasons.setdefault(reason, []).append(name)
        rest = "".join(f"; {named(names)} {reason}" for reason, names in reasons.items())
        return (
            f"{len(found.taken)} of {len(found.taken) + len(found.anew)} parts begin with weights of {self.path}{rest}"
        )
