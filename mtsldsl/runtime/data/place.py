"""Where the files of a data set are."""

from __future__ import annotations

from pathlib import Path

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Spec
from mtsldsl.language.constants import Constant
from mtsldsl.syntax.files import is_file, is_folder


def given_place(spec: Spec) -> str | None:
    """Where the spec says that its data is; None where the data is rendered."""
    place = data_kind(spec.data.kind).place
    return None if place is None else str(spec.data.options[place])


def settings_of_data(spec: Spec) -> dict[str, Constant]:
    """What besides its place decides which samples the data set of the spec has."""
    place = data_kind(spec.data.kind).place
    return {name: value for name, value in spec.data.options.items() if name != place}


def located(spec: Spec, recorded: Path | None = None) -> Path | None:
    """Where the data of the spec is: looked for from the working folder, then from the spec's own, then at `recorded`,
    where a run found it. None where the data is rendered. Raises MtlError MTL601 where there is nothing, or a pipe or a
    device, which would be read without end."""
    given = given_place(spec)
    if given is None:
        return None
    option, remedy = data_kind(spec.data.kind).place, data_kind(spec.data.kind).remedy
    place = Path(given).expanduser()
    tried = [place, Path(spec.source.name).parent / place, *([recorded] if recorded else [])]
    for path in tried:
        if is_file(path) or is_folder(path):
            return path
        if path.exists():
            cause = f"the data set `{path}` is neither a file nor a folder"
            raise MtlError.of("MTL601", cause, remedy, spec.data.span)
    if recorded is not None:
        remedy = f"put it back there; `mtsldsl eval` also takes `--set data.{option}=` and where it is now"
    places = " or ".join(dict.fromkeys(f"`{path.absolute()}`" for path in tried))
    raise MtlError.of("MTL601", f"the data set `{place}` is not there; looked for {places}", remedy, spec.data.span)
