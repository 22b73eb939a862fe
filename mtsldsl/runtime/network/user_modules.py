"""A person's own modules, `module("package.file:Class", …)` in a spec: imported here and nowhere before.

A class that is not there, or does not take the arguments that it is given, is an error of the spec's line. Whatever
else the person's code raises when it is imported or made keeps its traceback, with a note that names the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mtsldsl.codegen.bodies import module_names
from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.counted import counted
from mtsldsl.diagnostics.own_code import Noted, own_object, said
from mtsldsl.diagnostics.printable import printable
from mtsldsl.ir.body import Body, Step
from mtsldsl.ir.cost import own_steps, uncounted
from mtsldsl.ir.model import Spec
from mtsldsl.ir.wiring import bodies
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.own import OWN, options_of, taps_of
from mtsldsl.runtime.network.module_state import is_extra, refused_by_files, stored

_KEPT = tuple(key.name for key in OPERATORS[OWN].rules)
"""Arguments that are the operator's, and no class's."""


def check_own_modules(spec: Spec) -> None:
    """Import every module of the person's own, and make it once.

    The working folder and the folder of the spec are searched last, in this order. torch's random state is left as it
    was.

    Raises:
        MtlError: MTL806 where one cannot be imported, is no `torch.nn.Module` or cannot be made; MTL807 where it learns
            another number of parameters than the spec declares, or takes another number of values; MTL816 where
            something of its state cannot be stored, is not taken back, or is that of other instances too.
    """
    seen = []
    for step in own_steps(spec):
        known = (step.arguments["target"], options_of(step.arguments), step.arguments["parameters"], len(step.inputs))
        if known not in seen:
            seen.append(known)
            kind = _imported(spec, step)
            module = _made(step, kind)
            _check_parameters(step, module)
            _check_state(step, module)
            _check_apart(step, module, _made(step, kind))
            _check_call(step, module)


def remarks_on_sizes(spec: Spec) -> Iterator[str]:
    """What a person should know of modules that learn parameters of which the spec says nothing."""
    sizes = ((step.arguments["target"], _learned(_made(step, _imported(spec, step)))) for step in uncounted(spec))
    for target, learned in dict.fromkeys(sizes):  # one class may have several, by its arguments
        if learned:
            cause = f"`{target}` learns {counted(learned, 'parameter')}, which the spec does not say"
            yield f"{cause}: numbers of parameters are told without them. Write `parameters={learned}`"


def modules_of_own_classes(spec: Spec) -> dict[str, str]:
    """For every target the module that its class is of. They are imported already."""
    return {str(step.arguments["target"]): _imported(spec, step).__module__ for step in own_steps(spec)}


def _imported(spec: Spec, step: Step) -> type[nn.Module]:
    """The class that a step names."""
    target = str(step.arguments["target"])
    found = own_object(target, spec.source.name, step.span, noun="class", word="module", code="MTL806")
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise MtlError.of(
            "MTL806", f"`{target}` is no torch.nn.Module", "name a class that inherits from it", step.span
        )
    return found


def _made(step: Step, made: Callable[..., nn.Module]) -> nn.Module:
    options = {name: _plain(value) for name, value in options_of(step.arguments).items()}
    target = step.arguments["target"]
    try:
        with Noted(step.span, f"module {target}"), torch.random.fork_rng(devices=[]):
            return made(**options)
    except (TypeError, ValueError) as error:
        cause = f"`{target}` cannot be made: {said(error)}"
        kept = [name for name in _KEPT if f"'{name}'" in str(error)]
        remedy = "see that the class takes these arguments"
        if kept:
            remedy = f"call the argument of the class something else than `{kept[0]}`, which `{OWN}` has for itself"
        raise MtlError.of("MTL806", cause, remedy, step.span) from error
    except SystemExit as error:
        cause = f"`{target}` cannot be made: it ends the program"
        raise MtlError.of("MTL806", cause, "raise an error where it cannot be made", step.span) from error


def _plain(value: Constant) -> Any:
    """A list as the generated code has it."""
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _check_parameters(step: Step, module: nn.Module) -> None:
    """Hold that all parameters have shapes, and that there are as many as declared, where that is declared."""
    target, declared = step.arguments["target"], step.arguments["parameters"]
    late = [name for name, tensor in (*module.named_parameters(), *module.named_buffers()) if is_lazy(tensor)]
    if late:
        cause = f"`{late[0]}` of `{target}` has no shape before the first forward pass, and cannot be trained so"
        remedy = "use modules that are told their sizes, such as `Conv2d` in place of `LazyConv2d`"
        raise MtlError.of("MTL806", cause, remedy, step.span)
    learned = _learned(module)
    if declared is not None and declared != learned:
        raise MtlError.of(
            "MTL807",
            f"`{target}` learns {learned:,} parameters, where the spec declares {declared:,}",
            f"write `parameters={learned}`",
            step.span,
        )


def _learned(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _check_state(step: Step, module: nn.Module) -> None:
    """Hold that a checkpoint can have all that is in the module's state, and that the module takes it back."""
    if torch.empty(0).is_meta:  # a network that is built without numbers is none that is stored
        return
    target, state = step.arguments["target"], module.state_dict()
    for name, value in state.items():
        reason = refused_by_files(name, value)
        if reason is not None:
            shown = printable(name)
            cause = f"`{shown}` of the state of `{target}` cannot be stored: {reason}"
            remedy = (
                "let `get_extra_state` give a tensor"
                if is_extra(name)
                else "keep it in a plain tensor of a usual type, or leave it out with `persistent=False`"
            )
            raise MtlError.of("MTL816", cause, remedy, step.span)
    try:
        module.load_state_dict(stored(state))
    except RuntimeError as error:
        cause = f"`{target}` does not take back its own state: {' '.join(str(error).split())}"
        remedy = "let `set_extra_state` take what `get_extra_state` gives, and give each buffer memory of its own"
        raise MtlError.of("MTL816", cause, remedy, step.span) from error


