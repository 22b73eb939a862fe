"""The parser's tables: built from `grammars/mtl.lark` once a process, and kept between processes.

Building the tables takes about ten times as long as reading them back.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtsldsl.syntax.kept import kept_file, read_private, write_private

if TYPE_CHECKING:
    from lark import Lark


def grammar_text() -> str:
    """The text of `mtl.lark`: from the installed package, or from the checkout that this module lies in."""
    package = Path(__file__).parents[1]
    installed = package / "grammars" / "mtl.lark"
    return (installed if installed.is_file() else package.parent / "grammars" / "mtl.lark").read_text(encoding="utf-8")


def build_lark(**hooks: Any) -> Lark:
    """A LALR parser for the grammar; `hooks` are lark's `transformer` and `postlex`."""
    from lark import Lark, __version__

    grammar = grammar_text()
    kept = kept_file("grammar", f"{grammar}\0{__version__}\0{sys.version}")
    tables = read_private(kept) if kept else None
    if tables is not None:
        return _load(tables, hooks)
    lark = Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=["file", "statement", "item"],
        maybe_placeholders=False,
        **hooks,
    )
    if kept:
        written = BytesIO()
        lark.save(written, exclude_options=tuple(hooks))
        write_private(kept, written.getvalue())
    return lark


def _load(tables: bytes, hooks: dict[str, Any]) -> Lark:
    """What `Lark.load` does, which takes no hooks. Lark's own cache is not used: it writes its file in place."""
    from lark import Lark

    blank: Any = Lark.__new__(Lark)
    lark: Lark = blank._load(BytesIO(tables), **hooks)
    return lark
