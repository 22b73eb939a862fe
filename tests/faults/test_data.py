"""Data with a fault in it, of every kind: no start leaves a run folder behind, and the report says which file, which part
of it, which task, and where the spec names it."""

from __future__ import annotations

import gzip
import io
import os
import re
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np
import pytest

from mtsldsl.datasets.registry import DATASETS
from tests import prepared
from tests.faults import data_kinds as kinds
from tests.runtime.data.matlab_files import write_matlab

# Faults ---------------------------------------------------------------------------------------------------------------


def cut(path: Path, part: float = 0.5) -> None:
    """A file of which the end is lost."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


def replaced(path: Path, make: Callable[[Path], Any]) -> None:
    """Something else in the place of a file."""
    path.unlink()
    make(path)


def _place_of_member(path: Path, member: str) -> tuple[int, int, int]:
    """Where its entry, its head and its bytes begin."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
        start = archive.start_dir
    content = path.read_bytes()
    entry = content.index(b"PK\1\2", start)
    while content[entry + 46 : entry + 46 + len(info.filename)] != info.filename.encode():
        entry = content.index(b"PK\1\2", entry + 1)
    name, more = struct.unpack("<HH", content[info.header_offset + 26 : info.header_offset + 30])
    return entry, info.header_offset, info.header_offset + 30 + name + more


def wrong_sum(path: Path, member: str) -> None:
    """The check sum of a member of an archive is another one."""
    entry, head, _ = _place_of_member(path, member)
    content = bytearray(path.read_bytes())
    content[entry + 16] ^= 1
    content[head + 14] ^= 1
    path.write_bytes(content)


def flipped(path: Path, member: str) -> None:
    """The first bytes of what a member holds are others."""
    *_, start = _place_of_member(path, member)
    content = bytearray(path.read_bytes())
    for place in range(start, start + 8):
        content[place] ^= 255
    path.write_bytes(content)


def encrypted(path: Path, member: str) -> None:
    """A member is said to be encrypted."""
    entry, head, _ = _place_of_member(path, member)
    content = bytearray(path.read_bytes())
    content[entry + 8] |= 1
    content[head + 6] |= 1
    path.write_bytes(content)


def packed_otherwise(path: Path, member: str) -> None:
    """A member is packed in a way that nobody knows."""
    entry, head, _ = _place_of_member(path, member)
    content = bytearray(path.read_bytes())
    content[entry + 10] = content[head + 8] = 77
    path.write_bytes(content)


def put(path: Path, member: str, content: bytes | None) -> None:
    """Something else in the place of a member of an archive, or nothing."""
    with zipfile.ZipFile(path) as archive:
        every = {name: archive.read(name) for name in archive.namelist()}
    every.pop(member)
    kinds.write_zip(path, every if content is None else {**every, member: content})


