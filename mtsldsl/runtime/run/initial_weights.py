"""Weights that a run begins with: of another run, of a file that one was exported to, or of another library's file."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path

import attrs
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.cost import body_cost
from mtsldsl.ir.wiring import bodies, copies
from mtsldsl.language.beginnings import RANGE, fillable
from mtsldsl.runtime.network.initial_state import begin_with
from mtsldsl.runtime.network.portable import ABOUT
from mtsldsl.runtime.network.pretrained.filling import fill
from mtsldsl.runtime.network.weights_digest import digest_of_weights
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.events import Begun, Warned
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.sharing.component import HEADS, module_name, owner
from mtsldsl.syntax.files import is_folder

_SEVERAL = {"is": "are", "has": "have", "begins": "begin"}


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
                some = since is not None or until is not None
                only = fillable(said, spec.backbone.layers, spec.sharing.tasks) if some else None
                return attrs.evolve(cls.of(path), only=only)
            state, _ = _read(path, "name a `.safetensors` file")
        except MtlError as error:
            raise MtlError(attrs.evolve(each, span=each.span or said.span) for each in error.diagnostics) from error
        return ForeignWeights(path, state, str(library), str(prefix or ""), since, until)

    def begin(self, spec: Spec, model: nn.Module) -> tuple[Begun, Collection[str]]:
        """Let the network of a new run begin with them; what is told of it, and the copies that do, by their names.
        Raises MtlError as `fill` does."""
        text, filled = self.fill(spec, model)
        return Begun(text=text, sha256=self.digest()), filled

    def digest(self) -> str:
        """The SHA-256 of the weights by their names, in hexadecimal."""
        return digest_of_weights(self.state)

    @abstractmethod
    def fill(self, spec: Spec, model: nn.Module) -> tuple[str, Collection[str]]:
        """Let the network of a run begin with them; which part does, in words, and the names of its copies.

        Raises MtlError MTL805 where no part of it is there, or what is there does not fit.
        """


@attrs.frozen
class OwnWeights(InitialWeights):
    """Those of a network of another spec: a layer takes those of the layer of its name. `only` are the layers, and the
    tasks whose heads, that take any, where not all do."""

    spec: Spec
    only: Collection[str] | None = None

    def fill(self, spec: Spec, model: nn.Module) -> tuple[str, Collection[str]]:
        """Let all parts begin with them that are alike in both networks."""
        found = begin_with(spec, model, self.spec, self.state, self.only)
        if not found.taken:
            which = "" if self.only is None else f" among those that `init` fills, {named(list(self.only))}"
            cause = f"the weights of `{self.path}` have no layer and no head of this network{which}"
            raise MtlError.of("MTL805", cause, "name the run of a spec with layers of the same names and sizes")
        reasons: dict[str, list[str]] = {}
        for name, reason in found.anew.items():
            reasons.setdefault(reason, []).append(name)
        rest = "".join(f"; {named(names)} {_of(len(names), reason)}" for reason, names in reasons.items())
        count = len(found.taken) + len(found.anew)
        return f"{_begin(len(found.taken), count, 'part')} with weights of {self.path}{rest}", found.taken


@attrs.frozen
class ForeignWeights(InitialWeights):
    """Those of a network that another library has made: layers take them in the order in which they compute."""

    library: str
    prefix: str = ""
    since: str | None = None
    until: str | None = None

    def fill(self, spec: Spec, model: nn.Module) -> tuple[str, Collection[str]]:
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
        filled = [copy.name for copy in copies(spec) if copy.layer in found.layers]
        return f"{_begin(len(found.layers), count, 'layer')} with {which}{rest}", filled


def begin_run(weights: InitialWeights | None, spec: Spec, model: nn.Module) -> list[Begun | Warned]:
    """Let the network of a new run begin with weights, where there are any; what is told of it, and a warning where
    something is frozen as the seed drew it. Raises MtlError as `begin` does."""
    begun, filled = (None, ()) if weights is None else weights.begin(spec, model)
    told: list[Begun | Warned] = [] if begun is None else [begun]
    if (remark := _remark_on_frozen(spec, filled)) is not None:
        told.append(Warned(about="tuning", text=remark))
    return told


def _remark_on_frozen(spec: Spec, filled: Collection[str]) -> str | None:
    """What is frozen and has weights that nothing filled; a module of the person's own may have filled its own."""
    drawn: dict[str, None] = {}
    for copy, body in bodies(spec).items() if spec.frozen else ():
        name, amount = owner(copy.name), body_cost(body)
        if name in spec.frozen and copy.name not in filled and amount.parameters and not amount.declared:
            drawn[name] = None
    if not drawn:
        return None
    said = named([name if name in spec.backbone else module_name(HEADS, name) for name in drawn])
    is_so = "is" if len(drawn) == 1 else "are"
    return f"{said} {is_so} frozen with the weights that the seed drew, as nothing has filled them (see MTL945)"


def _of(count: int, reason: str) -> str:
    """What is so with one part, of that many."""
    verb, _, rest = reason.partition(" ")
    return reason if count == 1 else f"{_SEVERAL[verb]} {rest}"


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
