"""A person's own modules, `module("package.file:Class", …)` in a spec: imported here and nowhere before.

A class that is not there, or does not take the arguments that it is given, is an error of the spec's line. Whatever
else the person's code raises when it is imported or made keeps its traceback, with a note that names the line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from mtsldsl.codegen.own_modules import own_steps
from mtsldsl.diagnostics import MtlError, nearest
from mtsldsl.sharing import component_name
from mtsldsl.spec.model import Body, Constant, Shape, Spec, Step
from mtsldsl.spec.operators import OPERATORS
from mtsldsl.spec.operators.own import OWN, options_of, target_parts


def check_own_modules(spec: Spec) -> None:
    """Import every module of the person's own, and make it once.

    The working folder is searched last, as `python -m` searches it first. torch's random state is left as it was.

    Raises:
        MtlError: MTL806 where one cannot be imported, is no `torch.nn.Module` or cannot be made; MTL807 where it learns
            another number of parameters than the spec declares.
    """
    seen = []
    for step in own_steps(spec):
        if str(Path.cwd()) not in sys.path and "" not in sys.path:
            sys.path.append(str(Path.cwd()))
        known = (step.arguments["target"], options_of(step.arguments), step.arguments["parameters"])
        if known not in seen:
            seen.append(known)
            _check_parameters(step, _made(step, _imported(step)))


def _imported(step: Step) -> type[nn.Module]:
    """The class that a step names."""
    target = str(step.arguments["target"])
    module, name = target_parts(target)
    try:
        with _Noted(step):
            found = getattr(import_module(module), name, None)
    except ImportError as error:
        remedy = f"see that `import {module}` works in Python, in this folder"
        cause = f"`{target}` cannot be imported: {_said(error)}"
        raise MtlError.of("MTL806", cause, remedy, step.span) from error
    if found is None:
        match = nearest(name, vars(sys.modules[module]))
        remedy = f"did you mean `{match}`?" if match else f"define the class `{name}` in `{module}`"
        raise MtlError.of("MTL806", f"`{module}` has no `{name}`", remedy, step.span)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise MtlError.of(
            "MTL806", f"`{target}` is no torch.nn.Module", "name a class that inherits from it", step.span
        )
    return found


def _made(step: Step, made: Callable[..., nn.Module]) -> nn.Module:
    options = {name: _plain(value) for name, value in options_of(step.arguments).items()}
    try:
        with _Noted(step), torch.random.fork_rng(devices=[]):
            return made(**options)
    except (TypeError, ValueError) as error:
        target = step.arguments["target"]
        cause = f"`{target}` cannot be made: {_said(error)}"
        raise MtlError.of("MTL806", cause, "see that the class takes these arguments", step.span) from error


class _Noted:
    """An error that passes through gets a note of the step's place in the spec."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            error.add_note(f"{self._step.span}, module {self._step.arguments['target']}")


def _plain(value: Constant) -> Any:
    """A list as the generated code has it."""
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _check_parameters(step: Step, module: nn.Module) -> None:
    """Hold that a module learns as many parameters as declared, where that is declared."""
    declared = step.arguments["parameters"]
    learned = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    if declared is not None and declared != learned:
        raise MtlError.of(
            "MTL807",
            f"`{step.arguments['target']}` learns {learned:,} parameters, where the spec declares {declared:,}",
            f"write `parameters={learned}`",
            step.span,
        )


def watch_own_modules(model: nn.Module, spec: Spec) -> None:
    """Hold at the first forward pass of every module of the person's own that it gives the shape declared.

    Raises:
        MtlError: MTL807, in that forward pass, where it gives anything else.
    """
    for place, body in _places(spec):
        steps = [step for step in body.steps if OPERATORS[step.operator].own]
        for number, step in enumerate(steps, 1):
            _watch(model.get_submodule(f"{place}.{OWN}{number}"), step)


def _places(spec: Spec) -> Iterator[tuple[str, Body]]:
    """Every copy of a layer and every head by its name in the model."""
    for layer in spec.layers:
        for tasks in spec.sharing[layer.name]:
            yield f"{layer.name}.{component_name(tasks)}", layer.body
    for task in spec.tasks:
        yield f"heads.{task.name}", task.head


def _watch(module: nn.Module, step: Step) -> None:
    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        _check_output(output, (len(inputs[0]), *step.shape), step)
        handle.remove()

    handle = module.register_forward_hook(look)


def _check_output(output: object, wanted: Shape, step: Step) -> None:
    given = tuple(output.shape) if isinstance(output, Tensor) else None
    if given == wanted:
        return
    target = step.arguments["target"]
    said = f"a value of the type {type(output).__name__}" if given is None else f"a tensor of the shape {given}"
    batch = f"{wanted} with the batch"
    remedy = "return one tensor" if given is None else f"declare `out={list(given[1:])}`, or mend the class"
    raise MtlError.of("MTL807", f"`{target}` gives {said}, where the spec declares {batch}", remedy, step.span)
