"""The pages of the diagnostic codes: what each means, why it is reported, an example, the remedy.

A page is `pages/<code>.md`: the code and its title as the heading, then why it is reported and, where no text alone can
be wrong in this way, when; then the sections Example, Instead and Remedy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pkgutil import get_data

import attrs

from mtsldsl.diagnostics.codes import CODES, FAMILIES
from mtsldsl.records import Record

_PAGE = re.compile(
    r"# (?P<code>MTL\d{3}): (?P<title>[^\n]+)\n\n(?P<why>.+?)\n"
    r"(?:\nReported (?P<occurs>.+?)\.\n)?"
    r"(?:\n## Example\n(?:\n```mtl\n(?P<example>.*?)```\n)?(?:\n```console\n(?P<console>.*?)```\n)?)?"
    r"(?:\n## Instead\n\n```mtl\n(?P<instead>.*?)```\n)?"
    r"\n## Remedy\n\n(?P<remedy>.+?)\n",
    re.S,
)


@attrs.frozen(eq=False, repr=False)
class Code(Record):
    """A code, which keeps its meaning for ever, and all that is said of it.

    `title` is a phrase, `why` and `remedy` are sentences. `example` is what is reported with this code and no other:
    the blocks that differ from `examples.FRAME`, or a whole text where it has a line `mtl 1`; `instead` is the same,
    mended. Where no text alone can be wrong in this way, `occurs` says when it is reported and `console` shows a
    command that fails so, in a folder with `spec.mtl`, whose text is that of the example; lines that begin with `#` say
    what else there is.
    """

    code: str
    title: str
    why: str
    remedy: str
    example: str = ""
    instead: str = ""
    occurs: str = ""
    console: str = ""


@attrs.frozen(eq=False, repr=False)
class Family(Record):
    """The codes that begin alike, and what they are about."""

    title: str
    codes: tuple[Code, ...]


@cache
def explained(code: str) -> Code:
    """The page of a code. Raises KeyError where there is no such code."""
    if code not in CODES:
        raise KeyError(code)
    data = get_data("mtsldsl.diagnostics", f"pages/{code}.md")
    found = _PAGE.fullmatch(data.decode("utf-8")) if data else None
    if found is None or (found["code"], found["title"]) != (code, CODES[code]):
        raise ValueError(f"pages/{code}.md is not the page of {code}")
    parts = {name: text or "" for name, text in found.groupdict().items()}
    for name in ("why", "remedy", "occurs"):
        parts[name] = " ".join(parts[name].split())
    return Code(**parts)


def families() -> Iterator[Family]:
    """All codes with their pages, in order."""
    for title, codes in FAMILIES.items():
        yield Family(title, tuple(map(explained, codes)))


class _Pages(Mapping[str, Code]):
    """Every code with its page, which is read when it is asked for."""

    def __getitem__(self, code: str) -> Code:
        return explained(code)

    def __iter__(self) -> Iterator[str]:
        return iter(CODES)

    def __len__(self) -> int:
        return len(CODES)


REGISTRY: Mapping[str, Code] = _Pages()
"""Every code with all that is said of it, in order."""