def asking_for(shape: tuple[int, ...], dtype: str = "<f4", order: bool = False) -> bytes:
    """An .npy file that says it has such an array, and ends there."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": order, "shape": shape})
    return content.getvalue() + bytes(100)


HUGE = asking_for((40, 4_799_000_000))
"""715 GiB."""


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A picture of few bytes that says it has so many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


DEEP = kinds.png(np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) * 50)
"""A picture of 16 bits."""
BROKEN = kinds.png(np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8))[:400]


def with_value(array: Any, place: Any, value: float) -> Any:
    """The same but for a number of it."""
    found = np.array(array, dtype=np.float32 if isinstance(value, float) else None)
    found[place] = value
    return found


ROWS = kinds.rows()
LONG = "x" * 300


def set_path(place: Path, old: str, new: str) -> None:
    """Another path in the spec."""
    text = (place / "job.mtl").read_text(encoding="utf-8")
    assert old in text
    (place / "job.mtl").write_text(text.replace(old, new), encoding="utf-8")


def unreadable(path: Path) -> None:
    """Nobody may read it, but who may do all."""
    path.chmod(0)


AT_DATA = "| data "
"""The line of the spec that names the data, as a report shows it."""

# The table ------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Fault:
    """How a fault comes into data, and what its report says."""

    inject: Callable[[Path], Any]
    says: tuple[str, ...]
    kind: str


FAULTS: dict[str, Fault] = {}


def _of(kind: str, make: Callable[[Path], Any], **faults: tuple[Callable[[Path, Path], Any], tuple[str, ...]]) -> None:
    """Faults of data that `make` makes; each is told the folder and what was made."""
    for name, (inject, says) in faults.items():
        called = f"{make.__name__}: {name.replace('_', ' ')}".replace("_", " ")
        assert called not in FAULTS
        FAULTS[called] = Fault(partial(_injected, make, inject), says, kind)


def _injected(make: Callable[[Path], Any], inject: Callable[[Path, Path], Any], place: Path) -> None:
    inject(place, make(place))


ARRAY, TARGET = ("`image` of `data.npz`", AT_DATA), ("the target of `kind`", "`kind` of `data.npz`", "| task kind {")

_of(
    "arrays",
    kinds.arrays,
    cut=(lambda _, path: cut(path), ("`data.npz`", AT_DATA)),
    empty=(lambda _, path: path.write_bytes(b""), ("`data.npz`", AT_DATA)),
    no_archive=(lambda _, path: path.write_bytes(b"\x93NUMPY"), ("`data.npz`", AT_DATA)),
    a_folder=(lambda _, path: replaced(path, Path.mkdir), ("`data.npz`", AT_DATA)),
    a_pipe=(lambda _, path: replaced(path, os.mkfifo), ("`data.npz`", AT_DATA)),
    gone=(lambda _, path: path.unlink(), ("`data.npz`", AT_DATA)),
    a_link_to_itself=(lambda _, path: replaced(path, lambda at: at.symlink_to(at.name)), ("`data.npz`", AT_DATA)),
    unreadable=(lambda _, path: unreadable(path), ("`data.npz`", "Permission denied", AT_DATA)),
    a_long_path=(lambda place, _: set_path(place, "data.npz", LONG), (LONG, AT_DATA)),
    a_wrong_sum_of_an_input=(lambda _, path: wrong_sum(path, "image.npy"), ARRAY),
    a_wrong_sum_of_a_target=(lambda _, path: wrong_sum(path, "kind.npy"), TARGET),
    flipped_bytes_of_an_input=(lambda _, path: flipped(path, "image.npy"), ARRAY),
    flipped_bytes_of_a_target=(lambda _, path: flipped(path, "kind.npy"), TARGET),
    an_encrypted_input=(lambda _, path: encrypted(path, "image.npy"), (*ARRAY, "encrypted")),
    an_encrypted_target=(lambda _, path: encrypted(path, "kind.npy"), (*TARGET, "encrypted")),
    an_input_packed_otherwise=(lambda _, path: packed_otherwise(path, "image.npy"), ARRAY),
    an_input_of_715_GiB=(lambda _, path: put(path, "image.npy", HUGE), (*ARRAY, "715")),
    a_target_of_715_GiB=(lambda _, path: put(path, "kind.npy", HUGE), (*TARGET, "715")),
    a_target_of_more_than_there_is=(lambda _, path: put(path, "kind.npy", asking_for((40, 1000))), TARGET),
    a_target_of_10_to_the_30=(lambda _, path: put(path, "kind.npy", asking_for((10**30,))), TARGET),
    a_target_of_a_negative_size=(lambda _, path: put(path, "kind.npy", asking_for((-5,))), TARGET),
    an_empty_input=(lambda _, path: put(path, "image.npy", b""), ARRAY),
    a_target_that_is_text=(lambda _, path: put(path, "kind.npy", b"no array"), TARGET),
    a_missing_input=(lambda _, path: put(path, "image.npy", None), ("`data.npz`", "`image`", AT_DATA)),
    a_missing_target=(lambda _, path: put(path, "kind.npy", None), ("`data.npz`", "`kind`", "| task kind {")),
    a_label_beyond_the_classes=(
        lambda place, _: kinds.arrays(place, kind=with_value(ROWS["kind"], 7, 3)),
        (*TARGET, "row 7", "label 3"),
    ),
    a_negative_label=(
        lambda place, _: kinds.arrays(place, kind=with_value(ROWS["kind"], 7, -2)),
        (*TARGET, "row 7", "label -2"),
    ),
    a_number_that_is_none=(
        lambda place, _: kinds.arrays(place, image=with_value(ROWS["image"], (7, 1, 2, 3), float("nan"))),
        (*ARRAY, "row 7", "nan"),
    ),
    an_infinite_number=(
        lambda place, _: kinds.arrays(place, image=with_value(ROWS["image"], (7, 1, 2, 3), float("inf"))),
        (*ARRAY, "row 7", "inf"),
    ),
    text_for_an_input=(lambda place, _: kinds.arrays(place, image=np.array(["x"] * 40)), ARRAY),
    text_for_a_target=(lambda place, _: kinds.arrays(place, kind=np.array(["x"] * 40)), TARGET),
    dates_for_a_target=(lambda place, _: kinds.arrays(place, kind=np.arange(40).astype("datetime64[D]")), TARGET),
    complex_numbers=(lambda place, _: kinds.arrays(place, kind=np.arange(40) * 1j), TARGET),
    records_for_a_target=(lambda place, _: kinds.arrays(place, kind=np.zeros(40, [("x", "i4")])), TARGET),
    objects_for_a_target=(lambda place, _: kinds.arrays(place, kind=np.array([[1], None] * 20, object)), TARGET),
    another_length=(lambda place, _: kinds.arrays(place, kind=np.arange(39) % 3), ("`data.npz`", "`kind` 39", AT_DATA)),
    no_samples=(
        lambda place, _: kinds.arrays(place, **{name: array[:0] for name, array in ROWS.items()}),
        (AT_DATA,),
    ),
    single_numbers=(lambda place, _: kinds.arrays(place, kind=np.array(1)), ("`data.npz`", "`kind` 0", AT_DATA)),
)  # fmt: skip

LABELS = ("the target of `kind`", "`kind` of `data`", "| task kind {")

_of(
    "arrays",
    kinds.npy_files,
    cut=(lambda _, folder: cut(folder / "kind.npy"), LABELS),
    empty=(lambda _, folder: (folder / "kind.npy").write_bytes(b""), LABELS),
    text=(lambda _, folder: (folder / "kind.npy").write_bytes(b"no array"), LABELS),
    a_folder=(lambda _, folder: replaced(folder / "kind.npy", Path.mkdir), ("`data`", "`kind`", "| task kind {")),
    a_pipe=(lambda _, folder: replaced(folder / "kind.npy", os.mkfifo), ("`data`", "`kind`", "| task kind {")),
    gone=(lambda _, folder: (folder / "kind.npy").unlink(), ("`data`", "`kind`", "| task kind {")),
    unreadable=(lambda _, folder: unreadable(folder / "kind.npy"), (*LABELS, "Permission denied")),
    an_unreadable_folder=(lambda _, folder: unreadable(folder), ("`data`", AT_DATA)),
    labels_of_715_GiB=(lambda _, folder: (folder / "kind.npy").write_bytes(HUGE), LABELS),
    labels_of_10_to_the_30=(lambda _, folder: (folder / "kind.npy").write_bytes(asking_for((10**30,))), LABELS),
    objects=(lambda _, folder: np.save(folder / "kind.npy", np.array([None] * 40), allow_pickle=True), LABELS),
    a_number_that_is_none=(
        lambda _, folder: np.save(folder / "image.npy", with_value(ROWS["image"], (7, 1, 2, 3), float("nan"))),
        ("`image` of `data`", "row 7", "nan", AT_DATA),
    ),
    a_label_beyond_the_classes=(
        lambda _, folder: np.save(folder / "kind.npy", with_value(ROWS["kind"], 7, 3)),
        (*LABELS, "row 7", "label 3"),
    ),
)

_of(
    "arrays",
    kinds.arrays_apart,
    a_wrong_sum=(
        lambda _, path: wrong_sum(path, "kind/target.npy"),
        ("the target of `kind`", "`kind/target` of `data.npz`", "| task kind {"),
    ),
    an_encrypted_member=(
        lambda _, path: encrypted(path, "light/image.npy"),
        ("`light/image` of `data.npz`", AT_DATA),
    ),
    labels_of_715_GiB=(
        lambda _, path: put(path, "kind/target.npy", HUGE),
        ("the target of `kind`", "`kind/target` of `data.npz`", "715", "| task kind {"),
    ),
    a_number_that_is_none=(
        lambda place, _: kinds.arrays_apart(place, light__image=with_value(ROWS["image"], (7, 1, 2, 3), float("nan"))),
        ("`light/image` of `data.npz`", "row 7", "nan", AT_DATA),
    ),
)


def line(number: int, text: str) -> Callable[[Path, Path], Any]:
    """Another line of the table."""

    def change(_: Path, path: Path) -> None:
        lines = list(kinds.LINES)
        lines[number - 1] = text
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return change


CELL = ("line 9", "`data.csv`", "job.mtl:")

_of(
    "table",
    kinds.table,
    empty=(lambda _, path: path.write_bytes(b""), ("`data.csv`", AT_DATA)),
    one_line=(lambda _, path: path.write_text(kinds.LINES[0]), ("`data.csv`", AT_DATA)),
    NULs=(lambda _, path: path.write_bytes(bytes(500)), ("`data.csv`", AT_DATA)),
    no_text=(lambda _, path: path.write_bytes(path.read_bytes() + b"\xff\xfe"), ("`data.csv`", "line 42", AT_DATA)),
    a_folder=(lambda _, path: replaced(path, Path.mkdir), ("`data.csv`", AT_DATA)),
    a_pipe=(lambda _, path: replaced(path, os.mkfifo), ("`data.csv`", AT_DATA)),
    unreadable=(lambda _, path: unreadable(path), ("`data.csv`", "Permission denied", AT_DATA)),
    a_long_path=(lambda place, _: set_path(place, "data.csv", LONG), (LONG, AT_DATA)),
    a_cell_too_few=(line(9, "1,2,a"), CELL),
    a_cell_too_many=(line(9, "1,2,a,3,4"), CELL),
    an_open_quote=(line(9, '1,2,"a,3'), CELL),
    a_long_cell=(line(9, f"1,2,{'a' * 200_000},3"), CELL),
    a_word_for_a_number=(line(9, "1,2,a,many"), (*CELL, "light", "| task light {")),
    an_infinite_label=(line(9, "1,2,a,inf"), (*CELL, "light", "| task light {")),
    a_large_label=(line(9, "1,2,a,1e60"), (*CELL, "light", "| task light {")),
    an_infinite_input=(line(9, "inf,2,a,1"), (*CELL, "size", AT_DATA)),
    a_large_input=(line(9, "1e60,2,a,1"), (*CELL, "size", AT_DATA)),
    a_class_too_many=(line(9, "1,2,d,1"), ("kind", "`data.csv`", "| task kind {")),
    a_column_that_is_missing=(line(1, "size,weight,sort,light"), ("kind", "`data.csv`", "| task kind {")),
    no_header=(line(1, ""), ("`data.csv`", "job.mtl:")),
)  # fmt: skip

_of(
    "table",
    kinds.parquet,
    cut=(lambda _, path: cut(path), ("`data.parquet`", AT_DATA)),
    empty=(lambda _, path: path.write_bytes(b""), ("`data.parquet`", AT_DATA)),
    flipped=(
        lambda _, path: path.write_bytes(path.read_bytes()[:4] + bytes(300) + path.read_bytes()[304:]),
        ("`data.parquet`", AT_DATA),
    ),
    unreadable=(lambda _, path: unreadable(path), ("`data.parquet`", AT_DATA)),
)

PICTURE, DEPTH, PARTS, FLOW = (f"`data/{name}/07.{ending}`" for name, ending in (("images", "png"), ("depth", "png"), ("parts", "png"), ("flow", "npy")))  # fmt: skip


def beside(name: str, content: bytes) -> Callable[[Path, Path], Any]:
    """Another file of the eighth image, or beside it."""
    return lambda _, folder: (folder / name).write_bytes(content)


_of(
    "folder",
    kinds.pictures,
    a_cut_image=(lambda _, folder: cut(folder / "images/07.png"), (PICTURE, AT_DATA)),
    an_empty_image=(beside("images/07.png", b""), (PICTURE, AT_DATA)),
    a_bomb=(beside("images/07.png", bomb()), (PICTURE, "3600000000 pixels", AT_DATA)),
    a_smaller_bomb=(beside("images/07.png", bomb(10_000, 10_000)), (PICTURE, AT_DATA)),
    a_bomb_to_resize=(
        lambda place, folder: _to_resize(place, folder),
        (PICTURE, AT_DATA),
    ),
    an_unreadable_image=(lambda _, folder: unreadable(folder / "images/07.png"), (PICTURE, "Permission denied", AT_DATA)),
    an_unreadable_folder=(lambda _, folder: unreadable(folder / "images"), ("data/images", "Permission denied", AT_DATA)),
    an_image_of_16_bits=(beside("images/07.png", kinds.png(np.zeros((8, 8), np.uint16))), (PICTURE, AT_DATA)),
    an_image_of_another_size=(beside("images/07.png", kinds.png(np.zeros((8, 9), np.uint8))), (PICTURE, "8 x 9", AT_DATA)),
    a_cut_depth=(lambda _, folder: cut(folder / "depth/07.png"), (DEPTH, "the target of `depth`", "| task depth {")),
    a_bomb_for_a_depth=(beside("depth/07.png", bomb()), (DEPTH, "the target of `depth`", "| task depth {")),
    a_depth_in_colours=(beside("depth/07.png", kinds.png(np.zeros((8, 8, 3), np.uint8))), (DEPTH, "the target of `depth`", "| task depth {")),
    an_unreadable_depth=(lambda _, folder: unreadable(folder / "depth/07.png"), (DEPTH, "Permission denied", "the target of `depth`", "| task depth {")),
    a_label_beyond_the_classes=(beside("parts/07.png", kinds.png(np.full((8, 8), 9, np.uint8))), (PARTS, "the target of `parts`", "label 9", "| task parts {")),
    labels_of_16_bits=(beside("parts/07.png", kinds.png(np.full((8, 8), 256, np.uint16))), (PARTS, "the target of `parts`", "label 256", "| task parts {")),
    a_cut_array=(lambda _, folder: cut(folder / "flow/07.npy"), (FLOW, "the target of `flow`", "| task flow {")),
    an_array_of_715_GiB=(beside("flow/07.npy", HUGE), (FLOW, "the target of `flow`", "715", "| task flow {")),
    an_array_that_is_an_archive=(lambda _, folder: kinds.write_zip(folder / "flow/07.npy", {"x.npy": kinds.npy(np.zeros(3))}), (FLOW, "the target of `flow`", "| task flow {")),
    an_array_of_text=(beside("flow/07.npy", kinds.npy(np.full((2, 8, 8), "x"))), (FLOW, "the target of `flow`", "| task flow {")),
    a_large_number=(beside("flow/07.npy", kinds.npy(np.full((2, 8, 8), 1e60))), (FLOW, "the target of `flow`", "1e+60", "| task flow {")),
    an_unreadable_array=(lambda _, folder: unreadable(folder / "flow/07.npy"), (FLOW, "Permission denied", "the target of `flow`", "| task flow {")),
    a_cut_table=(lambda _, folder: cut(folder / "rows.csv", 0.97), ("rows.csv", "job.mtl:")),
    an_unreadable_table=(lambda _, folder: unreadable(folder / "rows.csv"), ("rows.csv", "Permission denied", AT_DATA)),
    a_pipe_for_a_table=(lambda _, folder: replaced(folder / "rows.csv", os.mkfifo), ("rows.csv", AT_DATA)),
    a_folder_for_a_table=(lambda _, folder: replaced(folder / "rows.csv", Path.mkdir), ("rows.csv", AT_DATA)),
    a_long_path_of_a_table=(lambda place, _: set_path(place, "rows.csv", LONG), (LONG, AT_DATA)),
    a_long_pattern=(lambda place, _: set_path(place, "images/*.png", f"{LONG}/*.png"), (LONG, AT_DATA)),
    a_file_for_the_folder=(lambda place, _: set_path(place, '"data"', '"data/rows.csv"'), ("rows.csv", AT_DATA)),
    a_class_too_many=(lambda _, folder: (folder / "rows.csv").write_text((folder / "rows.csv").read_text().replace("07.png,b", "07.png,d")), ("kind", "image images/07.png", "| task kind {")),
)  # fmt: skip


def _to_resize(place: Path, folder: Path) -> None:
    (folder / "images/07.png").write_bytes(bomb(12_000, 12_000))
    set_path(place, "unit = 0.001", "unit = 0.001\n  resize = stretch")


def item(body: str) -> Callable[[Path, Path], Any]:
    """Another item 7 of a person's own Dataset."""
    return lambda place, _: kinds.own_code(place, f"if row == 7: {body}")


