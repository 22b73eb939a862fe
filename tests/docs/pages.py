"""The examples of the pages for people, and how each is made whole so that it can be run."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from mtsldsl.diagnostics import Source
from mtsldsl.syntax import parse
from mtsldsl.syntax.tree import Definition, Section

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
LANGUAGE = DOCS / "language.md"
PAGES = tuple(
    path for path in (README, *sorted(DOCS.glob("*.md")), *sorted((DOCS / "results").glob("*.md"))) if path.is_file()
)

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$", re.M | re.S
)
_COMPLETE = re.compile(r"(\s*#[^\n]*\n|\s*\n)*mtl [0-9]\b")
_SECTION = re.compile(r"^([a-z]\w*)(?:[ \t]+\w+)*[ \t]*(?:\[[\w,\s]*\][ \t]*)?\{", re.M)
_DEFINITION = re.compile(r"^(?:let|block)[ \t]+(\w+)", re.M)


@attrs.frozen
class Example:
    """A fenced text of a page. `kind` is the first word after the fence, `words` are the others."""

    page: Path
    line: int
    kind: str
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def complete(self) -> bool:
        """Whether it is a whole `.mtl` file."""
        return _COMPLETE.match(self.text) is not None

    @property
    def expected(self) -> tuple[str, ...]:
        """The codes that ```mtl error CODE ...``` says are reported, in order; empty for a text without a problem."""
        return self.words[1:] if self.words[:1] == ("error",) else ()

    @property
    def file(self) -> str | None:
        """The name of the file that ```mtl name.mtl``` says the example is in, for the Python of its page."""
        return next((word for word in self.words if word.endswith(".mtl")), None)


def examples(page: Path, *kinds: str) -> list[Example]:
    """The fenced texts of a page of the given kinds."""
    found = []
    content = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(content):
        kind, *words = match["info"].split() or [""]
        if kind in kinds:
            indent = len(match["indent"])
            text = "".join(line[indent:] if line.strip() else line for line in match["text"].splitlines(keepends=True))
            found.append(Example(page, content.count("\n", 0, match.start()) + 1, kind, tuple(words), text))
    return found


def every_example(*kinds: str) -> list[Example]:
    """The fenced texts of all pages of the given kinds."""
    return [example for page in PAGES for example in examples(page, *kinds)]


def frame_of(page: Path) -> str:
    """What the parts on a page are parts of: its first complete example, else that of the language reference."""
    complete = [example.text for example in examples(page, "mtl") if example.complete and not example.expected]
    return complete[0] if complete or page == LANGUAGE else frame_of(LANGUAGE)


def completed(part: str, frame: str) -> str:
    """The frame with its blocks of the kinds that the part has replaced by those of the part.

    A constant or macro of the part takes the place of one of its name.
    """
    kinds, names = set(_SECTION.findall(part)), set(_DEFINITION.findall(part))
    kept = []
    for statement in parse(Source("frame", frame)).statements:
        replaced = isinstance(statement, Section) and statement.kind.text in kinds
        redefined = isinstance(statement, Definition) and statement.name.text in names
        if not replaced and not redefined:
            kept.append(statement.span.text)
    return "\n\n".join([*kept, part])
