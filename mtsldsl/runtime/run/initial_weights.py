"""Weights that a run begins with: of another run, of a file that one was exported to, or of another library's file."""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
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
from mtsldsl.language.beginnings import RANGE
from mtsldsl.runtime.network.initial_state import begin_with
from mtsldsl.runtime.network.portable import ABOUT
from mtsldsl.runtime.network.pretrained.filling import fill
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.events import Begun
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.syntax.files import is_folder


@attrs.frozen
class InitialWeights(ABC):
    """Weights by their names, and where they are from."""

    path: Path
    state: Mapping[str, Tensor]

    @classmethod
    def of(cls, path: Path) -> OwnWeights:
        """The best weights of a run folder, or those of a file that `mtsldsl export --to safetensors` wrote.

        Raises MtlError: MTL805 for a file that is none, MTL801 for a folder that is no run or has no finished epoch.
        """
        if is_folder(path):
            spec, model = load_best(RunFolder.open(path), torch.device("cpu"))
            return OwnWeights(path, model.state_dict(), spec)
        remedy = "name a run, or a file of `mtsldsl export --to safetensors`"
        state, metadata = _read(path, remedy)
        try:
            about = json.loads(metadata.get(ABOUT, "null"))
        except ValueError as problem:
            raise _unreadable(path, problem, remedy) from problem
        if not isinstance(about, dict) or "spec" not in about:
            cause = f"`{path}` does not say which network its weights are of"
            other = "of a file of another library say the names, as in `init = start(..., map=timm)`"
            raise MtlError.of("MTL805", cause, f"{remedy}; {other}")
        return OwnWeights(path, state, loads(about["spec"]))

    @classmethod
    def said_by(cls, spec: Spec) -> InitialWeights | None:
        """Those that a spec says itself, None where it says none. Raises MtlError as `of` does, with the place."""
        said = spec.train.init
        if said.name == "none":
            return None
        path, library = Path(str(said.arguments["file"])), said.arguments["map"]
        prefix, *ends = (said.arguments[name] for name in ("prefix", *RANGE))
        since, until = (None if name is None else str(name) for name in ends)
        try:
            if library is None:
                return cls.of(path)
            state, _ = _read(path, "name a `.safetensors` file")
        except MtlError as error:
            raise MtlError(attrs.evolve(each, span=each.span or said.span) for each in error.diagnostics) from error
        return ForeignWeights(path, state, str(library), str(prefix or ""), since, until)

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

    @abstractmethod
    def fill(self, spec: Spec, model: nn.Module) -> str:
        """Let the network of a run begin with them, and say of which part it does.

        Raises MtlError MTL805 where no part of it is there, or what is there does not fit.
        """


@attrs.frozen
class OwnWeights(InitialWeights):
    """Those of a network of another spec: a layer takes those of the layer of its name."""

    spec: Spec

    def fill(self, spec: Spec, model: nn.Module) -> str:
        """Let all parts begin with them that are alike in both networks."""
        found = begin_with(spec, model, self.spec, self.state)
        if not found.taken:
            cause = f"the weights of `{self.path}` have no layer and no head of this network"
            raise MtlError.of("MTL805", cause, "name the run of a spec with layers of the same names and sizes")
        reasons: dict[str, list[str]] = {}
        for name, reason in found.anew.items():
            reasons.setdefault(reason, []).append(name)
        rest = "".join(f"; {named(names)} {reason}" for reason, names in reasons.items())
        count = len(found.taken) + len(found.anew)
        return f"{_begin(len(found.taken), count, 'part')} with weights of {self.path}{rest}"


@attrs.frozen
class ForeignWeights(InitialWeights):
    """Those of a network that another library has made: layers take them in the order in which they compute."""

    library: str
    prefix: str = ""
    since: str | None = None
    until: str | None = None

    def fill(self, spec: Spec, model: nn.Module) -> str:
        """Fill the layers as far as the file has them."""
        found = fill(spec, model, self.state, self.library, self.prefix, self.since, self.until)
        said = {
            "begin anew": found.anew,
            "of the file, its classifier, are left out": found.head,
            "of the file are left out": found.left,
        }
        rest = "".join(f"; {named(names)} {what}" for what, names in said.items() if names)
        count = len(found.layers) + len(found.anew)
        which = f"the {found.network} of {self.library} in {self.path}"
        return f"{_begin(len(found.layers), count, 'layer')} with {which}{rest}"


def _begin(some: int, count: int, what: str) -> str:
    return f"{some} of {count} {what}{'' if count == 1 else 's'} {'begins' if some == 1 else 'begin'}"


def _read(path: Path, remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file by their names, and what it says of them."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as problem:
        raise _unreadable(path, problem, remedy) from problem


def _unreadable(path: Path, problem: Exception, remedy: str) -> MtlError:
    return MtlError.of("MTL805", f"`{path}` cannot be read as weights: {problem}", remedy)
