"""A text that does not parse, cut into pieces that can be judged one by one.

The cut follows what a person sees: lines, blocks and brackets. A bracket or block that was left open ends where the
next entry, definition or block evidently begins, so that one mistake does not spoil what follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import attrs

from mtsldsl.records import Record
from mtsldsl.syntax.layout import CLOSING, CONTINUED, OPENING
from mtsldsl.syntax.recovery.ahead import firsts, matched

if TYPE_CHECKING:
    from lark import Token


class Role(Enum):
    """What a piece should be."""

    STATEMENT = "statement"
    OPENING = "the first line of a block, its `{` included"
    ITEM = "item"
    DEFINITION = "a definition or import inside a block"


class Flaw(Enum):
    """What is wrong with the blocks and brackets themselves."""

    UNCLOSED = "an opening bracket or brace without its closing one"
    UNOPENED = "a `}` without its `{`"
    NESTED = "the `{` of a block inside a block"
    NO_BRACE = "the first line of a block that lacks its `{`"
    NO_BRACES = "the first line of a block that lacks its `{`, and the block lacks its `}` too"
    BRACE_BELOW = "a `{` on the line below the one it belongs to"
    AFTER_BRACE = "something on the line of a closing `}`"
    EARLY = "a `}` where its block goes on"
    END_WORD = "the word `end` in the place of a `}`"
    INSIDE = "a definition or import inside a block"


@attrs.frozen(eq=False, repr=False)
class Chunk(Record):
    """Tokens that should make up a statement, an item or a block's first line. `unclosed` is a bracket left open."""

    role: Role
    tokens: tuple[Token, ...]
    at_end_of_file: bool
    unclosed: Token | None = None


@attrs.frozen(eq=False, repr=False)
class Structural(Record):
    """A flaw at a token; `about` is the token that made it evident, or the first of the line that it is about; `line`
    are the tokens before a `{` inside a block, or those of a block's first line."""

    flaw: Flaw
    token: Token
    about: Token | None = None
    line: tuple[Token, ...] = ()


Piece = Chunk | Structural

DEFINITIONS = ("let", "block")
"""The words that start a definition, where the rest of it does not show that it is one."""

_STARTS_NOTHING = CONTINUED | {"NUMBER", "_RANGE", *OPENING, *CLOSING}
"""No item starts with one of these, so the line before was meant to go on."""

_HEAD = frozenset({"NAME", "LSQB", "COMMA", "RSQB"})
"""What the first line of a block is made of, its `{` left out."""

_LINE_END: tuple[list[str], ...] = (["_NEWLINE"], [])
"""What follows the last word of a line."""


def cut(tokens: list[Token]) -> list[Piece]:
    """The pieces of a text, in order; `tokens` has every line end."""
    return _Cutter(tokens).cut()