def _check_apart(step: Step, module: nn.Module, other: nn.Module) -> None:
    """Hold that each instance has numbers of its own, as copies of a layer must that learn apart."""
    places = {value.data_ptr() for value in _numbers(other).values()} - {0}  # where there are no numbers
    for name, value in _numbers(module).items():
        if value.data_ptr() in places:
            cause = f"`{printable(name)}` of `{step.arguments['target']}` is one for all instances of the class"
            remedy = "make it in `__init__`, so that each copy of the layer has its own"
            raise MtlError.of("MTL816", cause, remedy, step.span)


def _numbers(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}


def _check_call(step: Step, module: nn.Module) -> None:
    """Hold that `forward` takes as many values as the spec gives it."""
    count = len(step.inputs)
    try:
        taken = signature(module.forward)
    except ValueError:  # it is not written in Python
        return
    try:
        taken.bind(*step.inputs)
    except TypeError as error:
        values = f"{count} value{'' if count == 1 else 's'}"
        cause = f"`{step.arguments['target']}` cannot be called with {values}: {error}"
        remedy = f"`forward{taken}` takes the piped value first, then those that `module` is given: give as many"
        raise MtlError.of("MTL807", cause, remedy, step.span) from error


def watch_own_modules(model: nn.Module, spec: Spec) -> None:
    """Hold at the first forward pass of every module of the person's own that it gives the shape declared.

    Raises:
        MtlError: MTL807, in that forward pass, where it gives anything else, or numbers of another type than it took.
    """
    for place, body in _places(spec):
        for index, name in module_names(body).items():
            if OPERATORS[body.steps[index].operator].own:
                _watch(model.get_submodule(f"{place}.{name}"), body.steps[index])


def _places(spec: Spec) -> Iterator[tuple[str, Body]]:
    """Every copy of a layer and every head by its name in the model."""
    for copy, body in bodies(spec).items():
        yield copy.name, body


def _watch(module: nn.Module, step: Step) -> None:
    taps, before = taps_of(step.arguments), _shapes(module)

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if taps:
            _check_taps(output, taps, inputs[0], step)
        else:
            _check_output(output, (len(inputs[0]), *step.shape), step)
            _check_type(output, inputs[0], step)
        for name in sorted({name for name, _ in before.items() ^ _shapes(module).items()}):
            target = step.arguments["target"]
            cause = f"`{printable(name)}` of the state of `{target}` comes, goes or grows in `forward`"
            remedy = "make all parameters and buffers in `__init__`, of the shapes that they stay with"
            raise MtlError.of("MTL816", cause, remedy, step.span)
        handle.remove()

    handle = module.register_forward_hook(look)


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in _numbers(module).items()}


def _check_taps(output: Any, taps: Mapping[str, Shape], source: Tensor, step: Step) -> None:
    """Hold that there is every output that is declared: by its name in a dict, or in their order."""
    target, declared = step.arguments["target"], ", ".join(f"`{name}`" for name in taps)
    if isinstance(output, dict):
        missing = [name for name in taps if name not in output]
        if missing:
            has = ", ".join(f"`{name}`" for name in output) or "nothing"
            cause = f"`{target}` gives {has}, where the spec declares `{missing[0]}`"
            raise MtlError.of("MTL807", cause, "return it by that name, or name what there is in `taps`", step.span)
        values = [output[name] for name in taps]
    elif isinstance(output, list | tuple) and len(output) == len(taps):
        values = list(output)
    else:
        several = isinstance(output, list | tuple)
        said = counted(len(output), "output") if several else f"a value of the type {type(output).__name__}"
        cause = f"`{target}` gives {said}, where the spec declares {declared}"
        remedy = "return a dict of tensors by these names, or a tuple of them in this order"
        raise MtlError.of("MTL807", cause, remedy, step.span)
    for (name, shape), value in zip(taps.items(), values, strict=True):
        _check_output(value, (len(source), *shape), step, name)
        _check_type(value, source, step)


def _check_output(output: object, wanted: Shape, step: Step, name: str = "") -> None:
    given = tuple(output.shape) if isinstance(output, Tensor) else None
    if given == wanted:
        return
    target = step.arguments["target"]
    said = f"a value of the type {type(output).__name__}" if given is None else f"a tensor of the shape {given}"
    said += f" as `{name}`" if name else ""
    batch = f"{wanted} with the batch"
    sizes = list(given or ())[1:]
    declared = f"{name}({', '.join(map(str, sizes))})" if name else f"out={sizes}"
    remedy = f"declare `{declared}`, or mend the class"
    if given is None:
        remedy = "return one tensor"
    elif given[:1] != wanted[:1] or not sizes:
        remedy = "mend the class: the first dimension of what it returns is that of the samples it was given"
    raise MtlError.of("MTL807", f"`{target}` gives {said}, where the spec declares {batch}", remedy, step.span)


def _check_type(output: Tensor, source: Tensor, step: Step) -> None:
    """Hold that the next layer gets numbers of the type that it computes with."""
    device = source.device.type
    fitting = [source.dtype]
    if torch.is_autocast_enabled(device):
        fitting += [torch.float32, torch.get_autocast_dtype(device)]
    if output.dtype not in fitting:
        given, wanted = (str(each).removeprefix("torch.") for each in (output.dtype, source.dtype))
        cause = f"`{step.arguments['target']}` gives numbers of the type {given}, where {wanted} is wanted"
        raise MtlError.of("MTL807", cause, f"return the type that comes in: `.to({wanted})`", step.span)
