"""`-o` of the commands that write a spec: one rule of what may be written over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mtsldsl.cli.options import complete_files
from mtsldsl.diagnostics import Diagnostic, MtlError

if TYPE_CHECKING:
    from mtsldsl.diagnostics import Source
    from mtsldsl.ir import Spec

F = TypeVar("F", bound=Callable[..., Any])


def spec_output(default: str) -> Callable[[F], F]:
    """`-o FILE`; `default` says what happens without it."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        callback=_no_folder,
        shell_complete=complete_files,
        help=f"The file to write ({default}). A file that is there is not replaced, but for the one whose text it is.",
    )


def _no_folder(_: click.Context, __: click.Parameter, given: Path | None) -> Path | None:
    from mtsldsl.syntax.files import is_folder

    if given is not None and is_folder(given):
        raise click.UsageError(f"-o takes the file to write, and {given} is a folder")
    return given


def is_printed(output: Path | None) -> bool:
    """Whether the spec goes to the standard output."""
    return output is None or str(output) == "-"


def write_spec(source: Source, output: Path | None, given: str | Path) -> None:
    """Write a spec into a file, or without one, or to `-`, onto the standard output.

    `given` is what the person named as the spec whose text this is, with changes. Raises MtlError: MTL706 where another
    file is there already that holds anything else, MTL703 where the file cannot be written.
    """
    from mtsldsl.syntax import write_text_atomically
    from mtsldsl.syntax.files import encoded

    if output is None or is_printed(output):
        click.echo(encoded(source), nl=False)  # bytes, for of a text click leaves out what steers a terminal
        return
    if not _is_same(output, given) and _holds_other(output, encoded(source)):
        raise MtlError((is_there(output),))
    write_text_atomically(output, source.text, bom=source.bom)


def write_sound_spec(spec: Spec, output: Path | None, given: str | Path) -> None:
    """The same of a sound spec, which must say the same where it is written: what it imports is found from there.

    Raises MtlError as `write_spec` does, and with what is wrong with the spec there.
    """
    import attrs

    from mtsldsl.editing import loads_source

    if output is not None and not is_printed(output):
        there = loads_source(attrs.evolve(spec.source, name=str(output), path=str(output)))
        if there != spec:
            raise MtlError.of(
                "MTL704",
                f"{output} would import other files than {spec.source.name} does",
                f"write it beside {spec.source.name}",
            )
    write_spec(spec.source, output, given)


def is_there(path: Path) -> Diagnostic:
    """The report on a file that is not overwritten."""
    cause, remedy = "is there already, and is not overwritten", "choose another name, or move it away"
    return Diagnostic("MTL706", f"{path} {cause}", remedy)


def _is_same(output: Path, given: str | Path) -> bool:
    from mtsldsl.syntax.files import is_file

    return is_file(Path(given)) and is_file(output) and output.samefile(given)


def _holds_other(output: Path, content: bytes) -> bool:
    """Whether a file is there that holds something, and something else."""
    from mtsldsl.syntax.files import is_file

    try:
        return is_file(output) and output.read_bytes() not in (b"", content)
    except OSError as error:
        cause = f"{output} cannot be read: {error.strerror}"
        raise MtlError.of("MTL703", cause, "check the path and its permissions") from None
