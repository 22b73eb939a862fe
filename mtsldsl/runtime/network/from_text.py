"""The network that a text of a spec says."""

from __future__ import annotations

import torch
from torch import nn

from mtsldsl.diagnostics import Source
from mtsldsl.editing import loads_source
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import build_model, place


def network_from_text(source: Source, device: torch.device) -> tuple[Spec, nn.Module]:
    """The spec and its network, with its initial weights. Raises MtlError as reading a spec and `build_model` do."""
    spec = loads_source(source)
    return spec, place(build_model(spec), spec, device)
