"""What every page for people is held to: well nested, whole in itself, to be read aloud, and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "img", "br", "link", "hr", "input"}

PHONE = 358
"""Pixels of a phone's width that a page can use: 390 without its margins."""


class _Reader(HTMLParser):
    """Reads the elements of a page, and holds that each is closed where it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[tuple[str, dict[str, str | None]], ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} ends and was not begun"
        begun, _ = self.open.pop()
        assert begun == tag, f"{begun} is closed by {tag}"


def check(page: str) -> None:
    """Hold a page to it."""
    assert page.startswith("<!doctype html>")
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    tags = [tag for tag, *_ in reader.elements]
    assert "script" not in tags
    assert tags.count("h1") == tags.count("main") == tags.count("title") - tags_in_svg(reader) == 1
    (html,) = [found for tag, found, _ in reader.elements if tag == "html"]
    assert html["lang"] == "en"
    views = [found["content"] for tag, found, _ in reader.elements if tag == "meta" and found.get("name") == "viewport"]
    assert views == ["width=device-width, initial-scale=1"]

    ids = [found["id"] for _, found, _ in reader.elements if "id" in found]
    assert len(ids) == len(set(ids))
    assert {*re.findall(r"url\(#([^)]+)\)", page), *re.findall(r'href="#([^"]+)"', page)} <= set(ids)
    for _, found, _ in reader.elements:
        addresses = [found[name] or "" for name in ("src", "href", "xlink:href", "action") if name in found]
        assert all(each.startswith(("#", "data:image/png;base64,")) for each in addresses)
    assert "@import" not in page

    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    told = [found.get("alt") for tag, found, _ in reader.elements if tag == "img"]
    told += [found.get("aria-label") for tag, found, _ in reader.elements if tag == "svg"]
    assert all(told)
    assert len(told) == len(set(told)), "two drawings are told as one"
    assert all(found.get("role") == "img" for tag, found, _ in reader.elements if tag == "svg")
    _check_width(reader)


def tags_in_svg(reader: _Reader) -> int:
    """Titles of what is drawn."""
    return sum(tag == "title" and any(each == "svg" for each, _ in above) for tag, _, above in reader.elements)


def _check_width(reader: _Reader) -> None:
    """Nothing is wider than a phone but what can be scrolled, which a keyboard reaches and whose name is told."""
    for tag, found, above in reader.elements:
        boxes = [box for _, box in above if box.get("class") == "wide"]
        if tag in ("table", "pre"):
            assert boxes, f"a {tag} cannot be scrolled"
        if found.get("class") == "wide":
            assert found["tabindex"] == "0"
            assert found["role"] == "region"
            assert found["aria-label"]
        if tag == "svg":
            assert "viewbox" in found
            narrow = float((found["width"] or "").removesuffix("pt")) <= PHONE
            assert narrow or boxes, "a drawing is wider than a phone, and cannot be scrolled"


def luminance(colour: str) -> float:
    """The relative luminance of a colour `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def palettes(style: str) -> Iterator[dict[str, str]]:
    """The colours of a style by their names, in the light and in the dark."""
    for block in re.findall(r":root \{(.*?)\}", style, re.S):
        yield dict(re.findall(r"--([\w-]+): (#\w{6});", block))
