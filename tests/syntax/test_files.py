from __future__ import annotations

from pathlib import Path

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.syntax import read_source, write_text_atomically


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
