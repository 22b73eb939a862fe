"""The lexer: two scanners for all states of the parser, where lark by itself compiles one for each set of terminals."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lark.common import LexerConf
from lark.lexer import ContextualLexer

WORDS = frozenset(("TRUE", "FALSE"))
"""What is a name where the parser takes no value."""


class FewScanners(ContextualLexer):
    """Only for `WORDS` does it matter what the parser would take next.

    Any other terminal out of place is a mistake, as which token it may be: the texts that parse are the same.
    """

    def __init__(
        self, conf: LexerConf, states: Mapping[int, Collection[str]], always_accept: Collection[str] = ()
    ) -> None:
        others = conf.terminals_by_name.keys() - WORDS
        super().__init__(
            conf, {state: [*others, *WORDS.intersection(few)] for state, few in states.items()}, always_accept
        )
