"""Reading one block against its schema: unknown, repeated and missing keys, and the value of every key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mtsldsl.diagnostics import Span, nearest, suggestion
from mtsldsl.diagnostics.names import meant_by
from mtsldsl.ir.problems import BROKEN, Problems
from mtsldsl.ir.scope import Bound, Scope
from mtsldsl.ir.values import convert, default_of
from mtsldsl.language.kinds import Key, Required, describe
from mtsldsl.language.schema import BlockSchema
from mtsldsl.language.written import is_word
from mtsldsl.records import Record
from mtsldsl.syntax import tree


@attrs.frozen(eq=False, repr=False)
class BlockValues(Record):
    """The value of every key of a block: given, default, or BROKEN. `entries` are the lines that give them."""

    values: Mapping[str, Any]
    entries: Mapping[str, tree.Entry]
    span: Span
    keys: Mapping[str, Key]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def broken(self) -> bool:
        """Whether a value is missing or broken."""
        return BROKEN in self.values.values()

    def standing(self) -> dict[str, Any]:
        """The values, defaults in the place of broken ones: so that one problem does not keep others from being found.

        A key without a default stays BROKEN."""
        defaults = {
            name: BROKEN if isinstance(key.default, Required) else default_of(key) for name, key in self.keys.items()
        }
        return {name: defaults[name] if value is BROKEN else value for name, value in self.values.items()}

    def place(self, key: str) -> Span:
        """The span of the key's value; of the block's name where the key is not given."""
        return self.entries[key].value.span if key in self.entries else self.span


def title(section: tree.Section) -> str:
    """The block's kind and labels: `task depth`, `task [depth, normal]`."""
    if section.listed:
        return f"{section.kind.text} [{', '.join(name.text for name in section.labels)}]"
    return " ".join(name.text for name in (section.kind, *section.labels))


def entries_of(section: tree.Section, problems: Problems) -> list[tree.Entry]:
    """The `key = value` lines of a block that has no other."""
    entries = []
    for item in section.items:
        if isinstance(item, tree.Call):
            problems.add(
                "MTL104",
                f"`{item.function.text}(...)` in `{title(section)}` has no key",
                "write `key = value`",
                item.span,
            )
        elif item.last is not None:
            problems.add(
                "MTL104",
                f"a range of layers in `{title(section)}`",
                "write one line for each; only `tuning` and `sharing` have ranges",
                item.key.span.to(item.last.span),
            )
        else:
            entries.append(item)
    return entries


def read_block(section: tree.Section, schema: BlockSchema, scope: Scope, problems: Problems) -> BlockValues:
    """The values of a block whose keys the schema lists."""
    keys = {key.name: key for key in schema.keys or ()}
    entries: dict[str, tree.Entry] = {}
    meant: dict[str, tree.Entry] = {}  # keys that may stand in the block, misspelt
    for entry in entries_of(section, problems):
        name = entry.key.text
        if name not in keys:
            remedy = suggestion(name, keys, "keys", section.kind.text)
            meant.setdefault(meant_by(remedy) or nearest(name, keys) or "", entry)
            if is_word(name):  # another one is reported where the text is read
                problems.add("MTL104", f"`{title(section)}` has no key `{name}`", remedy, entry.key.span)
        elif name in entries:
            line = entries[name].span.line
            problems.add(
                "MTL105",
                f"`{name}` is given twice in `{title(section)}`: first on line {line}",
                "leave one of them out",
                entry.key.span,
            )
        else:
            entries[name] = entry
    missing = set(keys) if section.whole else set()
    entries = {**meant, **entries}  # so a misspelt key does not hide what is wrong with its value
    values = {
        key.name: _value(key, entries.get(key.name), key.name in missing, section, scope, problems)
        for key in keys.values()
    }
    return BlockValues(values, entries, section.kind.span, keys)


def _value(
    key: Key, entry: tree.Entry | None, missing: bool, section: tree.Section, scope: Scope, problems: Problems
) -> Any:
    if entry is not None:
        return convert(key.kind, Bound(entry.value, scope, entry.value.span), f"`{key.name}`", problems)
    if isinstance(key.default, Required):
        if not missing:
            return BROKEN
        return problems.add(
            "MTL106",
            f"`{title(section)}` has no `{key.name}`",
            f"add a line `{key.name} = ...`, {key.summary}: {describe(key.kind)}",
            section.kind.span.to(section.labels[-1].span) if section.labels else section.kind.span,
        )
    return default_of(key)
