"""The diagnostic codes, each with what it means in a phrase; the registry says all the rest of them."""

from __future__ import annotations

from mtsldsl.diagnostics.registry import REGISTRY

CODES: dict[str, str] = {code: entry.title for code, entry in REGISTRY.items()}
"""Every code with its title, in order. A new one is written down in `registry`."""
