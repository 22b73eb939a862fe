"""`mtsldsl merge`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mtsldsl.diagnostics import Source


@click.command()
@click.argument("base")
@click.argument("ours")
@click.argument("theirs")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write (default: standard output).")
@click.option(
    "--path", type=click.Path(path_type=Path), help="Where the spec lies, if not at OURS: it imports from there."
)
@click.option(
    "--marker-size", type=click.IntRange(1, 1000), default=7, show_default=True, help="Length of a conflict's markers."
)
@click.option(
    "--or-lines", is_flag=True, help="Where no spec can be made of them, merge the lines as git does, and exit with 1."
)
def command(
    base: str, ours: str, theirs: str, output: Path | None, path: Path | None, marker_size: int, or_lines: bool
) -> None:
    """Put together what OURS and THEIRS changed since BASE: files, or REV:path of git.

    The sharing is merged by what it means, everything else key by key, and the comments of both are kept. Exit 0 with
    a sound spec; 1 where both changed the same thing differently, which is then marked in the text as git marks it, or
    where the changes do not fit together, and then nothing is written.
    """
    import attrs

    from mtsldsl.cli.places import source_at
    from mtsldsl.diagnostics import MtlError
    from mtsldsl.spec.merge import merge_specs

    try:
        sources = [source_at(place) for place in (base, ours, theirs)]
        if path:
            sides = zip(sources, ("base", "ours", "theirs"), strict=True)
            sources = [attrs.evolve(source, name=f"{path} ({side})", path=str(path)) for source, side in sides]
        merged = merge_specs(*sources, marker=marker_size)
    except MtlError as error:
        if not or_lines:
            raise
        click.echo(str(error), err=True)
        click.echo(f"{path or ours}: merged line by line instead; look at it before you go on", err=True)
        _write(_merged_lines(base, ours, theirs, marker_size), output)
        raise SystemExit(1) from None
    for note in merged.notes:
        click.echo(f"{path or ours}: {note}", err=True)
    for conflict in merged.conflicts:
        click.echo(f"{path or ours}: conflict at {conflict}", err=True)
    _write(merged.source, output)
    raise SystemExit(1 if merged.conflicts else 0)


def _write(source: Source, output: Path | None) -> None:
    from mtsldsl.syntax import write_text_atomically

    if output:
        write_text_atomically(output, source.text, bom=source.bom)
    else:
        click.echo(source.text, nl=False)


def _merged_lines(base: str, ours: str, theirs: str, marker_size: int) -> Source:
    """The merge that git would make of the lines, with its markers."""
    import subprocess

    from mtsldsl.diagnostics import MtlError
    from mtsldsl.syntax.files import decode_source

    labels = [word for label in ("ours", "base", "theirs") for word in ("-L", label)]
    size = f"--marker-size={marker_size}"
    done = subprocess.run(
        ["git", "merge-file", "-p", size, *labels, "--", ours, base, theirs], capture_output=True, check=False
    )
    if done.returncode > 127:  # otherwise it is the number of conflicts
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise MtlError.of("MTL703", f"git cannot merge the lines of {ours}: {said}", "name three files on the disk")
    return decode_source(ours, done.stdout)
