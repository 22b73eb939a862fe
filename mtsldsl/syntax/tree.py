"""The tree that a `.mtl` text is read into. It knows blocks, keys and values; nothing of tasks or layers.

Spans never take part in comparisons: two texts that say the same give equal trees.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import Source, Span
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class Number(Record):
    """An integer or a float, its sign included."""

    value: int | float
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class String(Record):
    """A quoted string, escapes resolved."""

    value: str
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Boolean(Record):
    """`true` or `false`."""

    value: bool
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Name(Record):
    """An identifier; in a value, its calls included, also two with a dot between: `depth.rmse`."""

    text: str
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class List(Record):
    """`[a, b]`."""

    items: tuple[Value, ...]
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Argument(Record):
    """`value` or `name=value` inside a call."""

    name: Name | None
    value: Value
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Call(Record):
    """`function(arguments)`."""

    function: Name
    arguments: tuple[Argument, ...]
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Pipeline(Record):
    """`a | b | c`: function composition from left to right; two stages at least."""

    stages: tuple[Value, ...]
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Product(Record):
    """`a * b`: a pipeline repeated, or two numbers multiplied."""

    left: Value
    right: Value
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Sum(Record):
    """`a + b`: a set of tasks; two terms at least."""

    terms: tuple[Value, ...]
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Group(Record):
    """`( value )`."""

    value: Value
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Component(Record):
    """One component of a sharing line: `a + b`, or with a label `conv3: a + b`."""

    label: Name | None
    value: Value
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Components(Record):
    """`a + b, c`: the components of a sharing line. Written only where there is a comma or a label."""

    items: tuple[Component, ...]
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Unreadable(Record):
    """Stands where a value is not written as the language has it. Its mistake is reported by whoever read the text, so
    all others pass over it."""

    span: Span = attrs.field(eq=False, repr=False)


Value: TypeAlias = (
    Number | String | Boolean | Name | List | Call | Pipeline | Product | Sum | Group | Components | Unreadable
)


@attrs.frozen(eq=False, repr=False)
class Entry(Record):
    """`key = value`, or over a range of layers `first..last = value` (then `last` is set)."""

    key: Name
    last: Name | None
    value: Value
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Section(Record):
    """`kind label { items }`; `body` is the span between the braces, both left out.

    `listed` is true where the labels stand in brackets, `task [a, b] { items }`: one block for each of them.
    `whole` is false where items were left out, because nothing is known of them but that they are misspelt; `headed` is
    false where the first line could not be read to its end, so that labels may be missing, or others than these.
    """

    kind: Name
    labels: tuple[Name, ...]
    items: tuple[Entry | Call, ...]
    body: Span = attrs.field(eq=False, repr=False)
    span: Span = attrs.field(eq=False, repr=False)
    whole: bool = attrs.field(default=True, eq=False, repr=False)
    listed: bool = False
    headed: bool = attrs.field(default=True, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Parameter(Record):
    """`name` or `name=default` of a definition."""

    name: Name
    default: Value | None
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Definition(Record):
    """`let name = value` (parameters None) or `block name(parameters) = value`."""

    kind: Name
    name: Name
    parameters: tuple[Parameter, ...] | None
    value: Value
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Header(Record):
    """`mtl 1`."""

    keyword: Name
    version: Number
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Import(Record):
    """`import "path"`."""

    keyword: Name
    path: String
    span: Span = attrs.field(eq=False, repr=False)


Statement: TypeAlias = Header | Import | Section | Definition


@attrs.frozen(eq=False, repr=False)
class Comment(Record):
    """`# …` to the end of the line, the line ending left out."""

    text: str
    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class File(Record):
    """A whole text. `whole` is false where a definition was left out of which not even the name can be read; `strays`
    are the first words of other statements that could not be read."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = attrs.field(eq=False)
    source: Source = attrs.field(eq=False, repr=False)
    whole: bool = attrs.field(default=True, eq=False, repr=False)
    strays: tuple[str, ...] = attrs.field(default=(), eq=False, repr=False)
