"""The best weights of a run, with the spec they belong to."""

from __future__ import annotations

import torch
from torch import nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.build import build_model
from mtsldsl.runtime.checkpoint import WEIGHTS, load_weights
from mtsldsl.runtime.own_file import told_of_own_file
from mtsldsl.runtime.run_folder import RunFolder
from mtsldsl.runtime.training import place
from mtsldsl.spec import Spec


def load_best(folder: RunFolder, device: torch.device) -> tuple[Spec, nn.Module]:
    """The spec and network of the epoch that validation chose. Raises MtlError MTL801 before the first epoch's end."""
    path = folder.best / "mean.mtl"
    if not path.is_file():
        raise MtlError.of("MTL801", f"`{folder.path}` has no finished epoch yet", "let the run end its first epoch")
    spec = folder.read_spec(path)
    with told_of_own_file(spec):
        model = place(build_model(spec), spec, device)
    load_weights(folder.best / f"mean.{WEIGHTS}", model)
    return spec, model
