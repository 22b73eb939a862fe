"""What is wrong, where, and what to do about it: the one type of report that every room uses."""

from typing import TYPE_CHECKING, Any

from mtsldsl.diagnostics.diagnostic import Diagnostic, Fix, Mending, MtlError, Severity
from mtsldsl.diagnostics.names import misspelt, nearest, proposal, suggestion
from mtsldsl.diagnostics.render import render, render_all
from mtsldsl.diagnostics.source import Source, Span

if TYPE_CHECKING:
    from mtsldsl.diagnostics.codes import CODES

__all__ = [
    "CODES",
    "Diagnostic",
    "Fix",
    "Mending",
    "MtlError",
    "Severity",
    "Source",
    "Span",
    "misspelt",
    "nearest",
    "proposal",
    "render",
    "render_all",
    "suggestion",
]


def __getattr__(name: str) -> Any:
    # The registry is long, and only a report needs it.
    if name == "CODES":
        from mtsldsl.diagnostics.codes import CODES

        return CODES
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
