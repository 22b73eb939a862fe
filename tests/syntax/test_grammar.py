"""Where the parser's tables are kept, and when they are trusted."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import lark
import pytest

from mtsldsl.diagnostics import Source
from mtsldsl.syntax import tables
from mtsldsl.syntax.builder import Builder
from mtsldsl.syntax.grammar import build_lark, grammar_text
from mtsldsl.syntax.kept import cache_folder, read_private, write_private
from mtsldsl.syntax.layout import Layout

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX")


of_this_lark = pytest.mark.skipif(
    lark.__version__ != tables.LARK, reason="the tables in the package are of another lark"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MTSLDSL_NO_CACHE", raising=False)
    monkeypatch.setattr(tables, "LARK", "another")  # so that the tables in the package are of no use
    return tmp_path / "mtsldsl"


def tree_of(text: str) -> Any:
    builder = Builder()
    parser = build_lark(transformer=builder, postlex=Layout())
    builder.begin(Source("t", text))
    return parser.parse(text, start="file")


def parses() -> bool:
    return len(tree_of("mtl 1\n")) == 1


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_the_tables_are_kept_and_read_back(home: Path) -> None:
    assert parses()
    (file,) = kept(home)
    before = file.stat().st_mtime_ns
    assert parses()
    assert kept(home) == [file]
    assert file.stat().st_mtime_ns == before


@posix
def test_the_folder_and_the_file_are_private(home: Path) -> None:
    assert parses()
    (file,) = kept(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert not stat.S_IMODE(file.stat().st_mode) & 0o077


def test_the_tables_in_the_package_are_those_of_the_grammar() -> None:
    assert grammar_text() == tables.GRAMMAR, "run `make tables`"
    pinned = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8").split()
    assert f"lark=={tables.LARK}" in pinned, "run `make tables`"


@of_this_lark
def test_the_tables_in_the_package_need_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert parses()
    assert kept(tmp_path / "mtsldsl") == []


@pytest.mark.parametrize(
    "spec", sorted((Path(__file__).parents[2] / "specs").rglob("*.mtl")), ids=lambda path: path.stem
)
def test_tables_of_the_package_and_built_ones_parse_alike(
    spec: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = tree_of(spec.read_text(encoding="utf-8"))
    monkeypatch.setattr(tables, "LARK", lark.__version__)
    assert tree_of(spec.read_text(encoding="utf-8")) == built != ()


def test_nothing_is_kept_when_told_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTSLDSL_NO_CACHE", "1")
    assert parses()
    assert kept(home) == []


@posix
def test_a_folder_that_others_may_write_to_is_not_used(home: Path) -> None:
    home.mkdir()
    home.chmod(0o777)
    assert parses()
    assert kept(home) == []


@posix
def test_a_folder_that_is_a_link_is_not_used(home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    home.symlink_to(tmp_path / "elsewhere")
    assert parses()
    assert kept(tmp_path / "elsewhere") == []


@posix
def test_a_file_that_others_may_write_to_is_replaced_and_not_read(home: Path) -> None:
    assert parses()
    (file,) = kept(home)
    planted = b"not a pickle"
    file.write_bytes(sha256(file.name.encode() + planted).digest() + planted)
    file.chmod(0o666)
    assert parses()
    assert not stat.S_IMODE(file.stat().st_mode) & 0o022
    assert planted not in file.read_bytes()


@posix
def test_a_file_that_is_a_link_is_replaced_and_not_read(home: Path, tmp_path: Path) -> None:
    assert parses()
    (file,) = kept(home)
    (tmp_path / "planted").write_bytes(b"planted")
    file.unlink()
    file.symlink_to(tmp_path / "planted")
    assert parses()
    assert not file.is_symlink()
    assert (tmp_path / "planted").read_bytes() == b"planted"


def test_a_damaged_file_is_built_anew(home: Path) -> None:
    assert parses()
    (file,) = kept(home)
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2])
    assert parses()
    assert file.read_bytes()[:32] == sha256(file.name.encode() + file.read_bytes()[32:]).digest()


def test_what_is_kept_of_one_thing_is_not_taken_for_another(tmp_path: Path) -> None:
    write_private(tmp_path / "one", b"content")
    assert read_private(tmp_path / "one") == b"content"
    (tmp_path / "one").rename(tmp_path / "other")
    assert read_private(tmp_path / "other") is None


def test_a_place_that_cannot_be_made_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert parses()


def test_a_relative_cache_home_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    folder = cache_folder()
    assert folder is None or folder.is_absolute()


def test_the_grammar_is_found() -> None:
    assert "file:" in grammar_text()
