"""`mtsldsl group`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mtsldsl.cli.options import complete_files
from mtsldsl.cli.output import say
from mtsldsl.cli.spec_output import is_printed, spec_output, write_sound_spec
from mtsldsl.diagnostics.counted import counted

if TYPE_CHECKING:
    from mtsldsl.ir.grouped import Grouped
    from mtsldsl.runtime.studies.affinity import Measured


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), shell_complete=complete_files)
@click.option("--groups", type=click.IntRange(1), required=True, help="How many networks there may be.")
@click.option(
    "--affinity",
    "measured",
    type=click.Path(path_type=Path),
    metavar="RUN|FILE",
    help="Who helps whom: a run that measured it, or what `affinity --json` printed.",
)
@click.option(
    "--singles",
    type=click.Choice(("never", "allowed")),
    default="never",
    show_default=True,
    help="Whether a task may be a group by itself.",
)
@spec_output("default, and -: standard output")
def command(spec: Path, groups: int, measured: Path | None, singles: Any, output: Path | None) -> None:
    """Write SPEC, a file or a run folder, with the tasks in the groups that are best to train together.

    Groups are chosen by who helped whom in a run of `structure transference`: that of `--affinity`, the run itself, or
    the newest run of a file that measured it. Tasks in parentheses help in a group, and are served by another.
    """
    from mtsldsl.cli.spec_places import spec_at
    from mtsldsl.diagnostics import MtlError
    from mtsldsl.editing import rewritten
    from mtsldsl.ir.grouped import grouped
    from mtsldsl.runtime.studies.affinity import measured_for
    from mtsldsl.sharing import SharingError

    chosen = spec_at(spec)
    found = measured_for(chosen, spec, measured)
    try:
        answer = grouped(chosen, found.mean, groups, singles, found.epoch)
    except SharingError as error:
        raise MtlError.of(error.code, str(error), "group the tasks of a network without alternatives") from None
    except ValueError as error:
        raise MtlError.of("MTL206", str(error), "allow singles, or name more tasks") from None
    made = rewritten(chosen, answer.sharing, answer.decisions if answer.sharing != chosen.sharing else ())
    write_sound_spec(made, output, spec)
    _tell(answer, found, output)


def _tell(answer: Grouped, found: Measured, output: Path | None) -> None:
    say(f"by {found.name}:", err=True)
    for group in answer.evidence["groups"]:
        served, helped = " + ".join(group["served"]), " + ".join(group["helped"])
        help_of = f", with the help of {helped}" if helped else ""
        say(f"  {served}{help_of}  (affinity {group['affinity']:+.3g})", err=True)
    if answer.evidence["unmeasured"]:
        say(
            f"  of {counted(answer.evidence['unmeasured'], 'pair')} nothing was measured, which is counted as 0",
            err=True,
        )
    if not answer.evidence["exact"]:
        say("  the best that were found: for so many tasks none are proven to be the best", err=True)
    if not is_printed(output):
        say(f"written: {output}", err=True)
