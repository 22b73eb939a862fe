"""Long statements over several lines, broken where `ruff format` would break them, so that no formatter is needed."""

from __future__ import annotations

import ast

WIDTH = 120
_INDENT = "    "


def lay_out(text: str) -> str:
    """The text with every assignment, `return` and `def` of more than 120 columns broken at its brackets."""
    return "\n".join(_statement(line) if len(line) > WIDTH else line for line in text.split("\n"))


def _statement(line: str) -> str:
    code = line.lstrip()
    indent = line[: len(line) - len(code)]
    if code.startswith("def ") and code.endswith(":"):
        return _definition(code, indent)
    returns = code.startswith("return ")
    try:
        node = ast.parse(code.removeprefix("return ")).body[0]
    except (SyntaxError, IndexError):  # no statement of its own: a line of a docstring, or inside brackets
        return line
    match node:
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            if returns:
                return line
        case ast.Expr(value=value):
            if not returns:
                return line
        case _:
            return line
    text = _Text(code.removeprefix("return "))
    before = "return " if returns else text.before(value)
    comment = text.after(value).strip()
    above = f"{indent}{comment}\n" if comment else ""
    return above + _broken(text, value, indent, indent + before, "", statement=True)


def _definition(code: str, indent: str) -> str:
    """The first line of a function, its parameters in a line of their own, or each in one."""
    opening, _, rest = code.partition("(")
    parameters, _, result = rest.rpartition(")")
    inner = indent + _INDENT
    if len(inner + parameters) > WIDTH:
        parameters = f",\n{inner}".join(parameters.split(", ")) + ","
    return f"{indent}{opening}(\n{inner}{parameters}\n{indent}){result}"


class _Text:
    """A line, cut at the places that its syntax tree tells in bytes."""

    def __init__(self, line: str) -> None:
        self._bytes = line.encode()

    def of(self, node: ast.expr) -> str:
        return self._bytes[node.col_offset : node.end_col_offset].decode()

    def before(self, node: ast.expr) -> str:
        return self._bytes[: node.col_offset].decode()

    def after(self, node: ast.expr) -> str:
        return self._bytes[node.end_col_offset :].decode()


def _broken(text: _Text, node: ast.expr, indent: str, before: str, after: str, *, statement: bool = False) -> str:
    """The expression after `before` (which holds the indent), broken where it does not fit."""
    flat = text.of(node)
    if len(before) + len(flat) + len(after) <= WIDTH:
        return before + flat + after
    match node:
        case ast.Call(func=ast.Subscript() as head) if len(before) + len(text.of(head)) + 1 > WIDTH:
            start = text.of(head.value)
            if statement and len(before) < WIDTH < len(before) + len(start) + 1:
                inner = indent + _INDENT
                return f"{before}(\n{_broken(text, node, inner, inner, '')}\n{indent}){after}"
            arguments = f"{indent}]{flat[len(text.of(head)) :]}{after}"
            if len(arguments) > WIDTH:
                arguments = _bracketed(text, _parts(node), indent, f"{indent}](", f"){after}")
            return f"{before}{start}[\n{indent}{_INDENT}{text.of(head.slice)}\n{arguments}"
        case ast.Call() if node.args or node.keywords:
            parts = _parts(node)
            return _bracketed(text, parts, indent, f"{before}{text.of(node.func)}(", f"){after}", comma=len(parts) > 1)
        case ast.List(elts=items) if items:
            return _bracketed(text, [("", item) for item in items], indent, f"{before}[", f"]{after}")
        case ast.Tuple(elts=items) if items:
            return _bracketed(text, [("", item) for item in items], indent, f"{before}(", f"){after}")
        case ast.Dict(keys=keys, values=values) if keys:
            entries = [(f"{text.of(key)}: ", value) for key, value in zip(keys, values, strict=True) if key]
            return _bracketed(text, entries, indent, f"{before}{{", f"}}{after}")
        case ast.BinOp():
            inner = indent + _INDENT if statement else indent
            sign = "*" if isinstance(node.op, ast.Mult) else "+"
            terms = f"\n{inner}{sign} ".join(_terms(text, node, type(node.op)))
            return f"{before}(\n{inner}{terms}\n{indent}){after}" if statement else f"{before}{terms}{after}"
    return before + flat + after


def _parts(call: ast.Call) -> list[tuple[str, ast.expr]]:
    """The arguments of a call, each with its keyword."""
    return [("", each) for each in call.args] + [(f"{each.arg}=", each.value) for each in call.keywords]


def _bracketed(
    text: _Text, parts: list[tuple[str, ast.expr]], indent: str, opening: str, closing: str, *, comma: bool = True
) -> str:
    inner = indent + _INDENT
    joined = ", ".join(label + text.of(node) for label, node in parts)
    call = opening.endswith("(") and closing.startswith(")")
    if call and len(inner) + len(joined) <= WIDTH:
        return f"{opening}\n{inner}{joined}\n{indent}{closing}"
    ending = "," if comma else ""
    lines = [_broken(text, node, inner, inner + label, ending) for label, node in parts]
    return "\n".join([opening, *lines, indent + closing])


def _terms(text: _Text, node: ast.expr, sign: type[ast.operator]) -> list[str]:
    terms = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, sign):
        terms.append(text.of(node.right))
        node = node.left
    return [text.of(node), *reversed(terms)]
