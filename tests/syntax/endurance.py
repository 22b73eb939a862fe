"""What must hold for any bytes at all: they are read, or their mistakes are reported, and nothing else comes out."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing.load import loads_source
from mtsldsl.syntax import parse
from mtsldsl.syntax.files import decode_source
from mtsldsl.syntax.format import format_text

ROOT = Path(__file__).parents[2]
PIECES = (
    "(", ")", "[", "]", "{", "}", "|", "+", "*", ",", ":", "=", "..", ".", "-", "\\", '"', "#", "\n", "\r\n", "\r", " ",
    "\t", "\f", "\0", "\ufeff", "\xe9", "\u202e", "\u0430", "\U0001f600", "a", "_", "9", "1.", "1e", "-1", "1e9,", "a(",
    "(a,", "[a,", "a{", "a {\n", "}\n", "a|", "a +", "a*", "a,", "a=", "a b ", "a..", "a:b,", "f(a=", "a=(\n", "a=[1,\n",
    "let a = b\n", "let a = (\n", "block f(x) =\n", "task a {\nhead = f(\n", "x\n{\n", "\n|", "|\n", "# c\n|", "# c\n",
    "# c\n(", '"\\', '\\"', '"a"', '"a\n', "true ", "mtl 1\n", 'import "a.mtl"\n', "data x {}\n", "sharing {\na = b, (c)\n}\n",
)  # fmt: skip
"""Texts that are put together, and repeated, to make hard ones."""

OPENINGS = ("", "mtl 1\n", "let x = ", "let x = f(", "a {\n", "a {\nb = ", "backbone {\n  a = ", "# ")
"""What a repeated piece may stand behind."""


def hold_to_memory(size: int, memory: int) -> None:
    """Hard texts of so many bytes are examined by a process that may take no more than so many bytes of memory."""
    program = f"from tests.syntax.endurance import examine_hard_texts; examine_hard_texts({size}, {memory})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def examine_hard_texts(size: int, memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for piece in ("(", "a {\n", '"', "a=[1,\n"):
        examine((piece * (size // len(piece))).encode())
    examine(f"let x = {'a|' * (size // 2)}a".encode())


def examine(data: bytes) -> str:
    """How far the bytes go: to `bytes`, `text`, `syntax`, `spec` or `code`.

    Raises AssertionError, or whatever escapes, where the tools do anything else than finish or report.
    """
    try:
        source = decode_source("t.mtl", data)
    except MtlError as error:
        _hold_reports(error)
        return "bytes"
    try:
        parse(source)
    except MtlError as error:
        _hold_reports(error, source)
        _load(source)
        return "text"
    format_text(source)
    return _load(source)


def _load(source: Source) -> str:
    try:
        spec = loads_source(source)
    except MtlError as error:
        _hold_reports(error)
        return "syntax"
    try:
        files = compile_spec(spec)
    except MtlError as error:
        _hold_reports(error)
        return "spec"
    for name, text in files.items():
        assert "/" not in name
        assert "\\" not in name
        if name.endswith(".py"):
            ast.parse(text, name)
    return "code"


def _hold_reports(error: MtlError, source: Source | None = None) -> None:
    assert error.diagnostics
    assert str(error)
    for diagnostic in error.diagnostics:
        assert diagnostic.cause
        assert diagnostic.remedy
        if source is not None:
            assert diagnostic.span is not None
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(source.text)
