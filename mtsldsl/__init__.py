"""A declarative language and compiler for multi-task networks whose sharing is learned.

>>> import mtsldsl
>>> mtsldsl.load("specs/nyuv2.mtl").cost().parameters
107104624
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtsldsl.on_demand import on_demand

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from mtsldsl.codegen import compile_spec
    from mtsldsl.diagnostics import Diagnostic, MtlError
    from mtsldsl.editing import dumps, load, loads
    from mtsldsl.ir import Spec
    from mtsldsl.runtime.run.measurements import measurements

__version__ = "0.1.0"
__all__ = [
    "Diagnostic",
    "MtlError",
    "Spec",
    "build_model",
    "compile_spec",
    "dumps",
    "load",
    "load_run",
    "loads",
    "measurements",
]

_HOMES = {
    "Diagnostic": "mtsldsl.diagnostics",
    "MtlError": "mtsldsl.diagnostics",
    "Spec": "mtsldsl.ir",
    "compile_spec": "mtsldsl.codegen",
    "dumps": "mtsldsl.editing",
    "load": "mtsldsl.editing",
    "loads": "mtsldsl.editing",
    "measurements": "mtsldsl.runtime.run.measurements",
}


def build_model(spec: Spec) -> nn.Module:
    """The network of `spec` with its initial weights; its forward maps an image `(n, c, h, w)` to `{task: output}`.

    Imports torch.
    """
    from mtsldsl.runtime.network.built import build_model

    return build_model(spec)


def load_run(path: str | Path, of: str = "mean") -> tuple[Spec, nn.Module]:
    """The spec and the network of a run folder with its best weights, on the CPU and in evaluation mode.

    With a task's name, `of` takes the weights of that task's own best epoch, and the network gives its output alone.
    Imports torch.
    """
    from mtsldsl.runtime.run.best import load_run

    return load_run(path, of)


__getattr__ = on_demand(__name__, _HOMES)
