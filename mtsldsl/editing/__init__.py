"""Texts as a person keeps them: read with settings put into them, rewritten where the runtime must, mended.

What a text is read without is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtsldsl.editing.load import dumps, load, loads, loads_source
from mtsldsl.on_demand import on_demand

if TYPE_CHECKING:
    from mtsldsl.editing.overrides import overridden
    from mtsldsl.editing.rewrite import rewritten

__all__ = ["dumps", "load", "loads", "loads_source", "overridden", "rewritten"]

_HOMES = {"overridden": "mtsldsl.editing.overrides", "rewritten": "mtsldsl.editing.rewrite"}

__getattr__ = on_demand(__name__, _HOMES)