ITEM = ("sample 7", "own:samples", "job.mtl:")

_of(
    "python",
    kinds.own_code,
    an_error=(item("raise RuntimeError('no such file')"), (*ITEM, "no such file", AT_DATA)),
    a_file_that_is_gone=(item("open('gone')"), (*ITEM, "gone", AT_DATA)),
    no_memory=(item("raise MemoryError"), (*ITEM, "MemoryError", AT_DATA)),
    no_memory_for_an_array=(item("np.empty((10**7, 10**7))"), (*ITEM, "MemoryError", AT_DATA)),
    a_number_that_is_none=(item("item['image'] = np.full((3, 8, 8), np.nan, 'f4')"), (*ITEM, "nan", AT_DATA)),
    a_label_beyond_the_classes=(item("item['kind'] = 3"), (*ITEM, "label 3", "`kind`", "| task kind {")),
    a_large_number=(item("item['light'] = 1e60"), (*ITEM, "1e+60", "`light`", "| task light {")),
    another_shape=(item("item['image'] = np.zeros((3, 8, 9), 'u1')"), (*ITEM, "3 x 8 x 9", AT_DATA)),
    another_type=(item("item['image'] = np.zeros((3, 8, 8), 'f4')"), (*ITEM, AT_DATA)),
    text=(item("item['kind'] = 'x'"), (*ITEM, "`kind`", "| task kind {")),
    no_item=(item("return None"), (*ITEM, AT_DATA)),
    no_image=(item("del item['image']"), (*ITEM, "image", AT_DATA)),
    a_process_that_ends=(item("raise SystemExit(0)"), (*ITEM, AT_DATA)),
    a_missing_module=(lambda _, path: path.unlink(), ("own", AT_DATA)),
    an_unreadable_module=(lambda _, path: unreadable(path), ("Permission denied", AT_DATA)),
    a_folder_for_the_module=(lambda _, path: replaced(path, Path.mkdir), ("own", AT_DATA)),
    a_pipe_for_the_module=(lambda _, path: replaced(path, os.mkfifo), ("own", AT_DATA)),
)