class _Cutter:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.kinds = [token.type for token in tokens]
        self.matched = matched(self.kinds)
        self.beyond_words = firsts(self.kinds, lambda kind: kind != "NAME")
        self.beyond_lists = firsts(self.kinds, lambda kind: kind not in ("NAME", "COMMA", "_NEWLINE"))
        self.braces = firsts(self.kinds, lambda kind: kind in ("LBRACE", "RBRACE"))
        self.line_ends = firsts(self.kinds, lambda kind: kind == "_NEWLINE")
        self.pieces: list[Piece] = []
        self._start_chunk()
        self.bodiless: tuple[Token, int] | None = None  # a head, and the line up to which there is no body of it
        self.block: int | None = None  # the `{` of the block we are in, or its first line's last token
        self.margin = 0  # the column at which that block's first line starts
        self.indented = True  # whether all of that block's items start further in
        self.braceless: int | None = None  # the piece that says that the block's `{` is missing

    def _start_chunk(self) -> None:
        self.chunk: list[Token] = []
        self.head = _Head(self.chunk)
        self.brackets: list[int] = []  # open ones of this chunk

    def cut(self) -> list[Piece]:
        index = 0
        while index < len(self.tokens):
            index = self._step(index)
        self._end_chunk(at_end_of_file=True)
        if self.block is not None:
            self._unclosed(None)
        return self.pieces

    def _step(self, index: int) -> int:
        """Take the token at `index`; the index of the next to take."""
        token, kind = self.tokens[index], self.kinds[index]
        if kind == "_NEWLINE":
            self._line_end(index)
            return index + 1
        if self._starts_line(index) and not self.chunk:
            self._leave_block_before(index)
            if self._ends_in_a_word(index):
                self.pieces.append(Structural(Flaw.END_WORD, token))
                self.block = None
                return index + 1
        if kind == "LBRACE":
            return self._open(index)
        if kind == "RBRACE":
            return self._close(index)
        self.chunk.append(token)
        if kind in OPENING:
            self.brackets.append(index)
        elif kind in CLOSING and self.brackets:
            self.brackets.pop()
        return index + 1

    def _starts_line(self, index: int) -> bool:
        return index == 0 or self.kinds[index - 1] == "_NEWLINE"

    def _line_end(self, index: int) -> None:
        if not self.chunk:
            return
        if not self._goes_on(index + 1):
            self._end_chunk(at_end_of_file=index + 1 >= len(self.tokens))
            self._brace_below(index + 1)

    def _goes_on(self, index: int) -> bool:
        """Whether the line that starts at `index` still belongs to the piece."""
        if index >= len(self.tokens):
            return False
        last, looks = self.chunk[-1].type, self._looks(index)
        further_in = (self.tokens[index].column or 1) > (self.chunk[0].column or 1)
        braced = self.kinds[index] == "LBRACE"
        colon = last == "COLON"
        if self._lacks_brace() and (
            colon
            or braced
            or self._calls(index)
            or (self.brackets and looks == "entry")
            or self._body(index, self.chunk[0])
        ):
            return False
        if not self.brackets:
            starts_nothing = self.block is None or self.kinds[index] in _STARTS_NOTHING
            return looks is None and (last in CONTINUED or (further_in and starts_nothing))
        if self.brackets[-1] in self.matched:
            return looks not in ("close", "block")
        return further_in and (looks is None or (looks == "entry" and last in ("COMMA", *OPENING)))

    def _brace_below(self, index: int) -> None:
        """A block's first line without its `{`, which is below or nowhere."""
        last = self.pieces[-1] if self.pieces else None
        if self.block is not None or not isinstance(last, Chunk) or last.role is not Role.STATEMENT:
            return
        if not _Head(last.tokens).whole():
            return
        head = next(token for token in last.tokens if token.type == "NAME")
        names = last.tokens[:-1] if last.tokens[-1].type in {*OPENING, "COLON"} else last.tokens
        colon = last.tokens[-1].type == "COLON" and index < len(self.tokens) and self.kinds[index] != "RBRACE"
        below = colon and (self.tokens[index].column or 1) > (head.column or 1)
        below = below or self._body(index, last.tokens[0])
        if index < len(self.tokens) and self.kinds[index] == "LBRACE":
            self.pieces[-1] = Structural(Flaw.BRACE_BELOW, self.tokens[index], head)
            self.kinds[index] = "_NEWLINE"
            self.block = index
        elif self._looks(index) == "entry" or self._calls(index) or below:
            line = tuple(token for token in names if names[0] is head or token.type == "NAME")
            self.pieces[-1] = Structural(Flaw.NO_BRACE, names[-1], head, line)
            self.block = index - 2  # the line's last token stands in for the brace
            self.braceless = len(self.pieces) - 1
        self.margin, self.indented = head.column or 1, True

    def _lacks_brace(self) -> bool:
        """Whether the chunk so far may be a block's first line without its `{`."""
        return self.block is None and self.head.whole()

    def _body(self, index: int, head: Token) -> bool:
        """Whether the lines at `index` are those of a block: further in than its head, and one of them an entry."""
        if self.bodiless is not None and self.bodiless[0] is head and index <= self.bodiless[1]:
            return False
        while index < len(self.tokens) and (self.tokens[index].column or 1) > (head.column or 1):
            if self._looks(index) == "entry":
                return True
            end = self.line_ends[index]
            if self.braces[index] < end:
                break
            index = end + 1
        self.bodiless = head, index
        return False

    def _calls(self, index: int) -> bool:
        """Whether the line at `index` starts with a call, such as a decision of `history`."""
        return self.kinds[index : index + 2] == ["NAME", "LPAR"]

    def _looks(self, index: int) -> str | None:
        """What the line at `index` starts, judged by its first tokens: an entry, a block and so on, or None."""
        kinds = self.kinds[index : index + 3]
        if kinds[:1] == ["RBRACE"]:
            return "close"
        if kinds[:1] != ["NAME"]:
            return None
        if kinds[1:2] == ["EQUAL"] or kinds[1:2] == ["_RANGE"]:
            return "entry"
        if kinds[1:2] == ["NUMBER"]:
            return "header"
        if kinds[1:2] == ["STRING"]:
            return "import"
        if kinds[1:] in (["NAME", "EQUAL"], ["NAME", "LPAR"]):
            return "definition"
        brace = self._next_brace(index)
        following = self.kinds[brace : brace + 2]
        headed = following[:1] == ["LBRACE"] or (following[:1] == ["COLON"] and following[1:] in _LINE_END)
        return "block" if headed else None

    def _leave_block_before(self, index: int) -> None:
        """At a line that can only stand outside a block, the open block was left open."""
        if self.block is None:
            return
        looks = self._looks(index)
        outside = (self.tokens[index].column or 1) <= self.margin
        brace = self._next_brace(index)
        nested = brace in self.matched and self.block in self.matched
        evident = looks in ("definition", "block", "import") and outside and self.indented
        bare = self.braceless is not None and outside and self.kinds[index] == "LSQB"
        if looks in ("definition", "import") and self.block in self.matched and self._next_is_close(index):
            evident = False  # the block goes on behind it
        if evident or bare or (looks == "block" and not nested):
            self._unclosed(self.tokens[index])
        elif outside and looks != "close":
            self.indented = False

    def _unclosed(self, before: Token | None) -> None:
        """The open block has no `}`; its missing `{`, if that is so, is reported already."""
        assert self.block is not None
        if self.braceless is None:
            self.pieces.append(Structural(Flaw.UNCLOSED, self.tokens[self.block], before))
        else:
            piece = self.pieces[self.braceless]
            assert isinstance(piece, Structural)
            self.pieces[self.braceless] = attrs.evolve(piece, flaw=Flaw.NO_BRACES)
        self.block = self.braceless = None

    def _ends_in_a_word(self, index: int) -> bool:
        """Whether the line is the word `end` alone, in a block that is not closed."""
        alone = self.tokens[index] == "end" and self.kinds[index + 1 : index + 2] in _LINE_END
        outside = (self.tokens[index].column or 1) <= self.margin
        return alone and self.block is not None and (outside or self.block not in self.matched)

    def _next_is_close(self, index: int) -> bool:
        """Whether the next brace at or behind `index` is a closing one."""
        brace = self.braces[index]
        return self.kinds[brace : brace + 1] == ["RBRACE"]

    def _next_brace(self, index: int) -> int:
        """The index behind the words, or the word and the list of words, at `index`: that of the `{` of a block."""
        if self.kinds[index + 1 : index + 2] == ["LSQB"]:
            end = self.beyond_lists[index + 2]
            return end + (self.kinds[end : end + 1] == ["RSQB"])
        return self.beyond_words[index]

    def _open(self, index: int) -> int:
        if self.block is not None:
            self.pieces.append(Structural(Flaw.NESTED, self.tokens[index], self.tokens[self.block], tuple(self.chunk)))
            self._start_chunk()
            if self.block == index - 1:  # `{{`: what closes the block matches the second one
                self.block = index
                return index + 1
            return self._beyond(index)
        if self.chunk and self.chunk[0] in DEFINITIONS:
            return self._braced_definition(index)
        self.margin = (self.chunk[0] if self.chunk else self.tokens[index]).column or 1
        self.indented = True
        self.chunk.append(self.tokens[index])
        self._end_chunk(role=Role.OPENING)
        self.block = index
        return index + 1

    def _braced_definition(self, index: int) -> int:
        """A definition with a `{`, which belongs to it with all that stands up to its `}`."""
        self.chunk.append(self.tokens[index])
        if index not in self.matched:
            return index + 1
        self._end_chunk()
        return self._beyond(index)

    def _beyond(self, index: int) -> int:
        """The index after the `}` that matches the `{` at `index`, or of the next line where there is none."""
        if index in self.matched:
            return self.matched[index] + 1
        return self.line_ends[index]

    def _close(self, index: int) -> int:
        self._end_chunk()
        if self.block is None:
            self.pieces.append(Structural(Flaw.UNOPENED, self.tokens[index]))
        elif self.kinds[index + 1 : index + 2] == ["_NEWLINE"] and self._goes_on_behind(index + 2):
            self.pieces.append(Structural(Flaw.EARLY, self.tokens[index], self.tokens[index + 2]))
            return index + 1
        self.block = self.braceless = None
        following = self.kinds[index + 1 : index + 2]
        if following and following[0] not in ("_NEWLINE", "RBRACE"):
            self.pieces.append(Structural(Flaw.AFTER_BRACE, self.tokens[index + 1]))
        return index + 1

    def _goes_on_behind(self, index: int) -> bool:
        """Whether a block goes on at `index`, with an item and then a `}`."""
        return (self._looks(index) == "entry" or self._calls(index)) and self._next_is_close(index)

    def _end_chunk(self, role: Role | None = None, at_end_of_file: bool = False) -> None:
        if self.chunk:
            inside = Role.STATEMENT if self.block is None else Role.ITEM
            if self.block is not None and role is None and _is_definition(self.chunk):
                self.pieces.append(Structural(Flaw.INSIDE, self.chunk[0]))
                inside = Role.DEFINITION
            unclosed = self.tokens[self.brackets[-1]] if self.brackets else None
            self.pieces.append(Chunk(role or inside, tuple(self.chunk), at_end_of_file, unclosed))
        self._start_chunk()


