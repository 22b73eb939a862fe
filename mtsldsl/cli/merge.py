"""`mtsldsl merge`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtsldsl.cli.options import complete_files
from mtsldsl.cli.output import say
from mtsldsl.cli.spec_output import spec_output, write_spec

if TYPE_CHECKING:
    from mtsldsl.compare.merge import Merged
    from mtsldsl.compare.merge_marks import Markers
    from mtsldsl.diagnostics import Source


@click.command()
@click.argument("base", shell_complete=complete_files)
@click.argument("ours", shell_complete=complete_files)
@click.argument("theirs", shell_complete=complete_files)
@spec_output("default, and -: standard output")
@click.option(
    "--path", type=click.Path(path_type=Path), help="Where the spec lies, if not at OURS: it imports from there."
)
@click.option(
    "--marker-size", type=click.IntRange(1, 1000), default=7, show_default=True, help="Length of a conflict's markers."
)
@click.option(
    "-L",
    "--label",
    "labels",
    multiple=True,
    metavar="NAME",
    help="What the markers call ours; a second one: the base; a third one: theirs.",
)
@click.option("--or-lines", is_flag=True, help="Where the specs cannot be read, merge the lines as git does.")
def command(
    base: str,
    ours: str,
    theirs: str,
    output: Path | None,
    path: Path | None,
    marker_size: int,
    labels: tuple[str, ...],
    or_lines: bool,
) -> None:
    """Put together what OURS and THEIRS changed since BASE: files, or REV:path of git.

    The sharing is merged by what it means, everything else key by key, and the comments of both are kept. What both
    changed differently is marked in the text as git marks it, in the style of git's `merge.conflictStyle`.

    Exit status: 0 with a sound spec; 1 with conflicts; 2 where nothing is written, such as where a side cannot be read.
    """
    from mtsldsl.diagnostics import MtlError

    markers = _markers(marker_size, labels)
    try:
        merged = _merged([base, ours, theirs], path, markers)
    except MtlError as error:
        if not or_lines:
            raise
        source, conflicts = _merged_lines(base, ours, theirs, markers)
        write_spec(source, output, path or ours)
        click.echo(str(error), err=True)
        say(f"{path or ours}: merged line by line instead, as git does; look at it", err=True)
        raise SystemExit(1 if conflicts else 0) from None
    write_spec(merged.source, output, path or ours)
    for note in merged.notes:
        say(f"{path or ours}: {note}", err=True)
    for conflict in merged.conflicts:
        say(f"{path or ours}: conflict at {conflict}", err=True)
    raise SystemExit(1 if merged.conflicts else 0)


def _merged(places: list[str], path: Path | None, markers: Markers) -> Merged:
    import attrs

    from mtsldsl.cli.spec_places import source_at
    from mtsldsl.compare.merge import merge_specs
    from mtsldsl.syntax.recovery import our_side

    sources = [source_at(place) for place in places]
    if path:
        sides = zip(sources, ("base", "ours", "theirs"), strict=True)
        sources = [attrs.evolve(source, name=f"{path} ({side})", path=str(path)) for source, side in sides]
    # Where branches crossed, git makes a base by a merge of its own, and leaves that one's conflicts in it.
    sources[0] = attrs.evolve(sources[0], text=our_side(sources[0].text))
    return merge_specs(*sources, markers=markers)


def _markers(size: int, labels: tuple[str, ...]) -> Markers:
    """The markers; git before 2.44 does not know the names of the sides and gives the letters that ask for them."""
    from mtsldsl.compare.merge_marks import Markers

    given = ["" if label in ("%X", "%S", "%Y") else label for label in labels[:3]]
    ours, base, theirs = (*given, *[""] * (3 - len(given)))
    with_base = _conflict_style() in ("diff3", "zdiff3")
    return Markers(size, ours or "ours", (base or "base") if with_base else None, theirs or "theirs")


def _conflict_style() -> str:
    """How git marks conflicts here."""
    try:
        done = subprocess.run(["git", "config", "merge.conflictStyle"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip().lower()


def _merged_lines(base: str, ours: str, theirs: str, markers: Markers) -> tuple[Source, int]:
    """The merge that git would make of the lines, and how many conflicts it marked."""
    from mtsldsl.diagnostics import MtlError
    from mtsldsl.syntax.files import decode_source

    names = (markers.ours, markers.base or "base", markers.theirs)
    labels = [word for label in names for word in ("-L", label)]
    size = f"--marker-size={markers.size}"
    done = subprocess.run(
        ["git", "merge-file", "-p", size, *labels, "--", ours, base, theirs], capture_output=True, check=False
    )
    if done.returncode > 127:  # otherwise it is the number of conflicts
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise MtlError.of("MTL703", f"git cannot merge the lines of {ours}: {said}", "name three files on the disk")
    return decode_source(ours, done.stdout), done.returncode