def member(name: str, content: bytes | None) -> Callable[[Path, Path], Any]:
    """Another member of the archive, or none."""
    return lambda _, path: put(path, name, content)


IMAGE, DEEPER, LABEL = ((f"train/{name}", "of `data.zip`") for name in ("image/0003.jpg", "depth/0003.png", "label/0003.png"))  # fmt: skip
OF_DEPTH, OF_SEGMENT = ("the target of `depth`", "| task depth {"), ("the target of `segment`", "| task segment {")
FLAT = np.zeros((24, 32), np.uint8)

_of(
    "nyuv2",
    kinds.scene_archive,
    cut=(lambda _, path: cut(path), ("`data.zip`", AT_DATA)),
    empty=(lambda _, path: path.write_bytes(b""), ("`data.zip`", AT_DATA)),
    unreadable=(lambda _, path: unreadable(path), ("`data.zip`", "Permission denied", AT_DATA)),
    a_pipe=(lambda _, path: replaced(path, os.mkfifo), ("`data.zip`", AT_DATA)),
    a_wrong_sum_of_an_image=(lambda _, path: wrong_sum(path, "train/image/0003.jpg"), (*IMAGE, AT_DATA)),
    a_wrong_sum_of_a_depth=(lambda _, path: wrong_sum(path, "train/depth/0003.png"), (*DEEPER, *OF_DEPTH)),
    flipped_bytes=(lambda _, path: flipped(path, "train/depth/0003.png"), (*DEEPER, *OF_DEPTH)),
    an_encrypted_image=(lambda _, path: encrypted(path, "train/image/0003.jpg"), (*IMAGE, "encrypted", AT_DATA)),
    an_encrypted_depth=(lambda _, path: encrypted(path, "train/depth/0003.png"), (*DEEPER, "encrypted", *OF_DEPTH)),
    packed_otherwise=(lambda _, path: packed_otherwise(path, "train/depth/0003.png"), (*DEEPER, *OF_DEPTH)),
    a_cut_image=(member("train/image/0003.jpg", kinds.jpeg(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))[:900]), (*IMAGE, AT_DATA)),
    an_empty_image=(member("train/image/0003.jpg", b""), (*IMAGE, AT_DATA)),
    a_cut_depth=(member("train/depth/0003.png", BROKEN), (*DEEPER, *OF_DEPTH)),
    a_bomb_for_an_image=(member("train/image/0003.jpg", bomb()), (*IMAGE, AT_DATA)),
    a_bomb_for_a_depth=(member("train/depth/0003.png", bomb()), (*DEEPER, *OF_DEPTH)),
    a_smaller_bomb_for_a_depth=(member("train/depth/0003.png", bomb(10_000, 10_000)), (*DEEPER, *OF_DEPTH)),
    a_depth_of_16_bits=(member("train/depth/0003.png", DEEP), (*DEEPER, "16 bits", *OF_DEPTH)),
    a_depth_in_colours=(member("train/depth/0003.png", kinds.png(np.zeros((24, 32, 3), np.uint8))), (*DEEPER, *OF_DEPTH)),
    labels_of_16_bits=(member("train/label/0003.png", DEEP), (*LABEL, "16 bits", *OF_SEGMENT)),
    a_label_beyond_the_classes=(member("train/label/0003.png", kinds.png(FLAT + 77)), (*LABEL, "label 77", *OF_SEGMENT)),
    a_missing_depth=(member("train/depth/0003.png", None), (*DEEPER[:1], "`data.zip`", *OF_DEPTH)),
    a_missing_label=(member("train/label/0003.png", None), (*LABEL[:1], "`data.zip`", *OF_SEGMENT)),
    nothing=(lambda _, path: kinds.write_zip(path, {"x": b""}), ("`data.zip`", AT_DATA)),
)  # fmt: skip


