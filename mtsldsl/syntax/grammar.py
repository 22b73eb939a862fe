"""The parser's tables: ready in `tables.py` for one grammar and one lark; built, and then kept, for any other.

Building the tables takes about ten times as long as reading them.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtsldsl.syntax.layout import Layout

if TYPE_CHECKING:
    from lark import Lark

READY = Path(__file__).with_name("tables.py")
"""The ready tables, as literals of Python: read as any module of the package is."""


def grammar_text() -> str:
    """The text of `mtl.lark`: from the installed package, or from the checkout that this module lies in."""
    package = Path(__file__).parents[1]
    installed = package / "grammars" / "mtl.lark"
    return (installed if installed.is_file() else package.parent / "grammars" / "mtl.lark").read_text(encoding="utf-8")


def build_lark(**hooks: Any) -> Lark:
    """A LALR parser for the grammar; `hooks` are lark's `transformer` and `postlex`."""
    from lark import __version__

    from mtsldsl.syntax import tables
    from mtsldsl.syntax.lexer import FewScanners

    hooks["_plugins"] = {"ContextualLexer": FewScanners}
    if (__version__, grammar_text()) == (tables.LARK, tables.GRAMMAR):
        return _load({"data": tables.DATA, "memo": tables.MEMO}, hooks)
    return _kept_or_built(hooks)


def _kept_or_built(hooks: dict[str, Any]) -> Lark:
    from lark import __version__

    from mtsldsl.syntax.kept import kept_file, read_private, write_private

    kept = kept_file("grammar", f"{grammar_text()}\0{__version__}\0{sys.version}")
    content = read_private(kept) if kept else None
    if content is not None:
        return _load(BytesIO(content), hooks)
    lark = _built(hooks)
    if kept:
        written = BytesIO()
        lark.save(written, exclude_options=tuple(hooks))
        write_private(kept, written.getvalue())
    return lark


def _built(hooks: dict[str, Any]) -> Lark:
    from lark import Lark

    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="contextual",
        start=["file", "statement", "item"],
        maybe_placeholders=False,
        **hooks,
    )


def _load(saved: dict[str, Any] | BytesIO, hooks: dict[str, Any]) -> Lark:
    """What `Lark.load` does, which takes no hooks. Lark's own cache is not used: it writes its file in place."""
    from lark import Lark

    blank: Any = Lark.__new__(Lark)
    lark: Lark = blank._load(saved, **hooks)
    return lark


def ready_tables() -> str:
    """The text of `tables.py` for this grammar and this lark: `make tables` writes it.

    The states' numbers may be others each time; the parser is the same.
    """
    from pprint import pformat

    from lark import __version__
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    hooks = {"postlex": Layout()}  # which says what terminals stay though no rule has them
    data, memo = _built(hooks).memo_serialize([TerminalDef, Rule])
    data["options"] = {name: value for name, value in data["options"].items() if name not in hooks}
    return "\n".join(
        (
            '"""The parser\'s tables, made from `grammars/mtl.lark` by `make tables`. DO NOT EDIT."""',
            "",
            "from typing import Any",
            "",
            f"LARK = {__version__!r}",
            f"GRAMMAR = {grammar_text()!r}",
            f"DATA: Any = {pformat(data, width=10_000, compact=True, sort_dicts=False)}",
            f"MEMO: Any = {pformat(memo, width=10_000, compact=True, sort_dicts=False)}",
            "",
        )
    )