class _Head:
    """Tokens, perhaps still growing, that may be the first line of a block without its `{`."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.plain = 0  # how many of them, from the first on, are what such a line is made of
        self.words = 1  # how many are words, but for the first

    def whole(self) -> bool:
        """Whether they are such a line, perhaps with a `(` or `[` in the place of the `{`. Looks at each only once."""
        tokens, size = self.tokens, len(self.tokens)
        while self.plain < size and tokens[self.plain].type in _HEAD:
            self.plain += 1
        while self.words < size and tokens[self.words].type == "NAME":
            self.words += 1
        if size and tokens[-1].type in {*OPENING, "COLON"}:
            size -= 1
        if not size:
            return False
        if tokens[0].type == "LSQB":
            return 3 <= size == self.words + 1 and tokens[size - 1].type == "RSQB"
        return bool(tokens[0].type == "NAME" and self.plain >= size and tokens[0] not in DEFINITIONS)


def _is_definition(tokens: Sequence[Token]) -> bool:
    """Whether the tokens start a definition or an import."""
    kinds = [token.type for token in tokens[:3]]
    named = tokens[0] in DEFINITIONS and kinds[1:] in (["NAME", "EQUAL"], ["NAME", "LPAR"])
    return named or (tokens[0] == "import" and kinds[1:2] == ["STRING"])
