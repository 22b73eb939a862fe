"""A person's own Python, which a spec names as `package.file:name`: imported when asked for, and nowhere before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType

from mtsldsl.diagnostics.diagnostic import MtlError
from mtsldsl.diagnostics.names import nearest
from mtsldsl.diagnostics.own_import import own_imports
from mtsldsl.diagnostics.source import Span


class Noted:
    """An error that passes through gets a note of a place in the spec, and of what is named there."""

    def __init__(self, span: Span | None, what: str) -> None:
        self._note = f"{span}, {what}" if span else what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            error.add_note(self._note)


def own_object(target: str, spec_file: str, span: Span | None, *, noun: str, word: str, code: str) -> object:
    """What a target names, found as `own_imports` finds it.

    `noun` says what it should be, such as `class`, and `word` what the spec calls it. What else than ImportError the
    person's code raises keeps its traceback, with a note that names the line.
    Raises MtlError of that `code` where there is no such module, or nothing of that name in it.
    """
    module, _, name = target.partition(":")
    left_out: Sequence[Path] = ()
    try:
        with Noted(span, f"{word} {target}"), own_imports(spec_file) as left_out:
            found = getattr(import_module(module), name, None)
    except ImportError as error:
        remedy = f"see that `import {module}` works in Python, in this folder or in that of the spec"
        if left_out:
            remedy = f"see that `import {module}` works in Python, in this folder, or name its folder in PYTHONPATH"
            remedy += f"; {left_out[0]} is in a run folder, and is not searched"
        raise MtlError.of(code, f"`{target}` cannot be imported: {said(error)}", remedy, span) from error
    except SystemExit as error:
        remedy = f"let `import {module}` go through: what a program does is to stand below `if __name__ == ...`"
        raise MtlError.of(code, f"`{target}` cannot be imported: `{module}` ends the program", remedy, span) from error
    if found is None:
        match = nearest(name, vars(sys.modules[module]))
        place = getattr(sys.modules[module], "__file__", None) or "a part of Python itself"
        remedy = f"define the {noun} `{name}` there; if that is not your file, give yours a name that no other has"
        remedy = f"did you mean `{match}`?" if match else remedy
        raise MtlError.of(code, f"`{module}` has no `{name}`; the module is {place}", remedy, span)
    return found


def file_of(found: object) -> str | None:
    """The file of the module that a class or a function is of; None where it has none."""
    return getattr(sys.modules.get(str(getattr(found, "__module__", ""))), "__file__", None)


def said(error: BaseException) -> str:
    """An error in words."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
