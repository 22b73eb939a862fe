"""Where the files of a data set are."""

from __future__ import annotations

from pathlib import Path

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Data
from mtsldsl.language.constants import Constant
from mtsldsl.syntax.files import is_file, is_folder


def given_place(data: Data) -> str | None:
    """Where a block says that its data is; None where the data is rendered."""
    place = data_kind(data.kind).place
    return None if place is None else str(data.options[place])


def code_of_data(data: Data) -> str | None:
    """What of a person's own code makes the samples of a block, as `package.file:name`; None where nothing does."""
    key = data_kind(data.kind).code
    return None if key is None else str(data.options[key])


def settings_of_data(data: Data) -> dict[str, Constant]:
    """What besides its place decides which samples the data set of a block has."""
    place = data_kind(data.kind).place
    return {name: value for name, value in data.options.items() if name != place}


def located(data: Data, spec_file: str, recorded: Path | None = None) -> Path | None:
    """Where the data of a block is: looked for from the working folder, then from that of the spec's file, then at
    `recorded`, where a run found it. None where the data is rendered. Raises MtlError MTL601 where there is nothing, or
    a pipe or a device, which would be read without end."""
    given = given_place(data)
    if given is None:
        return None
    option, remedy = data_kind(data.kind).place, data_kind(data.kind).remedy
    place = Path(given).expanduser()
    tried = [place, Path(spec_file).parent / place, *([recorded] if recorded else [])]
    for path in tried:
        if is_file(path) or is_folder(path):
            return path
        if path.exists():
            cause = f"the data set `{path}` is neither a file nor a folder"
            raise MtlError.of("MTL601", cause, remedy, data.span)
    if recorded is not None:
        remedy = f"put it back there; `mtsldsl eval` also takes `--set data.{option}=` and where it is now"
    places = " or ".join(dict.fromkeys(f"`{path.absolute()}`" for path in tried))
    raise MtlError.of("MTL601", f"the data set `{place}` is not there; looked for {places}", remedy, data.span)