def scene_array_archive(place: Path) -> Path:
    """NYUv2 as arrays, in an archive."""
    return kinds.scene_archive(place, arrays=True)


def scene_array(part: str, **changed: Any) -> Callable[[Path, Path], Any]:
    """Another array of a scene."""
    made = {"image": np.full((24, 32, 3), 0.5), "label": np.zeros((24, 32)), "depth": np.ones((24, 32, 1)), "normal": np.ones((24, 32, 3))}  # fmt: skip
    array = made[part]
    array[3, 4] = changed["value"]
    return member(f"train/{part}/3.npy", kinds.npy(array))


_of(
    "nyuv2",
    scene_array_archive,
    an_image_that_is_no_number=(scene_array("image", value=np.nan), ("train/image/3.npy of `data.zip`", "not finite", AT_DATA)),
    an_infinite_image=(scene_array("image", value=np.inf), ("train/image/3.npy of `data.zip`", "not finite", AT_DATA)),
    a_label_beyond_the_classes=(scene_array("label", value=77), ("train/label/3.npy of `data.zip`", "77", *OF_SEGMENT)),
    a_label_that_is_no_number=(scene_array("label", value=np.nan), ("train/label/3.npy of `data.zip`", *OF_SEGMENT)),
    an_encrypted_depth=(lambda _, path: encrypted(path, "train/depth/3.npy"), ("train/depth/3.npy of `data.zip`", "encrypted", *OF_DEPTH)),
    a_depth_of_715_GiB=(member("train/depth/3.npy", HUGE), ("train/depth/3.npy of `data.zip`", "715", *OF_DEPTH)),
    a_depth_of_10_to_the_30=(member("train/depth/3.npy", asking_for((10**30,))), ("train/depth/3.npy of `data.zip`", *OF_DEPTH)),
    a_depth_of_one_dimension=(member("train/depth/3.npy", kinds.npy(np.zeros(5))), ("train/depth/3.npy of `data.zip`", *OF_DEPTH)),
    an_image_of_one_channel=(member("train/image/3.npy", kinds.npy(np.zeros((24, 32)))), ("train/image/3.npy of `data.zip`", AT_DATA)),
    an_empty_image=(member("train/image/3.npy", kinds.npy(np.zeros((0, 0, 3)))), ("train/image/3.npy of `data.zip`", AT_DATA)),
    a_depth_of_text=(member("train/depth/3.npy", kinds.npy(np.full((24, 32), "x"))), ("train/depth/3.npy of `data.zip`", *OF_DEPTH)),
    a_large_depth=(scene_array("depth", value=1e60), ("train/depth/3.npy of `data.zip`", *OF_DEPTH)),
    normals_of_two_channels=(member("train/normal/3.npy", kinds.npy(np.zeros((24, 32, 2)))), ("train/normal/3.npy of `data.zip`", "the target of `normal`")),
    a_large_normal=(scene_array("normal", value=1e60), ("train/normal/3.npy of `data.zip`", "the target of `normal`")),
)  # fmt: skip

