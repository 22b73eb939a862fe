"""The network as a file for other programs: ONNX, the `pt2` of torch.export, or its weights as safetensors.

A file is made and read back in memory, and compared with the network before anything is written.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.libraries import ONNX, require
from mtsldsl.editing import loads
from mtsldsl.ir import Data, Spec
from mtsldsl.ir.cost import own_steps
from mtsldsl.ir.wiring import inputs_read, needed, wired
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.execution import evaluating
from mtsldsl.runtime.network.module_state import stored
from mtsldsl.runtime.network.served import AS_THEY_ARE, InUnits, Served

if TYPE_CHECKING:
    from torch.export import ExportedProgram

TOLERANCE = 1e-4
"""By how much of the largest number of an output any number of it may differ from that of the network."""

BATCHES = (1, 3)
"""The sizes of the batches that are compared; a file is traced with one of another size."""

ABOUT = "mtsldsl"
"""The key of what a file has of its network, as JSON. It is one key, for safetensors writes several in any order."""

_TRACED = 2
_BATCH = "batch"

Answers: TypeAlias = Callable[[int], Mapping[str, Tensor]]
"""The outputs of tasks for a batch of so many random samples."""


@attrs.frozen
class Portable:
    """A network with its weights, as it is asked for: the outputs of `tasks`. `about` is the JSON that the file has of
    it, with the text of the spec. What a file computes is in the unit of the data, by the `units` of tasks that are
    learned in another."""

    spec: Spec
    model: nn.Module
    tasks: Sequence[str]
    about: str
    units: Mapping[str, InUnits] = AS_THEY_ARE

    @property
    def read(self) -> list[tuple[Data, list[str]]]:
        """The data blocks that the tasks read, each with those that do."""
        found = ((data, [task for task in self.tasks if self.spec.data_of(task) is data]) for data in self.spec.blocks)
        return [(data, tasks) for data, tasks in found if tasks]

    @property
    def data(self) -> Data:
        """The first of them: of a file that computes the only one."""
        return self.read[0][0]

    def samples(self, data: Data, count: int) -> dict[str, Tensor]:
        """The inputs of random samples of a data block, each `(count, ...)`, from the normal distribution; ids, int64,
        all alike."""
        generator = torch.Generator().manual_seed(count)
        return {
            name: torch.randint(data.ids[name], (count, *shape), generator=generator)
            if name in data.ids
            else torch.randn(count, *shape, generator=generator)
            for name, shape in data.inputs.items()
        }

    @property
    def inputs(self) -> tuple[str, ...]:
        """Those inputs that the tasks read: what a file that computes is given."""
        return inputs_read(self.spec, needed(wired(self.spec), self.tasks))

    def given(self, count: int) -> dict[str, Tensor]:
        """These of random samples."""
        every = self.samples(self.data, count)
        return {name: every[name] for name in self.inputs}

    def answers(self, model: nn.Module, count: int) -> Mapping[str, Tensor]:
        """What a network of the spec gives for them, as its heads give it."""
        outputs: dict[str, Tensor] = {}
        several = len(self.spec.streams) > 1
        for stream in self.spec.streams:
            if not set(stream.tasks).isdisjoint(self.tasks):
                outputs |= model(*self.samples(stream.data, count).values(), *((stream.tasks,) if several else ()))
        return {task: outputs[task] for task in self.tasks}


@attrs.frozen
class Form:
    """A kind of file: how a network is written, and how what was written is read back to be compared."""

    write: Callable[[Portable], bytes]
    read: Callable[[Portable, bytes], Answers]
    computes: bool = True
    """Whether the file computes, in the units of the data; else it has the weights alone."""


def as_file(network: Portable, form: str) -> tuple[bytes, float]:
    """The network as the bytes of a file of FORMS, and by how much what they compute differs from it: the largest
    difference of a number, as a share of the largest number of its output.

    Raises:
        MtlError: MTL811 where torch cannot write the network so, or what is written differs by more than TOLERANCE;
            MTL808 where a library is not there.
    """
    chosen = FORMS[form]
    with evaluating(network.model):
        wanted = {count: network.answers(network.model, count) for count in BATCHES}  # own modules are looked at here
        if chosen.computes:
            wanted = {count: _in_units(answers, network.units) for count, answers in wanted.items()}
        _require_finite(wanted.values())
        data = chosen.write(network)
        found = chosen.read(network, data)
        return data, max(_difference(network, found(count), answers) for count, answers in wanted.items())


def _in_units(answers: Mapping[str, Tensor], units: Mapping[str, InUnits]) -> Mapping[str, Tensor]:
    return {task: units[task](answer) if task in units else answer for task, answer in answers.items()}


def _require_finite(answers: Iterable[Mapping[str, Tensor]]) -> None:
    for each in answers:
        for task, answer in each.items():
            if not answer.isfinite().all():
                cause = f"for random samples the output of `{task}` is not finite, so that nothing can be compared"
                raise MtlError.of("MTL811", cause, "mend what computes it, or export the other tasks with `--task`")


def _difference(network: Portable, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> float:
    """The largest difference of any number, as a share of the largest of its output."""
    most = 0.0
    for task, answer in wanted.items():
        given = found[task]
        if given.shape != answer.shape:
            shapes = f"{tuple(given.shape)}, and not {tuple(answer.shape)}"
            raise _disagreement(network, f"`{task}` has the shape {shapes}, in a batch of {len(answer)}")
        apart, largest = float((given - answer).abs().max()), float(answer.abs().max())
        share = apart / largest if largest else apart
        if not share <= TOLERANCE:
            raise _disagreement(network, f"`{task}` differs by {apart:.2g} in a batch of {len(answer)}")
        most = max(most, share)
    return most


def _disagreement(network: Portable, cause: str) -> MtlError:
    return _refusal(network, f"what is exported does not compute what the network does: {cause}")


def _refusal(network: Portable, cause: str) -> MtlError:
    own = next(own_steps(network.spec), None)
    if own is None:
        return MtlError.of("MTL811", cause, "take `--to safetensors`, which has the weights and the spec")
    target = own.arguments["target"]
    remedy = f"let `{target}` compute with tensors alone, the same for every batch; or take `--to safetensors`"
    return MtlError.of("MTL811", cause, remedy, own.span)


@contextmanager
def _traced(network: Portable, by: str) -> Iterator[None]:
    """What torch cannot trace or translate, as a report. What it tells of its own working is left out."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # of a torchvision that is not there
    try:
        with warnings.catch_warnings():
            # torch's own exporter copies what it has deprecated
            warnings.filterwarnings("ignore", r".*LeafSpec.* is deprecated", FutureWarning)
            # of the list that torch's recurrent networks keep of their weights beside them
            warnings.filterwarnings("ignore", r"The tensor attributes? self\..*_flat_weights", UserWarning)
            yield
    except (RuntimeError, TypeError, ValueError) as error:
        raise _refusal(network, f"{by} cannot write this network: {_reason(error)}") from error
    finally:
        log.setLevel(level)


