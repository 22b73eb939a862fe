"""Trees by hypothesis, and their texts with layout, comments and line endings anywhere they may stand."""

from __future__ import annotations

import json
from typing import Any

import attrs
from hypothesis import strategies as st

from mtsldsl.diagnostics import Source, Span
from mtsldsl.syntax import tree

NOWHERE = Span(Source("<none>", ""), 0, 0)


def at(node: type, *fields: Any) -> Any:
    return node(*fields, *([NOWHERE] * (2 if node is tree.Section else 1)))


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda text: text not in ("true", "false"))
name = names.map(lambda text: at(tree.Name, text))
dotted = st.builds(lambda first, second: at(tree.Name, f"{first}.{second}"), names, names)
number = st.one_of(
    st.integers(-(10**18), 10**18), st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)
).map(lambda value: at(tree.Number, value))
string = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=12).map(lambda t: at(tree.String, t))
boolean = st.booleans().map(lambda value: at(tree.Boolean, value))


def several(values: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=least, max_size=3).map(tuple)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    operand = inner.map(lambda v: v if isinstance(v, ATOMS) else at(tree.Group, v))
    argument = st.builds(lambda n, v: at(tree.Argument, n, v), st.none() | name, inner)
    return st.one_of(
        several(inner).map(lambda items: at(tree.List, items)),
        st.builds(lambda f, a: at(tree.Call, f, a), name | dotted, several(argument)),
        several(operand, 2).map(lambda items: at(tree.Pipeline, items)),
        several(operand, 2).map(lambda items: at(tree.Sum, items)),
        st.builds(lambda a, b: at(tree.Product, a, b), operand, operand),
        inner.map(lambda v: at(tree.Group, v)),
    )


ATOMS = (tree.Name, tree.Number, tree.String, tree.Boolean, tree.List, tree.Call, tree.Group)
value = st.recursive(st.one_of(name, dotted, number, string, boolean), compound, max_leaves=8)
component = st.builds(lambda label, v: at(tree.Component, label, v), st.none() | name, value)
components = several(component, 1).filter(lambda c: len(c) > 1 or c[0].label).map(lambda c: at(tree.Components, c))
entry = st.builds(lambda k, last, v: at(tree.Entry, k, last, v), name, st.none() | name, value | components)
call = st.builds(
    lambda f, a: at(tree.Call, f, a),
    name,
    several(st.builds(lambda n, v: at(tree.Argument, n, v), st.none() | name, value)),
)
section = st.builds(lambda k, ls, items: at(tree.Section, k, ls, items), name, several(name), several(entry | call))
listed = st.builds(
    lambda k, ls, items: attrs.evolve(at(tree.Section, k, ls, items), listed=True),
    name,
    several(name, 1),
    several(entry | call),
)
imported = string.map(lambda path: at(tree.Import, at(tree.Name, "import"), path))
parameter = st.builds(lambda n, d: at(tree.Parameter, n, d), name, st.none() | value)
definition = st.builds(
    lambda k, n, p, v: at(tree.Definition, k, n, p, v), name, name, st.none() | several(parameter), value
)
header = st.integers(0, 99).map(lambda v: at(tree.Header, at(tree.Name, "mtl"), at(tree.Number, v)))
statements = st.lists(st.one_of(header, imported, section, listed, definition), max_size=4).map(tuple)

# Pieces of a text that the printer leaves open: blank space that may hold line ends, blank space that may not, and the
# places where a line must end.
FREE, SPACE, LINE = "\x00", "\x01", "\x02"


