"""What a mistake in the writing is called, and how it is mended, in the words of this language."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mtsldsl.diagnostics import Diagnostic, Source, Span
from mtsldsl.syntax.layout import CLOSING, DEEPEST, OPENING
from mtsldsl.syntax.lexical import shortened, span_of
from mtsldsl.syntax.recovery.chunks import DEFINITIONS, Chunk, Flaw, Role, Structural

if TYPE_CHECKING:
    from lark import Token

_VALUE = frozenset({"NAME", "DOTTED", "NUMBER", "STRING", "TRUE", "FALSE", "LSQB", "LPAR"})
_OPERATORS = {"VBAR": "`|`", "STAR": "`*`", "PLUS": "`+`"}
_SHOWN = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "TRUE": "`true`",
    "FALSE": "`false`",
    "EQUAL": "`=`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "_RANGE": "`..`",
    "COMMA": "`,`",
    "COLON": "`:`",
    **_OPERATORS,
}
_AFTER = {
    "mtl": {"NUMBER"},
    "import": {"STRING"},
    "task": {"NAME", "LSQB", "LBRACE"},
    **{word: {"NAME"} for word in ("let", "block")},
    **{word: {"LBRACE"} for word in ("backbone", "train", "tuning", "sharing", "history")},
}
"""What may follow a word at the start of a statement, where that is more or less than a name or `{`."""

_AFTER_A_WORD = frozenset({"NUMBER", "STRING", "LSQB"})
"""What the grammar takes after any word there, and only some words have."""

_BRACKETS = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}

# Blocks and brackets


def too_deep(source: Source, token: Token) -> Diagnostic:
    """The report for brackets nested without end."""
    return Diagnostic(
        "MTL008",
        f"brackets inside brackets, more than {DEEPEST} deep",
        "name the inner parts with `let` or `block`",
        span_of(source, token),
    )


def structural(source: Source, piece: Structural) -> Diagnostic:
    """The report for blocks or brackets that do not fit together."""
    token, span = piece.token, span_of(source, piece.token)
    match piece.flaw:
        case Flaw.UNCLOSED:
            return _unclosed_block(source, piece)
        case Flaw.UNOPENED:
            return Diagnostic("MTL001", "this `}` closes no block", "remove it, or open a block above: `name {`", span)
        case Flaw.NESTED:
            return Diagnostic(
                "MTL001",
                "a `{` inside a block: blocks do not stand inside blocks",
                "close the outer block first with `}`; arguments go in parentheses: `adam(lr=1e-4)`",
                span,
            )
        case Flaw.NO_BRACE | Flaw.NO_BRACES:
            first, last = span_of(source, piece.line[0]), span_of(source, piece.line[-1])
            closing = ", and `}` on a line of its own after its last" if piece.flaw is Flaw.NO_BRACES else ""
            return Diagnostic(
                "MTL001",
                f"the block `{piece.about}` has no `{{` at the end of its first line",
                f"write `{' '.join(first.to(last).text.split())} {{`{closing}",
                Span(source, span.end, span.end),
            )
        case Flaw.EARLY:
            return Diagnostic(
                "MTL001",
                f"this `}}` closes the block, and `{piece.about}` below goes on with it",
                "remove it: the block is closed further down",
                span,
            )
        case Flaw.END_WORD:
            return Diagnostic("MTL001", "the word `end` closes no block", "write `}` instead", span)
        case Flaw.INSIDE:
            return Diagnostic(
                "MTL001",
                f"`{token}` stands inside a block",
                "put it above the block"
                + ("" if token == "import" else "; an entry of the block has no word before its key"),
                span,
            )
        case Flaw.BRACE_BELOW:
            return Diagnostic(
                "MTL001",
                f"the `{{` of the block `{piece.about}` stands on a line of its own",
                f"put it at the end of the line of `{piece.about}`",
                span,
            )
        case Flaw.AFTER_BRACE:
            return Diagnostic(
                "MTL001",
                f"found {found(token)} on the line of a closing `}}`",
                "start a new line after `}`",
                span,
            )


def unclosed_bracket(source: Source, opening: Token) -> Diagnostic:
    """The report for a `(` or `[` left open."""
    closing = _BRACKETS[OPENING[opening.type]]
    return Diagnostic(
        "MTL002", f"this `{opening}` is never closed", f"close it with `{closing}`", span_of(source, opening)
    )


def _unclosed_block(source: Source, piece: Structural) -> Diagnostic:
    before = f" before line {piece.about.line}, where `{piece.about}` starts" if piece.about else ""
    where = f"before `{piece.about}`" if piece.about else "on a line of its own"
    span = span_of(source, piece.token)
    return Diagnostic("MTL002", f"this block is not closed{before}", f"close it with `}}` {where}", span)


# Tokens that do not fit


def found(token: Token) -> str:
    """A token as it is named in a message."""
    if token.type == "STRING":
        return f"the string `{shortened(token)}`"
    return f"`{shortened(token)}`"


def expected(accepts: Collection[str]) -> str:
    """Kinds of tokens as they are named in a message."""
    kinds = set(accepts)
    shown = []
    if kinds >= {"NAME", "NUMBER", "STRING"}:
        shown.append("a value")
        kinds -= _VALUE
    if kinds >= set(_OPERATORS):  # after a value: what may follow one, the rarer things left out
        shown.append("an operator")
        kinds -= {*_OPERATORS, "LPAR", "COLON"}
    if "$END" in kinds:
        shown.append("the end of the line")
    last = [_SHOWN[kind] for kind in ("COMMA", "RPAR", "RSQB", "RBRACE") if kind in kinds]
    kinds -= {"COMMA", "RPAR", "RSQB", "RBRACE", "$END", "_NEWLINE"}
    first = [_SHOWN[kind] for kind in _SHOWN if kind in kinds]
    return _either([*first, *shown, *last])


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def misfit(source: Source, chunk: Chunk, index: int, accepts: Collection[str]) -> Diagnostic:
    """The report for the token at `index` of a piece, or for its end, where only `accepts` could stand."""
    tokens = chunk.tokens
    if chunk.role is not Role.ITEM and tokens[0].type == "NAME":
        first_word = str(tokens[0])
        own = _AFTER.get(first_word, {"NAME", "LBRACE"})
        second = tokens[1].type if len(tokens) > 1 else "$END"
        if second not in own and (second in _AFTER_A_WORD or "NAME" not in own):
            index = 1
        if index == 1:
            accepts = (own & set(accepts) or own) - {"LSQB"}
        elif index == 2 and first_word in _AFTER and first_word not in DEFINITIONS:
            accepts = set(accepts) - {"EQUAL", "LPAR"}
    end = "the end of the file" if chunk.at_end_of_file else "the end of the line"
    if index == len(tokens):
        last = tokens[-1].end_pos or 0
        what, span = end, Span(source, last, last)
    else:
        what, span = found(tokens[index]), span_of(source, tokens[index])
    cause, remedy = _special(chunk, index, accepts) or (None, None)
    if cause is None or remedy is None:
        wanted = expected(accepts)
        cause = f"found {what} where {wanted} is expected"
        remedy = remedy or _remedy(chunk, index, accepts, wanted)
    return Diagnostic("MTL001", cause, remedy, span)


def early_end(source: Source, before: Token, after: Token) -> Diagnostic:
    """The report for a line that ends between two tokens that belong together."""
    end = before.end_pos or 0
    what = found(after)
    return Diagnostic("MTL001", f"the line ends before {what}", f"write {what} on this line", Span(source, end, end))


def _special(chunk: Chunk, index: int, accepts: Collection[str]) -> tuple[str, str] | None:
    """The mistakes that people make most, each with its own words."""
    tokens, kinds = chunk.tokens, [token.type for token in chunk.tokens]
    kind = kinds[index] if index < len(kinds) else "$END"
    following = kinds[index + 1] if index + 1 < len(kinds) else "$END"
    previous = kinds[index - 1] if index else ""
    first = tokens[0]
    if kind == "NAME" and following in ("EQUAL", "_RANGE") and "$END" in accepts and tokens[index].line == first.line:
        key = tokens[index]
        return f"a second entry, `{key}`, on the same line", f"put `{key} = …` on a line of its own"
    if kind == "DOTTED" and "NAME" in accepts and "DOTTED" not in accepts:
        return f"found `{shortened(tokens[index])}` where a name is expected", (
            "write it without a dot; a range of layers has two, `a..b`"
        )
    if kind in CLOSING and not {"RPAR", "RSQB"} & set(accepts) and "$END" in accepts:
        return f"this `{tokens[index]}` closes nothing", "remove it, or add the opening bracket that it belongs to"
    if kind in CLOSING and {"RPAR", "RSQB"} & set(accepts):
        right = ")" if "RPAR" in accepts else "]"
        return f"found `{tokens[index]}` where `{right}` is needed", f"write `{right}`"
    if kind == "EQUAL" and index == 1 and first in DEFINITIONS:
        return f"`{first}` has no name before `=`", f"write `{first} name = …`"
    if first in DEFINITIONS and index == 2 and kind in {*_VALUE, "COLON"}:
        return f"found {found(tokens[2])} where `=` is expected", f"write `{first} {tokens[1]} = …`"
    if kind == "LBRACE" and chunk.role is Role.OPENING and previous in ("EQUAL", "COLON"):
        line = " ".join(str(token) for token in tokens[: index - 1])
        return f"a block has no `{tokens[index - 1]}` before its `{{`", f"write `{line} {{`"
    if kind == "LBRACE" and index == 0:
        return "a block without its kind", "write it before the `{`, as in `train {`"
    if previous == "COMMA" and kind in ("COMMA", "$END", *CLOSING):
        return "a comma with nothing behind it", "remove it"
    if kind == "LSQB" and previous == "NAME" and "LPAR" in accepts and chunk.role is Role.ITEM:
        return f"found `[` behind `{tokens[index - 1]}`", f"arguments go in parentheses: `{tokens[index - 1]}(…)`"
    if kind == "EQUAL" and index == 1 and chunk.role is not Role.ITEM:
        return (
            f"`{first} = …` stands outside every block",
            f"put it inside a block, or write `let {first} = …` for a constant",
        )
    if kind == "EQUAL" and previous == "EQUAL":
        return "two `=` in a row", "write a single `=`"
    if kind == "EQUAL" and previous == "NAME" and "COMMA" in kinds[:index] and "$END" in accepts:
        key = tokens[index - 1]
        return f"a second entry, `{key}`, after a comma", f"put `{key} = …` on a line of its own, without the comma"
    if kind == "LPAR" and index == 1 and chunk.role is not Role.ITEM:
        return f"`{first}(…)` stands outside every block", "put it inside a block"
    return None


def _remedy(chunk: Chunk, index: int, accepts: Collection[str], wanted: str) -> str:
    """The general remedies, where the mistake has none of its own."""
    kinds = [token.type for token in chunk.tokens]
    kind = kinds[index] if index < len(kinds) else "$END"
    previous = chunk.tokens[index - 1] if index else None
    first = chunk.tokens[0]
    if kind == "COLON" and "EQUAL" in accepts and previous is not None:
        return f"write `{previous} = …`"
    if kind == "LBRACE":
        return "arguments go in parentheses: `adam(lr=1e-4)`"
    if "COMMA" in accepts and {"RPAR", "RSQB"} & set(accepts) and kind in _VALUE:
        first_there = kinds[index - 2 : index - 1] in (["LPAR"], ["COMMA"])
        if first_there and previous is not None and previous.type == "NAME":
            return f"put a comma between the two, or `=` where `{shortened(previous)}` is the name of an argument"
        return "put a comma between the two"
    if previous is not None and {"NAME", "NUMBER", "STRING"} <= set(accepts):
        return f"write a value after `{shortened(previous)}`"
    if chunk.role is Role.ITEM and index == 1 and previous is not None:
        return f"write `{first} = …`"
    if first == "mtl" and index == 1:
        return "write `mtl 1`"
    if first == "import" and index == 1:
        return 'write the path of the file in quotes: `import "blocks.mtl"`'
    if index == len(kinds):
        return f"add {wanted}"
    if kind == "STRING" and "NAME" in accepts:
        return "write the name without quotes"
    if kind in ("TRUE", "FALSE") and "NAME" in accepts:
        return "choose another name: this one is a value"
    if "$END" in accepts and kind in _VALUE:
        between = "put an operator between the two, or " if "STAR" in accepts else ""
        return f"{between}start a new line before {found(chunk.tokens[index])}"
    if "$END" in accepts:
        return f"remove {found(chunk.tokens[index])}"
    return f"put {wanted} before {found(chunk.tokens[index])}"
