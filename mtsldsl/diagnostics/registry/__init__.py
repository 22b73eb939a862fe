"""The registry of diagnostic codes: what each means, why it is reported, an example, the remedy.

MTL0xx text, MTL1xx names and blocks, MTL2xx values, MTL3xx layers and shapes, MTL4xx sharing, MTL5xx training and
structure, MTL6xx data, MTL7xx files and generated code, MTL8xx runs, MTL9xx warnings. A code keeps its meaning for
ever.
"""

from __future__ import annotations

from types import MappingProxyType

from mtsldsl.diagnostics.registry.entry import FRAME, Code, Family, whole
from mtsldsl.diagnostics.registry.layers import LAYERS
from mtsldsl.diagnostics.registry.names import NAMES
from mtsldsl.diagnostics.registry.outside import DATA, FILES, RUNS
from mtsldsl.diagnostics.registry.pedantic import PEDANTIC
from mtsldsl.diagnostics.registry.sharing import SHARING
from mtsldsl.diagnostics.registry.structure import STRUCTURE
from mtsldsl.diagnostics.registry.text import TEXT
from mtsldsl.diagnostics.registry.values import VALUES

__all__ = ["FAMILIES", "FRAME", "REGISTRY", "Code", "Family", "whole"]

FAMILIES: tuple[Family, ...] = (TEXT, NAMES, VALUES, LAYERS, SHARING, STRUCTURE, DATA, FILES, RUNS, PEDANTIC)
"""All families, in the order of their codes."""

REGISTRY = MappingProxyType({entry.code: entry for family in FAMILIES for entry in family.codes})
"""Every code with all that is said of it, in order."""
