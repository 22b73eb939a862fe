"""`mtsldsl new`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from mtsldsl.cli.output import say

KINDS = ("scenes", "images", "table", "allocation", "ladder")
"""What a new spec may start from; each has its text in `starters/`."""


def _checked(given: str, data: Path | None) -> Path:
    """The path of the spec, which may be called as the folder of its data; the name of its file is one that Python can
    import the generated code by."""
    from keyword import iskeyword

    path = Path(given)
    of_data = data is not None and path.suffix != ".mtl" and path.resolve() == data.resolve()
    if given.endswith("/") or (path.is_dir() and not of_data):
        raise _no_name(f"{given!r} is a folder: name the spec too, such as {path / 'first'}")
    path = path.with_suffix("") if path.suffix == ".mtl" else path
    if not given.isprintable() or any(character in given for character in '"\\'):
        raise _no_name(f"{given!r} holds a quote, a backslash or a character that cannot be printed")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", path.name) or iskeyword(path.name):
        raise _no_name(
            f"{path.name!r} is no name for a spec: take letters, digits and `_`, a letter first, and no word of Python"
        )
    return path.with_name(f"{path.name}.mtl")


def _no_name(why: str) -> click.BadParameter:
    return click.BadParameter(why, param_hint="'NAME'")


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--from", "kind", type=click.Choice(KINDS), required=True, help="What the spec starts from.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="With --from table: your own, CSV or Parquet. With --from images: your folder of pictures.",
)
@click.option(
    "--target", "targets", multiple=True, metavar="COLUMN", help="Learn this column of it; several times for several."
)
@click.option(
    "--exclude", "excluded", multiple=True, metavar="COLUMN", help="Leave this column of it out of the input."
)
def command(name: str, kind: str, data: Path | None, targets: tuple[str, ...], excluded: tuple[str, ...]) -> None:
    """Write a commented spec that trains as it is.

    It is NAME.mtl, for tasks on rendered scenes, on your own images or on the rows of a table; with `allocation`, for
    tasks on such rows that each learn what of the network they use, with `ladder`, for tasks on such rows of which one
    run finds a network at each of some sizes. Beside all but the first comes NAME.npz, a small example to be replaced.
    NAME may lie in a folder. No file is overwritten.

    With --data the spec is for that table or folder, and comments say what was found in it. The tasks of a table learn
    the columns given as --target from all others that can be an input. Those of a folder learn all that it has labels
    of, or what is given as --target: columns of a table in it, the names of folders of classes, folders of labels."""
    import shlex

    path = _checked(name, data)
    if data is not None and kind not in ("table", "images"):
        raise click.UsageError("--data is for --from table and --from images")
    if data is None and (targets or excluded):
        raise click.UsageError("--target and --exclude name columns of a table: give its file with --data")
    if data is not None:
        if kind == "table":
            from mtsldsl.cli.table_starter import spec_of_table as spec_of
        else:
            from mtsldsl.cli.image_starter import spec_of_folder as spec_of
        files = {path: spec_of(path, data, targets, excluded).encode("utf-8")}
    else:
        files = {path: _text(path, kind).encode("utf-8")}
        examples = {"images": _images, "table": _table, "allocation": _two_groups, "ladder": _two_groups}
        if kind in examples:
            files[path.with_suffix(".npz")] = _packed(examples[kind]())
    _write(files)
    for written in files:
        say(f"wrote {written}")
    say(f"train it with: {shlex.join(['mtsldsl', 'train', str(path)])}")


def _text(path: Path, kind: str) -> str:
    """The starter, with the name in the place of NAME and its last part in that of STEM."""
    from importlib.resources import files

    starter = (files("mtsldsl.cli") / "starters" / f"{kind}.mtl").read_text(encoding="utf-8")
    names = {"NAME": path.with_suffix("").as_posix(), "STEM": path.stem}
    return re.sub(r"\b(?:NAME|STEM)\b", lambda match: names[match[0]], starter)


def _write(files: dict[Path, bytes]) -> None:
    """Write all files, or none where one is there already or cannot be written."""
    from mtsldsl.cli.spec_output import is_there
    from mtsldsl.diagnostics import MtlError

    written = []
    try:
        taken = [path for path in files if path.exists() or path.is_symlink()]
        if taken:
            raise MtlError(map(is_there, taken))
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                written.append(path)
                file.write(content)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        cause = f"{error.filename or next(iter(files))} cannot be written: {error.strerror}"
        raise MtlError.of("MTL703", cause, "check the folder, its permissions and the space on the disk") from None


def _packed(arrays: dict[str, Any]) -> bytes:
    from io import BytesIO

    import numpy as np

    stream = BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _images(count: int = 96, side: int = 32) -> dict[str, Any]:
    """Images (n, 3, side, side) with a square or a disc on noise: `mask` (n, side, side), `shape` (n),
    and `area` (n, 1), the part of the pixels that it covers."""
    import numpy as np

    random = np.random.default_rng(0)
    shape = random.integers(0, 2, count)
    radius = random.uniform(4, 10, count)
    row, column = random.uniform(10, side - 10, (2, count, 1, 1))
    rows, columns = np.abs(np.arange(side)[:, None] - row), np.abs(np.arange(side) - column)
    square, disc = np.maximum(rows, columns), np.hypot(rows, columns)
    mask = np.where(shape[:, None, None] == 0, square, disc) <= radius[:, None, None]
    colour = random.uniform(110, 250, (count, 3, 1, 1))
    image = np.where(mask[:, None], colour, random.uniform(0, 100, (count, 3, 1, 1)))
    image += random.integers(-5, 6, image.shape)
    return {
        "image": image.clip(0, 255).astype(np.uint8),
        "mask": mask.astype(np.uint8),
        "shape": shape,
        "area": mask.mean((1, 2), dtype=np.float32)[:, None],
    }


def _table(count: int = 240, columns: int = 12) -> dict[str, Any]:
    """The rows of `_rows`, and of each `kind` (n), `amount` (n, 1) and `risk` (n, 1)."""
    import numpy as np

    row, first, second, noise = _rows(count, columns)
    return {
        "row": row,
        "kind": np.digitize(first, [-0.4, 0.4]),
        "amount": (first + np.abs(second) + noise)[:, None].astype(np.float32),
        "risk": (second + noise > 0.5)[:, None].astype(np.uint8),
    }


def _two_groups(count: int = 320, columns: int = 12) -> dict[str, Any]:
    """The rows of `_rows`, and from their first hidden sum `kind` (n), `amount` (n, 1) and `size` (n, 1), from the
    second `cost` (n, 1) and `risk` (n, 1)."""
    import numpy as np

    row, first, second, noise = _rows(count, columns)
    return {
        "row": row,
        "kind": np.digitize(first, [-0.4, 0.4]),
        "amount": (first + noise)[:, None].astype(np.float32),
        "size": (np.abs(first) + noise)[:, None].astype(np.float32),
        "cost": (1.5 * np.abs(second) + noise)[:, None].astype(np.float32),
        "risk": (second + noise > 0.5)[:, None].astype(np.uint8),
    }


def _rows(count: int, columns: int) -> tuple[Any, ...]:
    """Rows (n, columns) of random numbers, two hidden sums of each (n), and a little noise (n)."""
    import numpy as np

    random = np.random.default_rng(0)
    row = random.standard_normal((count, columns)).astype(np.float32)
    first, second = (row @ (random.standard_normal((columns, 2)) / np.sqrt(columns))).T
    return row, first, second, 0.1 * random.standard_normal(count)
