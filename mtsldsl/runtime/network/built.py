"""Generated code as a live network, with initial weights that depend on the seed and the layers' names alone."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from inspect import signature
from itertools import groupby
from pathlib import PurePath
from types import ModuleType
from typing import Any

import torch
from torch import nn

from mtsldsl.codegen import model_source
from mtsldsl.codegen.plan import source_name
from mtsldsl.ir.model import Spec
from mtsldsl.ir.wiring import copies
from mtsldsl.language.naming import OUTPUTS
from mtsldsl.runtime.network.module_state import give_state
from mtsldsl.runtime.network.user_modules import check_own_modules, watch_own_modules
from mtsldsl.seeds import torch_seed_of
from mtsldsl.sharing import HEADS, Copy
from mtsldsl.sharing.component import helping_task, owner


def build_model(spec: Spec) -> nn.Module:
    """The network that `mtsldsl compile` writes for `spec`, on the CPU, initialised from `spec.train.seed`.

    forward: image `(n, c, h, w)`, or all inputs in their order -> `{task: output}`. torch's random state is left as it
    was.

    Raises:
        MtlError: MTL806 and MTL807 where a module of the person's own cannot be imported, cannot be made, or is not as
            declared, its output at its first forward pass.
    """
    check_own_modules(spec)
    return initialised(model_class(spec), spec)


def model_class(spec: Spec) -> type[nn.Module]:
    """The class `Model` that `mtsldsl compile` writes for `spec`."""
    return load_model_class(model_source(spec), PurePath(source_name(spec.source.name)).stem)


def initialised(made: type[nn.Module], spec: Spec) -> nn.Module:
    """A network of the class that is generated for `spec`, as `build_model` gives it."""
    with torch.random.fork_rng(devices=[]):
        model = made()
    initialise(model, spec, spec.train.seed)
    watch_own_modules(model, spec)
    return model


def load_model_class(text: str, name: str) -> type[nn.Module]:
    """The class `Model` of a generated model.py; equal texts of one name give the same class.

    The text is kept for tracebacks under `<mtsldsl:name>`, and the module in `sys.modules`, where torch.compile looks
    for it.
    """
    key = sha256(f"{name}\n{text}".encode()).hexdigest()[:16]
    module_name = f"mtsldsl_generated_{key}"
    if module_name not in sys.modules:
        file = f"<mtsldsl:{name}>"
        if file in linecache.cache and "".join(linecache.getlines(file)) != text:
            file = f"<mtsldsl:{name}:{key}>"  # an earlier structure of the same spec is still alive
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        module = ModuleType(module_name)
        module.__file__ = file
        exec(compile(text, file, "exec"), module.__dict__)
        sys.modules[module_name] = module
    made: type[nn.Module] = sys.modules[module_name].__dict__["Model"]
    return made


def place(model: nn.Module, spec: Spec, device: torch.device) -> nn.Module:
    """The network on the device; image networks in channels_last, which convolutions are quicker in."""
    model = model.to(device)
    if any(len(shape) == 3 for shape in spec.data.inputs.values()):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack the keyword
    return model


@torch.no_grad()
def initialise(model: nn.Module, spec: Spec, seed: int, but: Collection[str] = ()) -> None:
    """Give every layer, alternative and head torch's default initial weights, drawn from `seed` and its name.

    The order of tasks and layers, the sharing and the device do not matter; all copies of a layer start equal, as far
    as inputs of several sizes leave them of one class. Layers, and heads of tasks, in `but` stay as they are. torch's
    random state is left as it was.
    """
    outputs = {Copy.head(task.name).name: task.head.shape[0] for task in spec.tasks}
    for name, alike in _parts(model, spec):
        if owner(name) in but:
            continue
        states: dict[type[nn.Module], Mapping[str, Any]] = {}
        for copy in alike:
            kind = type(copy)
            if kind not in states:
                with torch.random.fork_rng(devices=[]):
                    torch.default_generator.manual_seed(torch_seed_of(seed, name))
                    given = (outputs[name],) if OUTPUTS in signature(kind).parameters else ()
                    states[kind] = kind(*given).state_dict()
            give_state(copy, states[kind])


def _parts(model: nn.Module, spec: Spec) -> Iterator[tuple[str, list[nn.Module]]]:
    """Every layer, alternative of a layer and head by name, with its copies."""
    for name, alike in groupby(copies(spec), key=_name_of_all):
        yield name, [model.get_submodule(copy.name) for copy in alike]


def _name_of_all(copy: Copy) -> str:
    if copy.layer == HEADS:  # a task starts with the same head in every group
        return Copy.head(helping_task(copy.key)).name
    return copy.name if copy.alternative or copy.gate else copy.layer
