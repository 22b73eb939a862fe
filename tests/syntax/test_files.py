from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.syntax import read_source, write_text_atomically

as_user = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="permissions do not bind root")


@pytest.mark.parametrize("data", [b"mtl 1\r\n# \xc3\xa9\n", b"\xef\xbb\xbfmtl 1", b""])
def test_reading_and_writing_keep_every_byte(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.mtl"
    path.write_bytes(data)
    source = read_source(path)
    write_text_atomically(path, source.text, source.bom)
    assert path.read_bytes() == data


def test_the_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.mtl"
    path.write_bytes(b"\xef\xbb\xbfmtl 1\n")
    source = read_source(path)
    assert (source.text, source.bom, source.name) == ("mtl 1\n", True, str(path))


def test_bytes_that_are_not_utf_8_are_named_at_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.mtl"
    path.write_bytes("mtl 1\n# é ".encode() + b"\xe9\n")
    with pytest.raises(MtlError) as caught:
        read_source(path)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.place) == ("MTL005", (2, 5))
    assert "0xE9" in problem.cause


def test_utf_16_text_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.mtl"
    path.write_bytes("mtl 1".encode("utf-16"))
    with pytest.raises(MtlError, match="UTF-16"):
        read_source(path)


def test_a_missing_file_and_a_folder_are_errors_of_the_user(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mtl", tmp_path, "a\0b"):
        with pytest.raises(MtlError, match="MTL703"):
            read_source(path)


def test_writing_keeps_the_mode_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("old")
    path.chmod(0o640)
    write_text_atomically(path, "new\r\n")
    assert path.read_bytes() == b"new\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.mtl"]


def test_a_link_inside_the_folder_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("old")
    (tmp_path / "link.mtl").symlink_to("a.mtl")
    write_text_atomically(tmp_path / "link.mtl", "new")
    assert (tmp_path / "a.mtl").read_text() == "new"
    assert (tmp_path / "link.mtl").is_symlink()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "a.mtl").write_text("old")
    (inside / "link.mtl").symlink_to(tmp_path / "a.mtl")
    with pytest.raises(MtlError, match="MTL703"):
        write_text_atomically(inside / "link.mtl", "new")
    assert (tmp_path / "a.mtl").read_text() == "old"


def test_a_folder_that_is_not_there_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match="MTL703"):
        write_text_atomically(tmp_path / "none" / "a.mtl", "new")


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.mtl"
    target.mkdir()
    with pytest.raises(MtlError, match="MTL703"):
        write_text_atomically(target, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mtl"]


@as_user
def test_a_folder_without_permission_is_an_error_of_the_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MtlError, match="MTL703"):
        write_text_atomically(tmp_path / "a.mtl", "new")
    tmp_path.chmod(0o700)
