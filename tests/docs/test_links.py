"""What the pages point to is there: links and pictures with their headings, and in the decisions and CONTRIBUTING.md
paths in backticks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mtsldsl.cli import main

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
LINKING = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
PAGES = [*sorted((ROOT / "docs" / "decisions").glob("*.md")), ROOT / "CONTRIBUTING.md"]

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", re.M | re.S)
PATH = re.compile(r"`((?:\w[\w.-]*/)*[\w.-]+(?:/|\.(?:py|md|txt|toml)))`")
MODULE = re.compile(r"`(mtsldsl(?:\.\w+)+)`")

OF_A_RUN = {"spec.mtl", "train.py", "model.py"}
"""Files that a run or a compilation writes."""


def anchors(page: Path) -> set[str]:
    """The headings of a page as its links name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> Iterator[str]:
    """The links that lead nowhere; those to other places are not followed."""
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if ":" in link:
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (heading and heading not in anchors(target)):
            yield link


def missing_paths(page: Path) -> Iterator[str]:
    """The paths and modules that are nowhere: neither from the root, nor in the package, nor the name of a file in it."""
    text = page.read_text(encoding="utf-8")
    for path in PATH.findall(text):
        places = (ROOT / path, ROOT / "mtsldsl" / path)
        inside = path.rstrip("/")
        if path not in OF_A_RUN and not any(place.exists() for place in places) and not _is_somewhere(inside):
            yield path
    for name in MODULE.findall(text):
        module = ROOT.joinpath(*name.split("."))
        if not any(each.with_suffix(".py").exists() or each.is_dir() for each in (module, module.parent)):
            yield name


def _is_somewhere(name: str) -> bool:
    """Whether a file or folder of the package ends so, as `learning/` and `masks.py` do."""
    return any((ROOT / "mtsldsl").rglob(name))


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_the_picture_of_the_readme_is_what_its_command_draws() -> None:
    command = re.search(r"^\$ mtsldsl (show .* --svg) docs/sharing.svg$", README.read_text(encoding="utf-8"), re.M)
    assert command is not None
    done = CliRunner().invoke(main, [*command[1].split(), "-"])
    assert done.stdout == (ROOT / "docs" / "sharing.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    assert list(missing_paths(page)) == []


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A heading\n")
    page = tmp_path / "page.md"
    page.write_text(
        "```md\n[f](inside.md)\n```\n[a](other.md) [b](other.md#a-heading) [c](gone.md) [d](other.md#gone) [e](https://example.org)\n"
        "`ir/wiring.py` `ir/gone.py` `tests/gone/` `mtsldsl.records.Record` `mtsldsl.gone.Record` `a.b`\n"
    )
    assert list(broken_links(page)) == ["gone.md", "other.md#gone"]
    assert list(missing_paths(page)) == ["ir/gone.py", "tests/gone/", "mtsldsl.gone.Record"]


def test_every_decision_is_listed_once_under_its_title() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"^- \[(.*)\]\((.*)\)$", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {page.name: page.read_text(encoding="utf-8") for page in folder.glob("*.md") if page.name != "README.md"}
    assert sorted(name for _, name in listed) == sorted(pages)
    for title, name in listed:
        assert pages[name].startswith(f"# {title}\n")
