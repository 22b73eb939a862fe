"""MTL9: what `check --pedantic` warns of."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Family
from mtsldsl.diagnostics.registry.pedantic.definitions import DEFINITIONS
from mtsldsl.diagnostics.registry.pedantic.network import NETWORK
from mtsldsl.diagnostics.registry.pedantic.training import TRAINING

PEDANTIC = Family("warnings", (*DEFINITIONS, *NETWORK, *TRAINING))
