"""What is wrong, where, and what to do about it: the one type of report that every room uses."""

from mtsldsl.diagnostics.codes import CODES
from mtsldsl.diagnostics.diagnostic import Diagnostic, MtlError, Severity
from mtsldsl.diagnostics.names import nearest, suggestion
from mtsldsl.diagnostics.render import render, render_all
from mtsldsl.diagnostics.source import Source, Span

__all__ = [
    "CODES",
    "Diagnostic",
    "MtlError",
    "Severity",
    "Source",
    "Span",
    "nearest",
    "render",
    "render_all",
    "suggestion",
]
