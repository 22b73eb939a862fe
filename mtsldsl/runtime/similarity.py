"""How alike two representations of the same samples are: the public names of `mtsldsl.methods.mtsl.cka`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtsldsl.methods.mtsl.cka import alignment_loss, cka, cka_matrix

__all__ = ["alignment_loss", "cka", "cka_matrix"]


def __getattr__(name: str) -> Any:
    # By name: methods stand on the runtime, which knows none of them.
    if name in __all__:
        return getattr(import_module("mtsldsl.methods.mtsl.cka"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
