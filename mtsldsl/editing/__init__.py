"""Texts as a person keeps them: read with settings put into them, rewritten where the runtime must, mended.

What a text is read without is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtsldsl.editing.load import dumps, load, loads, loads_source

if TYPE_CHECKING:
    from mtsldsl.editing.overrides import overridden
    from mtsldsl.editing.rewrite import rewritten

__all__ = ["dumps", "load", "loads", "loads_source", "overridden", "rewritten"]

_HOMES = {"overridden": "mtsldsl.editing.overrides", "rewritten": "mtsldsl.editing.rewrite"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
