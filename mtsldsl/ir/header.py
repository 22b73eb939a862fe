"""The line `mtl 1` that every text begins with."""

from __future__ import annotations

from mtsldsl.diagnostics import Span
from mtsldsl.ir.problems import Problems
from mtsldsl.syntax import tree

VERSION = 1
"""The version of the language."""


def check_header(file: tree.File, problems: Problems) -> None:
    """Report a text that does not begin with `mtl 1`, or says it twice."""
    headers = [statement for statement in file.statements if isinstance(statement, tree.Header)]
    start = Span(file.source, 0, 0)
    if not headers or headers[0] is not file.statements[0]:
        first = file.statements[0].span if file.statements else start
        problems.add(
            "MTL006",
            "the text does not begin with `mtl 1`",
            f"put the line `mtl {VERSION}` first",
            Span(file.source, first.start, first.start),
        )
    for number, header in enumerate(headers):
        if header.keyword.text != "mtl":
            problems.add("MTL006", f"`{header.span.text}` is no statement", f"write `mtl {VERSION}`", header.span)
        elif header.version.value != VERSION or not isinstance(header.version.value, int):
            shown = header.version.span.text
            problems.add(
                "MTL007",
                f"version {shown} of the language is not known",
                f"write `mtl {VERSION}`, the version that this mtsldsl reads",
                header.version.span,
            )
        if number > 0:
            problems.add("MTL006", "`mtl` stands a second time", "leave it out", header.span)
