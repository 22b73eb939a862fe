"""The images of a folder as the rows of a table: what their paths say of them, and what a file of rows says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.diagnostics.counted import counted
from mtsldsl.division import CALLED_ELSEWHERE
from mtsldsl.folders.file_patterns import Matched, Pattern
from mtsldsl.folders.picture_files import ENDINGS
from mtsldsl.records import Record
from mtsldsl.tables.table_cells import Table, is_missing
from mtsldsl.tables.table_files import read_table


@attrs.frozen(eq=False, repr=False)
class FolderTable(Record):
    """The images in order, with a row each: the named parts of its path and the columns of the file of rows, in which
    an image without a row has empty cells."""

    pattern: Pattern
    images: tuple[Matched, ...]
    table: Table
    remarks: tuple[str, ...]
    rows: int = 0
    """How many rows the file has."""
    astray: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    """What is wrong with broken rows that name no image, by their places."""


def folder_table(
    folder: Path, images: str, rows: str | None, file: str | None, split: str | None, *, skip: bool = False
) -> FolderTable:
    """What a folder holds by the pattern `images`, joined with the file `rows`, whose column `file` (None: the first)
    names an image by its path, with or without the ending, or by the last name of that.

    The cells of the part `split` may be what other tools call the splits. With `skip` a row that has too few or too
    many cells breaks that of the image which it names. Raises MtlError: MTL604 for a pattern that is none, MTL601 where
    no picture matches or the file is not there, MTL602 for one that is none, MTL603 for a column that it lacks, MTL605
    for rows and parts that do not go with one image each.
    """
    pattern = Pattern.of(images, "images")
    if not folder.is_dir():
        raise MtlError.of("MTL602", f"`{folder}` is no folder", "name the folder in which the images are")
    every = pattern.files(folder)
    found = tuple(each for each in every if PurePosixPath(each.path).suffix.lower() in ENDINGS)
    if not found:
        others = f": the files that do are {named([each.path for each in every])}" if every else ""
        cause = f"no picture of `{folder}` of the endings {', '.join(ENDINGS)} matches `{images}`{others}"
        raise MtlError.of("MTL601", cause, "set `path` and `images` to where they are")
    columns: dict[str, Sequence[str]] = {part: [each.parts[part] for each in found] for part in pattern.names}
    for part, cells in columns.items():
        _require_told(folder, part, cells)
    if split in columns:
        columns[split] = [CALLED_ELSEWHERE.get(cell.lower(), cell) for cell in columns[split]]
    paths = [each.path for each in found]
    if rows is None:
        return FolderTable(pattern, found, Table(folder, columns, paths, "image"), ())
    read = _rows_of(folder, rows, skip)
    twice = next((column for column in read.columns if column in columns), None)
    if twice is not None:
        cause = f"`{twice}` is a part of `images` and a column of `{read.path}`"
        raise MtlError.of("MTL605", cause, "give the part of `images` another name")
    naming = next(iter(read.columns)) if file is None else file
    of_image, strangers = joined(read, naming, paths)
    broken = {image: read.broken[row] for image, row in of_image.items() if row in read.broken}
    of_none = sorted(read.broken.keys() - of_image.values())
    astray = {read.place(row): read.broken[row] for row in of_none}
    for column, cells in read.emptied(read.broken).columns.items():
        columns[column] = ["" if row is None else cells[row] for row in map(of_image.get, range(len(paths)))]
    table = Table(folder, columns, paths, "image", read.repeated, broken)
    remarks = tuple(_remarks(read, naming, paths, of_image, strangers))
    return FolderTable(pattern, found, table, remarks, len(read), astray)


def _require_told(folder: Path, part: str, cells: Sequence[str]) -> None:
    """A folder called `NA` is a name, and would be read as a missing label."""
    wrong = next(filter(is_missing, cells), None)
    if wrong is not None:
        cause = f"`{wrong}`, the part `{part}` of paths of `{folder}`, reads as a missing cell"
        raise MtlError.of("MTL605", cause, "rename it; for images without a label give a file of rows, as `table`")


def _rows_of(folder: Path, rows: str, skip: bool) -> Table:
    path = folder / rows
    if not path.exists():
        raise MtlError.of("MTL601", f"the table `{path}` is not there", "set `table` to where it is, from the folder")
    return read_table(path, skip=skip)


def joined(table: Table, column: str, paths: Sequence[str]) -> tuple[dict[int, int], list[str]]:
    """The row of each image that has one, and the cells that name no image. Raises MTL605 where a row may mean several
    images, where an image has several rows, and where no row names one; a broken row is of the image that it names
    where no other row is, and of none else."""
    ways = [_called(paths, way) for way in (str, _without_ending, _last, lambda path: _without_ending(_last(path)))]
    found: dict[int, int] = {}
    strangers = []
    cells = table.cells(column)
    for row in sorted(range(len(table)), key=lambda row: row in table.broken):
        cell = cells[row]
        plain = cell.replace("\\", "/").removeprefix("./")
        meant: Sequence[int] = next((way[plain] for way in ways if plain in way), ())
        place = f"{table.place(row)} of `{table.path}`"
        if row in table.broken and (len(meant) != 1 or meant[0] in found):
            continue
        if len(meant) > 1:
            cause = f"{place} names `{cell}`, which may be {named([paths[image] for image in meant])}"
            raise MtlError.of("MTL605", cause, f"write paths from the folder into the column `{column}`")
        if not meant:
            strangers.append(cell)
        elif meant[0] in found:
            cause = f"{place} is of the image `{paths[meant[0]]}`, as {table.place(found[meant[0]])} is"
            raise MtlError.of("MTL605", cause, "give each image one row")
        else:
            found[meant[0]] = row
    if not found:
        cause = f"no cell of the column `{column}` of `{table.path}` names an image: {named(strangers)}"
        remedy = (
            f"write paths or names of images into it, such as `{paths[0]}`, or let `file` say which column has them"
        )
        raise MtlError.of("MTL605", cause, remedy)
    return found, strangers


def _called(paths: Sequence[str], way: Callable[[str], str]) -> Mapping[str, Sequence[int]]:
    """The images by what they are called."""
    found: dict[str, list[int]] = {}
    for image, path in enumerate(paths):
        found.setdefault(way(path), []).append(image)
    return found


def _without_ending(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def _last(path: str) -> str:
    return PurePosixPath(path).name


def _remarks(
    table: Table, column: str, paths: Sequence[str], of_image: Mapping[int, int], strangers: Sequence[str]
) -> Iterator[str]:
    without = [path for image, path in enumerate(paths) if image not in of_image]
    if without:
        some = f"{len(without)} of {counted(len(paths), 'image')} {'has' if len(without) == 1 else 'have'}"
        yield f"{some} no row in `{table.path}`: {named(without)}"
    if strangers:
        verb = "names" if len(strangers) == 1 else "name"
        many = f"{len(strangers)} of {counted(len(table), 'row')} of `{table.path}` {verb}"
        yield f"{many} in the column `{column}` no image that is there: {named(strangers)}"


def beside(images: Pattern, found: Sequence[Matched], folder: Path, labels: Pattern) -> tuple[list[str | None], int]:
    """The path of the file that goes with each image, None where there is none, and how many files go with no image.

    They go together where what stands for `*` is the same, and for each name that both patterns have. Raises MTL603
    where no file matches, MTL604 where the patterns cannot be compared, MTL605 where several would go together.
    """
    if labels.stars != images.stars:
        cause = f'`"{labels.text}"` has {labels.stars} `*`, where `images = "{images.text}"` has {images.stars}'
        raise MtlError.of("MTL604", cause, "write `{name}` in place of a `*` that one of them lacks")
    shared = [name for name in labels.names if name in images.names]
    matching = labels.files(folder)
    if not matching:
        cause = f'no file of `{folder}` matches `"{labels.text}"`'
        raise MtlError.of("MTL603", cause, "set `field` to where the files are, or to a column")
    by_key = _one_each(matching, shared, f'match `"{labels.text}"` alike')
    keys = _one_each(found, shared, f'would both go with the file that `"{labels.text}"` says')
    paths = [by_key[key].path if key in by_key else None for key in keys]
    if not any(paths):
        cause = f'no file that matches `"{labels.text}"` goes with an image: {named([each.path for each in matching])}'
        remedy = f"what stands for `*` must be the same as in the path of an image, such as `{found[0].path}`"
        raise MtlError.of("MTL605", cause, remedy)
    return paths, len(by_key.keys() - keys.keys())


def with_labels(folder: Path, paths: Sequence[str | None]) -> list[str | None]:
    """The paths, but None for files of 0 bytes: such a file is a label that is missing."""
    return [path if path is not None and (folder / path).stat().st_size else None for path in paths]


def _one_each(files: Sequence[Matched], shared: Sequence[str], verb: str) -> dict[tuple[str, ...], Matched]:
    found: dict[tuple[str, ...], Matched] = {}
    for each in files:
        key = (*each.stars, *(each.parts[name] for name in shared))
        if key in found:
            cause = f"`{found[key].path}` and `{each.path}` {verb}"
            raise MtlError.of("MTL605", cause, "write the same `{name}` into both patterns where their paths differ")
        found[key] = each
    return found