def draft(node: Any) -> str:
    """The text of a node with open pieces."""
    match node:
        case tree.Number(v):
            return repr(v)
        case tree.String(v):
            quoted = "".join(c if c >= " " or c == "\t" else f"\\u{ord(c):04x}" for c in v.replace("\\", "\\\\"))
            return '"' + quoted.replace('"', '\\"') + '"'
        case tree.Boolean(v):
            return json.dumps(v)
        case tree.Name(v):
            return v
        case tree.List(items):
            return f"[{FREE}" + f",{FREE}".join(f"{draft(i)}{FREE}" for i in items) + (f",{FREE}]" if items else "]")
        case tree.Argument(n, v):
            return draft(v) if n is None else f"{draft(n)}{FREE}={FREE}{draft(v)}"
        case tree.Call(f, a):
            return f"{draft(f)}{SPACE}({FREE}" + f",{FREE}".join(f"{draft(i)}{FREE}" for i in a) + ")"
        case tree.Pipeline(stages):
            return f"{FREE}|{FREE}".join(map(draft, stages))
        case tree.Sum(terms):
            return f"{SPACE}+{FREE}".join(map(draft, terms))
        case tree.Product(left, right):
            return f"{draft(left)}{SPACE}*{FREE}{draft(right)}"
        case tree.Group(v):
            return f"({FREE}{draft(v)}{FREE})"
        case tree.Component(label, v):
            return draft(v) if label is None else f"{draft(label)}{SPACE}:{FREE}{draft(v)}"
        case tree.Components(items):
            return f"{SPACE},{FREE}".join(map(draft, items))
        case tree.Entry(key, last, v):
            keys = draft(key) if last is None else f"{draft(key)}{SPACE}..{SPACE}{draft(last)}"
            return f"{keys}{SPACE}={FREE}{draft(v)}"
        case tree.Section(kind, labels, items, listed=listed):
            head = f" {SPACE}".join(map(draft, (kind, *labels)))
            if listed:
                names = f",{FREE}".join(f"{draft(label)}{FREE}" for label in labels)
                head = f"{draft(kind)}{SPACE}[{FREE}{names}]"
            return head + f"{SPACE}{{{FREE}" + LINE.join(map(draft, items)) + f"{FREE}}}"
        case tree.Parameter(n, default):
            return draft(n) if default is None else f"{draft(n)}{FREE}={FREE}{draft(default)}"
        case tree.Definition(kind, n, parameters, v):
            given = (
                "" if parameters is None else f"({FREE}" + f"{FREE},{FREE}".join(map(draft, parameters)) + f"{FREE})"
            )
            return f"{draft(kind)} {SPACE}{draft(n)}{SPACE}{given}{SPACE}={FREE}{draft(v)}"
        case tree.Import(keyword, path):
            return f"{draft(keyword)}{SPACE}{draft(path)}"
        case tree.Header(keyword, version):
            return f"{draft(keyword)} {SPACE}{draft(version)}"
    raise AssertionError(node)


comment = st.text(st.sampled_from('ab#"{}|(= é\t\f'), max_size=6).map(lambda text: f"#{text}")
space = st.sampled_from(["", "", " ", "\t", "  ", "\f"])
line = st.builds(lambda s, c, e: f"{s}{c}{e}", space, st.just("") | comment, st.sampled_from(["\n", "\r\n", "\n\n"]))
free = st.builds(
    lambda lines, s: f"{lines}{s}",
    st.just("") | st.just("") | line | line.flatmap(lambda a: line.map(lambda b: a + b)),
    space,
)

PIECES = {FREE: free, SPACE: space, LINE: st.builds(lambda one, indent: one + indent, line, space)}
"""What may stand at each open piece."""


@st.composite
def texts(draw: st.DrawFn, parts: tuple[Any, ...]) -> str:
    """A text that says the given statements, sometimes with a byte order mark that was not taken off."""
    open_text = FREE + LINE.join(map(draft, parts)) + (FREE if parts else "")
    mark = draw(st.sampled_from(["", "", "", "\ufeff"]))
    return mark + "".join(draw(PIECES[each]) if each in PIECES else each for each in open_text)


@st.composite
def files(draw: st.DrawFn) -> tuple[tuple[Any, ...], str]:
    """Statements, and a text that says them."""
    parts = draw(statements)
    return parts, draw(texts(parts))