_of(
    "nyuv2",
    kinds.scene_folder,
    unreadable=(lambda _, folder: unreadable(folder / "train/depth/0003.png"), ("train/depth/0003.png", "`data`", "Permission denied", *OF_DEPTH)),
    a_folder=(lambda _, folder: replaced(folder / "train/depth/0003.png", Path.mkdir), ("train/depth/0003.png", "`data`", *OF_DEPTH)),
    a_pipe=(lambda _, folder: replaced(folder / "train/depth/0003.png", os.mkfifo), ("train/depth/0003.png", "`data`", *OF_DEPTH)),
    an_empty_depth=(beside("train/depth/0003.png", b""), ("train/depth/0003.png", "`data`", *OF_DEPTH)),
    no_test=(lambda _, folder: (folder / "val").rename(folder / "other"), (AT_DATA,)),
    a_long_path=(lambda place, _: set_path(place, '"data"', f'"{LONG}"'), (LONG, AT_DATA)),
)  # fmt: skip

_of(
    "nyuv2",
    kinds.official_scenes,
    cut=(lambda _, folder: cut(folder / "nyu_depth_v2_labeled.mat"), ("nyu_depth_v2_labeled.mat", AT_DATA)),
    flipped=(
        lambda _, folder: _overwritten(folder / "nyu_depth_v2_labeled.mat"),
        ("image 4 of `depths`", "nyu_depth_v2_labeled.mat", *OF_DEPTH),
    ),
    unreadable=(
        lambda _, folder: unreadable(folder / "nyu_depth_v2_labeled.mat"),
        ("nyu_depth_v2_labeled.mat", "Permission denied", AT_DATA),
    ),
    a_cut_split=(lambda _, folder: cut(folder / "splits.mat"), ("splits.mat", AT_DATA)),
    an_unreadable_split=(
        lambda _, folder: unreadable(folder / "splits.mat"),
        ("splits.mat", "Permission denied", AT_DATA),
    ),
    a_cut_mapping=(lambda _, folder: cut(folder / "classMapping40.mat"), ("classMapping40.mat", *OF_SEGMENT)),
    a_mapping_beyond_the_classes=(
        lambda _, folder: write_matlab(folder / "classMapping40.mat", mapClass=np.array([[1, 2, 400, 5, 25]])),
        ("classMapping40.mat", *OF_SEGMENT),
    ),
    a_mapping_of_nan=(
        lambda _, folder: write_matlab(folder / "classMapping40.mat", mapClass=np.array([[1, np.nan]])),
        ("classMapping40.mat", *OF_SEGMENT),
    ),
    a_split_of_nan=(
        lambda _, folder: write_matlab(
            folder / "splits.mat", trainNdxs=np.array([[1, np.nan]]), testNdxs=np.array([[3]])
        ),
        ("splits.mat", AT_DATA),
    ),
    a_split_of_0=(
        lambda _, folder: write_matlab(
            folder / "splits.mat", trainNdxs=np.array([[0, 1, 2, 4, 5, 6]]), testNdxs=np.array([[3]])
        ),
        ("splits.mat", AT_DATA),
    ),
    other_arrays=(
        lambda _, folder: _other_arrays(folder / "nyu_depth_v2_labeled.mat"),
        ("nyu_depth_v2_labeled.mat", "job.mtl:"),
    ),
    a_group_for_an_array=(
        lambda _, folder: _group_for_an_array(folder / "nyu_depth_v2_labeled.mat"),
        ("nyu_depth_v2_labeled.mat", "job.mtl:"),
    ),
)


