"""What a folder of pictures may be, where nobody has said it: which files are the images, which are labels of them.

Three layouts are known, each below folders of splits or without them: folders of classes, `cats/1.jpg`; files of labels
beside the images, `image/1.jpg` and `depth/1.png`; pictures without folders, of which a table says more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.counted import counted
from mtsldsl.division import CALLED_ELSEWHERE, SPLITS
from mtsldsl.folders.folder_table import joined
from mtsldsl.folders.picture_files import ENDINGS, opened
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_files import TABLES, read_table

Parts: TypeAlias = tuple[str, ...]

ARRAYS = ".npy"

_DEEPEST = 5
"""Folders within each other that are looked into."""

_CALLED_IMAGES = ("image", "images", "img", "imgs", "rgb", "photo", "photos", "picture", "pictures", "jpegimages")
"""Folders of images beside those of their labels, in small letters."""

_PLACES = ("kind", "folder", "level")
"""What folders whose names differ are called in a pattern, from the outermost."""


@attrs.frozen
class Layout:
    """The pattern of the images; whether a `{part}` of it says the split; by the names of folders the patterns of files
    of labels; the table and its column that names the images; and what is left out, in words."""

    images: str
    parts: bool
    labels: Mapping[str, str]
    table: str | None
    file: str | None
    left_out: Sequence[str]


def layout_of(folder: Path) -> Layout:
    """The layout of a folder. Raises MTL601 where it has no picture."""
    files = _files(folder, (), 0)
    pictures = [parts for parts in files if _ending(parts) in ENDINGS]
    if not pictures:
        cause = f"`{folder}` holds no picture of the endings {', '.join(ENDINGS)}"
        raise MtlError.of("MTL601", cause, "give the folder in which the images are")
    parts = all(len(each) > 1 and _is_split(each[0]) for each in pictures)
    inner = [(each[0] if parts else "", each[1:] if parts else each) for each in files]
    topics: dict[str, list[tuple[str, Parts]]] = {}
    for split, each in inner:
        if len(each) > 1 and _ending(each) in (*ENDINGS, ARRAYS):
            topics.setdefault(each[0], []).append((split, each[1:]))
    whose = _topic_of_images(folder, topics, parts)
    own = topics[whose] if whose is not None else [(split, each) for split, each in inner if _ending(each) in ENDINGS]
    before = ("{part}/" if parts else "") + (f"{whose}/" if whose is not None else "")
    depth = Counter(len(each) for _, each in own).most_common(1)[0][0]
    chosen = [each for _, each in own if len(each) == depth and _ending(each) in ENDINGS]
    images = [each for each in pictures if whose is None or each[1 if parts else 0] == whose]
    table, file, columns = _table(folder, files, images)
    free = [name for name in _PLACES if name not in columns]
    places = [*free, *(f"level{number}" for number in range(2, depth + 2))][: depth - 1]
    below = "".join(f"{{{place}}}/" for place in places)
    labels, left_out = {}, []
    for topic, found in topics.items() if whose is not None else ():
        if topic == whose:
            continue
        endings = {_ending(each) for _, each in found}
        if len(endings) > 1 or not _go_together(found, own) or any(len(each) != depth for _, each in found):
            left_out.append(f"the folder `{topic}`: its files do not go with one image each")
        else:
            labels[topic] = f"{before.removesuffix(f'{whose}/')}{topic}/{below}*{endings.pop()}"
    if len(chosen) < len(own):
        left_out.append(f"{counted(len(own) - len(chosen), 'picture')} in other depths of folders")
    names_split = parts and _has_test({each[0] for each in pictures})
    return Layout(f"{before}{below}*{_ending_of(chosen)}", names_split, labels, table, file, left_out)


def _files(folder: Path, before: Parts, depth: int) -> list[Parts]:
    found: list[Parts] = []
    for entry in sorted(folder.iterdir(), key=lambda path: path.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and depth < _DEEPEST:
            found += _files(entry, (*before, entry.name), depth + 1)
        elif entry.is_file():
            found.append((*before, entry.name))
    return found


def _ending(parts: Parts) -> str:
    return PurePosixPath(parts[-1]).suffix.lower()


def _is_split(name: str) -> bool:
    return name.lower() in (*SPLITS, *CALLED_ELSEWHERE)


def _has_test(names: set[str]) -> bool:
    said = {CALLED_ELSEWHERE.get(name.lower(), name.lower()) for name in names}
    return {"train", "test"} <= said


def _ending_of(pictures: Sequence[Parts]) -> str:
    """The ending that all have, or a place for several."""
    endings = {_ending(each) for each in pictures}
    return endings.pop() if len(endings) == 1 else ".{ending}"


def _topic_of_images(folder: Path, topics: Mapping[str, Sequence[tuple[str, Parts]]], parts: bool) -> str | None:
    """The folder of the images, where others hold labels of them; None where folders are classes, or there is none."""
    with_pictures = {
        topic: found for topic, found in topics.items() if any(_ending(each) in ENDINGS for _, each in found)
    }
    called = [topic for topic in with_pictures if topic.lower() in _CALLED_IMAGES]
    if len(called) == 1 and (len(topics) == 1 or any(_go_together(topics[called[0]], topics[each]) for each in topics)):
        return called[0]
    others = [topic for topic in topics if topic not in with_pictures]
    colours = [topic for topic, found in with_pictures.items() if _in_colours(folder, topic, found, parts)]
    if len(colours) == 1 and (len(with_pictures) > 1 or others):
        (topic,) = colours
        if any(_go_together(topics[topic], topics[each]) for each in topics if each != topic):
            return topic
    return None


def _in_colours(folder: Path, topic: str, found: Sequence[tuple[str, Parts]], parts: bool) -> bool:
    split, first = next((split, each) for split, each in found if _ending(each) in ENDINGS)
    path = folder.joinpath(*([split] if parts else []), topic, *first)
    try:
        with opened(path) as picture:
            return picture.format == "JPEG" or picture.mode in ("RGB", "RGBA")
    except MtlError:
        return False


def _go_together(one: Sequence[tuple[str, Parts]], other: Sequence[tuple[str, Parts]]) -> bool:
    """Whether most files of one folder have a file of the same name in the other."""
    first, second = (
        {(split, *each[:-1], PurePosixPath(each[-1]).stem) for split, each in files} for files in (one, other)
    )
    return 2 * len(first & second) >= min(len(first), len(second))


def _table(
    folder: Path, files: Sequence[Parts], images: Sequence[Parts]
) -> tuple[str | None, str | None, Sequence[str]]:
    """The first table in the folder with a column that names images, that column, and all of its columns."""
    paths = ["/".join(each) for each in images]
    for (name,) in (each for each in files if len(each) == 1 and _ending(each) in TABLES):
        try:
            table = read_table(folder / name)
        except MtlError:
            continue
        naming = max(table.columns, key=lambda column: _named_by(table, column, paths), default=None)
        if naming is not None and _named_by(table, naming, paths):
            return name, naming, tuple(table.columns)
    return None, None, ()


def _named_by(table: Table, column: str, paths: Sequence[str]) -> int:
    """How many images the cells of a column name."""
    try:
        return len(joined(table, column, paths)[0])
    except MtlError:
        return 0
