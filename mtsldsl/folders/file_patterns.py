"""Files of a folder by a pattern of their paths, such as `{kind}/*.jpg`, and the parts that differ between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.records import Record

_WILD = re.compile(r"\*|\{([^{}/]*)\}")


@attrs.frozen(eq=False, repr=False)
class Matched(Record):
    """A file: its path from the folder, in which names are parted by `/`, and what stands in the places of the pattern:
    of those with a name, and of the others in their order."""

    path: str
    parts: Mapping[str, str]
    stars: tuple[str, ...]


@attrs.frozen(eq=False, repr=False)
class Pattern(Record):
    """A path in which `*` and `{name}` each stand for any letters within one name of it."""

    text: str
    names: tuple[str, ...]
    stars: int

    @classmethod
    def of(cls, text: str, key: str) -> Pattern:
        """Raises MTL604, with the key that has it, for a text that is no pattern."""
        wild = list(_WILD.finditer(text))
        names = tuple(match[1] for match in wild if match[1] is not None)
        fault, remedy = None, 'write a path from the folder of the data, such as `"{kind}/*.jpg"`'
        if any(part in ("", ".", "..") for part in text.split("/")):
            fault = "is no path below the folder of the data"
        elif "**" in text:
            fault, remedy = "has `**`", "write a `*` or a `{name}` for each folder"
        elif not wild:
            fault, remedy = "has neither `*` nor `{name}`: it is one file", "write `*` where the names of files differ"
        elif "{" in _WILD.sub("", text) or "}" in _WILD.sub("", text):
            fault, remedy = "has a brace that is not closed", "write `{name}` around a name"
        elif not all(name.isidentifier() for name in names):
            fault = "has braces around what is no name"
            remedy = "write a name of letters, digits and `_` in them, a letter first"
        elif len(set(names)) < len(names):
            fault, remedy = "has a name twice", "give each place a name of its own, or write `*`"
        if fault:
            raise MtlError.of("MTL604", f'`{key} = "{text}"` {fault}', remedy)
        return cls(text, names, len(wild) - len(names))

    def files(self, folder: Path) -> list[Matched]:
        """The files below a folder that match, by their paths in order. The letters that the pattern has may be large
        or small; what begins with a point is passed over, as viewers of folders do."""
        segments = [_segment(part) for part in self.text.split("/")]
        return sorted(self._below(folder, "", segments), key=lambda each: each.path)

    def _below(self, folder: Path, before: str, segments: list[re.Pattern[str]]) -> Iterator[Matched]:
        first, *rest = segments
        for entry in folder.iterdir():
            if entry.name.startswith(".") or not first.fullmatch(entry.name):
                continue
            if rest and entry.is_dir():
                yield from self._below(entry, f"{before}{entry.name}/", rest)
            elif not rest and entry.is_file():
                yield self._matched(f"{before}{entry.name}")

    def _matched(self, path: str) -> Matched:
        wild = [each for part in self.text.split("/") for each in _WILD.findall(part)]
        values = [
            value
            for part, name in zip(self.text.split("/"), path.split("/"), strict=True)
            for value in _values(part, name)
        ]
        named = [(name, value) for name, value in zip(wild, values, strict=True) if name]
        return Matched(path, dict(named), tuple(value for name, value in zip(wild, values, strict=True) if not name))


def _segment(part: str) -> re.Pattern[str]:
    """Each place with its letters, as many as there can be for the first, then for the next."""
    pieces = ["(.+)" if _WILD.fullmatch(piece) else re.escape(piece) for piece in re.split(r"(\*|\{[^{}]*\})", part)]
    return re.compile("".join(pieces), re.IGNORECASE | re.DOTALL)


def _values(part: str, name: str) -> tuple[str, ...]:
    match = _segment(part).fullmatch(name)
    assert match is not None
    return match.groups()