def _overwritten(path: Path) -> None:
    with h5py.File(path) as file:
        place = file["depths"].id.get_chunk_info(3).byte_offset
    content = bytearray(path.read_bytes())
    content[place : place + 100] = bytes(100)
    path.write_bytes(content)


def _other_arrays(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["depths"]
        file["depths"] = np.zeros((8, 4), np.float32)


def _group_for_an_array(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["depths"]
        file.create_group("depths")


DRAWING = "character03/05.png"
OF_READING = ("the target of `read`", "| task read {")

_of(
    "omniglot",
    kinds.characters,
    cut=(lambda _, folder: cut(folder / DRAWING), (DRAWING, "job.mtl:")),
    empty=(lambda _, folder: (folder / DRAWING).write_bytes(b""), (DRAWING, "job.mtl:")),
    a_bomb=(lambda _, folder: (folder / DRAWING).write_bytes(bomb()), (DRAWING, "job.mtl:")),
    a_smaller_bomb=(lambda _, folder: (folder / DRAWING).write_bytes(bomb(10_000, 10_000)), (DRAWING, "job.mtl:")),
    of_16_bits=(lambda _, folder: (folder / DRAWING).write_bytes(kinds.png(np.zeros((28, 28), np.uint16))), (DRAWING, "16 bits", "job.mtl:")),
    a_folder=(lambda _, folder: replaced(folder / DRAWING, Path.mkdir), (DRAWING, "job.mtl:")),
    a_pipe=(lambda _, folder: replaced(folder / DRAWING, os.mkfifo), (DRAWING, "job.mtl:")),
    gone=(lambda _, folder: (folder / DRAWING).unlink(), ("`data`", "279 drawings", "job.mtl:")),
    unreadable=(lambda _, folder: unreadable(folder / DRAWING), (DRAWING, "Permission denied", "job.mtl:")),
    another_size=(lambda _, folder: (folder / DRAWING).write_bytes(kinds.png(np.zeros((28, 29), np.uint8))), ("differ in size", "job.mtl:")),
)  # fmt: skip

PACKED = ("`images` of `data/omniglot_28.npz`", AT_DATA)

_of(
    "omniglot",
    kinds.packed_characters,
    cut=(lambda _, path: cut(path), ("`data/omniglot_28.npz`", AT_DATA)),
    empty=(lambda _, path: path.write_bytes(b""), ("`data/omniglot_28.npz`", AT_DATA)),
    unreadable=(lambda _, path: unreadable(path), ("`data/omniglot_28.npz`", "Permission denied", AT_DATA)),
    a_folder=(lambda _, path: replaced(path, Path.mkdir), ("data/omniglot_28.npz`", AT_DATA)),
    a_pipe=(lambda _, path: replaced(path, os.mkfifo), ("data/omniglot_28.npz`", AT_DATA)),
    a_wrong_sum=(lambda _, path: wrong_sum(path, "images.npy"), PACKED),
    an_encrypted_member=(lambda _, path: encrypted(path, "images.npy"), (*PACKED, "encrypted")),
    images_of_715_GiB=(member("images.npy", HUGE), (*PACKED, "715")),
    a_missing_member=(member("drawer.npy", None), ("`drawer`", "`data/omniglot_28.npz`", AT_DATA)),
    a_negative_character=(
        member("character.npy", kinds.npy(np.arange(280) // 20 - 1)),
        ("data/omniglot_28.npz", "job.mtl:"),
    ),
    a_character_that_is_no_number=(
        member("character.npy", kinds.npy(np.full(280, np.nan))),
        ("data/omniglot_28.npz", "job.mtl:"),
    ),
    a_huge_character=(
        member("character.npy", kinds.npy(np.full(280, 2**40))),
        ("data/omniglot_28.npz", "job.mtl:"),
    ),
)

_of(
    "mnist",
    kinds.digits,
    cut=(lambda _, path: cut(path), ("`data.npz`", AT_DATA)),
    empty=(lambda _, path: path.write_bytes(b""), ("`data.npz`", AT_DATA)),
    unreadable=(lambda _, path: unreadable(path), ("`data.npz`", "Permission denied", AT_DATA)),
    a_pipe=(lambda _, path: replaced(path, os.mkfifo), ("`data.npz`", AT_DATA)),
    a_long_path=(lambda place, _: set_path(place, "data.npz", LONG), (LONG, AT_DATA)),
    a_wrong_sum=(lambda _, path: wrong_sum(path, "y_train.npy"), ("`y_train` of `data.npz`", AT_DATA)),
    an_encrypted_member=(lambda _, path: encrypted(path, "y_train.npy"), ("`y_train` of `data.npz`", "encrypted", AT_DATA)),
    images_of_715_GiB=(member("x_train.npy", HUGE), ("`x_train` of `data.npz`", "715", AT_DATA)),
    a_missing_member=(member("x_test.npy", None), ("`x_test`", "`data.npz`", AT_DATA)),
    a_label_beyond_the_classes=(lambda place, _: kinds.digits(place, y_train=np.arange(40) % 11), ("`y_train` of `data.npz`", "row 10", "label 10", AT_DATA)),
    labels_that_are_no_numbers=(lambda place, _: kinds.digits(place, y_train=np.full(40, np.nan)), ("`y_train` of `data.npz`", AT_DATA)),
    images_of_floats=(lambda place, _: kinds.digits(place, x_train=np.zeros((40, 28, 28))), ("`x_train` of `data.npz`", "float64", AT_DATA)),
)  # fmt: skip

PUBLISHED = "train-images-idx3-ubyte.gz"

_of(
    "mnist",
    kinds.published_digits,
    cut=(lambda _, folder: cut(folder / PUBLISHED), (PUBLISHED, AT_DATA)),
    empty=(lambda _, folder: (folder / PUBLISHED).write_bytes(b""), (PUBLISHED, AT_DATA)),
    not_packed=(lambda _, folder: (folder / PUBLISHED).write_bytes(b"x" * 500), (PUBLISHED, AT_DATA)),
    a_wrong_sum=(lambda _, folder: _last_byte_flipped(folder / PUBLISHED), (PUBLISHED, AT_DATA)),
    unreadable=(lambda _, folder: unreadable(folder / PUBLISHED), (PUBLISHED, "Permission denied", AT_DATA)),
    a_folder=(lambda _, folder: replaced(folder / PUBLISHED, Path.mkdir), ("`data`", AT_DATA)),
    a_pipe=(lambda _, folder: replaced(folder / PUBLISHED, os.mkfifo), ("`data`", AT_DATA)),
    gone=(lambda _, folder: (folder / PUBLISHED).unlink(), ("`data`", AT_DATA)),
    images_of_715_GiB=(lambda _, folder: _asking_for_much(folder / PUBLISHED), (PUBLISHED, AT_DATA)),
    a_label_beyond_the_classes=(lambda _, folder: _label_beyond(folder / "train-labels-idx1-ubyte.gz"), ("train-labels-idx1-ubyte.gz", "row 7", "label 77", AT_DATA)),
)  # fmt: skip


def _last_byte_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # of the check sum, behind which is the size
    path.write_bytes(content)


def _asking_for_much(path: Path) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in (979_000_000, 28, 28))
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + sizes + bytes(1000)))


def _label_beyond(path: Path) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[8 + 7] = 77
    path.write_bytes(gzip.compress(bytes(content)))


def garments(place: Path) -> Path:
    """Fashion-MNIST."""
    return kinds.digits(place, "fashion_mnist")


def pairs_of_garments(place: Path) -> Path:
    """Pairs of these."""
    return kinds.pairs_of_digits(place, "multifashion")


for name, make in {
    "fashion_mnist": garments,
    "multimnist": kinds.pairs_of_digits,
    "multifashion": pairs_of_garments,
}.items():
    _of(
        name,
        make,
        cut=(lambda _, path: cut(path), ("`data.npz`", AT_DATA)),
        a_wrong_sum=(lambda _, path: wrong_sum(path, "x_test.npy"), ("`x_test` of `data.npz`", AT_DATA)),
        an_encrypted_member=(lambda _, path: encrypted(path, "x_test.npy"), ("`x_test` of `data.npz`", "encrypted", AT_DATA)),
        images_of_715_GiB=(member("x_test.npy", HUGE), ("`x_test` of `data.npz`", "715", AT_DATA)),
        unreadable=(lambda _, path: unreadable(path), ("`data.npz`", "Permission denied", AT_DATA)),
    )  # fmt: skip


def array_parts(place: Path) -> Path:
    """Arrays of which one says the splits."""
    path = kinds.arrays(place, part=np.array(["train"] * 30 + ["test"] * 10))
    set_path(place, '"data.npz"', '"data.npz"\n  split = "part"')
    return path


PART = ("`part` of `data.npz`", AT_DATA)

_of(
    "arrays",
    array_parts,
    a_wrong_sum=(lambda _, path: wrong_sum(path, "part.npy"), PART),
    an_encrypted_member=(lambda _, path: encrypted(path, "part.npy"), (*PART, "encrypted")),
    words_of_715_GiB=(member("part.npy", HUGE), (*PART, "715")),
    no_array=(member("part.npy", b"no array"), PART),
)

RENDERED = ("scenes", "planted")
"""The kinds that read nothing."""

# The tests ------------------------------------------------------------------------------------------------------------

COMMAND = """\
import encodings.utf_8_sig, os, signal, sys
from PIL import Image
from mtsldsl.cli import main

Image.init()

sys.dont_write_bytecode = True
signal.alarm(100)
NOBODY or os.geteuid() or os.seteuid(65534)
main(sys.argv[1:], prog_name="mtsldsl")
"""
"""`mtsldsl`, which ends where it waits for what never comes; of somebody who may not read all, or of who runs this."""


def done(place: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder."""
    command = COMMAND.replace("NOBODY", str("unreadable" not in name), 1)
    return prepared.run("-c", command, *words, "--no-cache", cwd=place)


def test_every_kind_has_its_faults() -> None:
    assert {fault.kind for fault in FAULTS.values()} | set(RENDERED) == set(DATASETS)


SOME = 4
"""One in so many is tried in every test run, all in `make soak`."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.soak) if place % SOME else name for place, name in enumerate(FAULTS)]
)
def test_a_fault_is_a_report_of_its_place_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    place = tmp_path / "job"
    place.mkdir()
    fault.inject(place)
    place.chmod(0o777)
    before = sorted(place.iterdir())
    for words in (("train", "job.mtl", "--quiet", "--device", "cpu"), ("data", "job.mtl")):
        found = done(place, name, *words)
        assert "Traceback" not in found.stderr, found.stderr
        assert found.returncode == 1, (found.stderr, found.stdout)
        assert re.search(r"^job\.mtl:[0-9]+:[0-9]+: error MTL[68]", found.stderr, re.MULTILINE), found.stderr
        assert [part for part in fault.says if part not in found.stderr] == [], found.stderr
        assert "Warning" not in found.stderr, found.stderr
        after = [path for path in place.iterdir() if path.name not in ("__pycache__", "runs")]
        assert sorted(after) == [path for path in before if path.name != "__pycache__"]
        assert not list(place.glob("runs/*/*"))