def _reason(error: BaseException) -> str:
    """The first line of what went wrong at first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _program(network: Portable) -> ExportedProgram:
    """The network as torch traces it, for batches of any size. Nothing in it says where torch lies on this machine."""
    served = Served(network.model, network.spec, network.tasks, network.units)
    args, kwargs = _arguments(network, _TRACED)
    sizes = {name: {0: torch.export.Dim(_BATCH)} for name in network.inputs}
    with _traced(network, "torch.export"):
        program = torch.export.export(served, args, kwargs, dynamic_shapes=sizes, strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _arguments(network: Portable, count: int) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """What a traced network is called with: its input, or several by their names."""
    given = network.given(count)
    return (tuple(given.values()), {}) if len(given) == 1 else ((), given)


def _pt2(network: Portable) -> bytes:
    program, stream = _program(network), BytesIO()
    torch.export.save(program, stream, extra_files={ABOUT: network.about})
    return stream.getvalue()


def _of_pt2(network: Portable, data: bytes) -> Answers:
    program = torch.export.load(BytesIO(data)).module()

    def answers(count: int) -> Mapping[str, Tensor]:
        args, kwargs = _arguments(network, count)
        found: Mapping[str, Tensor] = program(*args, **kwargs)
        return found

    return answers


def _onnx(network: Portable) -> bytes:
    require(ONNX, "export")
    program = _program(network)
    with _traced(network, "torch.onnx"):
        found = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=list(network.inputs),
            output_names=list(network.tasks),
            dynamic_shapes={name: {0: _BATCH} if name == network.inputs[0] else {} for name in network.inputs},
        )
        assert found is not None
        for node in found.model.graph.all_nodes():
            node.metadata_props.clear()
        found.model.metadata_props[ABOUT] = network.about
        data: bytes = found.model_proto.SerializeToString()
    return data


def _of_onnx(network: Portable, data: bytes) -> Answers:
    from onnxruntime import InferenceSession

    session = InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def answers(count: int) -> Mapping[str, Tensor]:
        outputs = session.run(names, {name: given.numpy() for name, given in network.given(count).items()})
        return {name: torch.from_numpy(output) for name, output in zip(names, outputs, strict=True)}

    return answers


def _safetensors(network: Portable) -> bytes:
    return save(stored(network.model.state_dict()), {ABOUT: network.about})


def _of_safetensors(network: Portable, data: bytes) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        path.write_bytes(data)
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()[ABOUT])
        model = build_model(loads(about["spec"])).eval()
        model.load_state_dict(load_file(path))
    return lambda count: network.answers(model, count)


FORMS = {
    "onnx": Form(_onnx, _of_onnx),
    "pt2": Form(_pt2, _of_pt2),
    "safetensors": Form(_safetensors, _of_safetensors, computes=False),
}
"""By the names of the command, which are those of the files too."""
