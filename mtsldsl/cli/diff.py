"""`mtsldsl diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtsldsl.cli import options
from mtsldsl.cli.options import complete_files
from mtsldsl.cli.output import say
from mtsldsl.cli.spec_output import is_printed, spec_output
from mtsldsl.diagnostics.counted import counted

if TYPE_CHECKING:
    from mtsldsl.ir import Spec


@click.command()
@click.argument("specs", nargs=-1, required=True, metavar="A B [C]...", shell_complete=complete_files)
@click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="PAGE",
    help="Write both specs side by side to this file; - prints the page instead of the difference.",
)
@click.option("--history", is_flag=True, help="Look at the history too.")
@click.option(
    "--path",
    type=click.Path(path_type=Path),
    help="Where the two specs lie, if not at A and B: they import from there.",
)
@click.option("--exit-code/--no-exit-code", help="Exit with 1 if they differ (default: with 0 all the same).")
@spec_output(
    "for three specs and more: the first with the sharing that most agree on; - prints that in place of the table"
)
@options.color
def command(
    specs: tuple[str, ...],
    as_json: bool,
    html: Path | None,
    history: bool,
    path: Path | None,
    exit_code: bool,
    output: Path | None,
) -> None:
    """Print what turns A into B: layers, tasks, merges, splits, settings, cost.

    Each is a spec file, a run folder, or REV:path of git. Of three and more, such as the runs of several seeds, print
    the consensus: how many of them share each layer between each two tasks, and how far each is from that. -o writes it
    as a spec.

    Exit status: 0, or 1 with --exit-code if they differ; 2 where a spec cannot be read.
    """
    if len(specs) < 2:
        raise click.UsageError("name two specs or more")
    if len(specs) > 2 and (html or history or path):
        raise click.UsageError("--html, --history and --path are for two specs")
    if len(specs) == 2 and output:
        raise click.UsageError("-o writes the consensus of three specs and more")
    if output and is_printed(output) and as_json:
        raise click.UsageError("--json and -o - both print; write the spec to a file")
    if html and as_json and str(html) == "-":
        raise click.UsageError("--json and --html - both print; write the page to a file")
    if html:
        _check_target(html)
    if len(specs) > 2:
        differ = _consensus(specs, as_json, output)
    else:
        differ = _two(specs[0], specs[1], as_json, html, history, path)
    raise SystemExit(1 if differ and exit_code else 0)


def _check_target(html: Path) -> None:
    """Refuse to write a page over anything that is not one."""
    from mtsldsl.syntax.files import is_file, is_folder

    if str(html) == "-":
        return
    wanted = f"--html takes the page to write, such as difference.html, and {html}"
    if html.suffix == ".mtl":
        raise click.UsageError(f"{wanted} is a spec")
    if is_folder(html):
        raise click.UsageError(f"{wanted} is a folder")
    if is_file(html) and html.stat().st_size:
        with html.open("rb") as stream:
            if not stream.read(15).lower().startswith(b"<!doctype html>"):
                raise click.UsageError(f"{wanted} is there already and is no page")


def _two(a: str, b: str, as_json: bool, html: Path | None, history: bool, path: Path | None) -> bool:
    """Print what differs between two specs, and say whether anything does."""
    from mtsldsl.cli.spec_places import is_nothing, spec_at

    before, after = (
        None if is_nothing(place) else spec_at(place, path=path, name=f"{path} ({side})" if path else None)
        for place, side in ((a, "A"), (b, "B"))
    )
    if before and after:
        return _pair(before, after, as_json, html, history, (a, b))
    spec = before or after
    if spec is None or html:
        raise click.UsageError("there are no two specs to compare")
    _one(spec, "A" if before else "B", str(path or spec.source.name), as_json)
    return True


def _one(spec: Spec, side: str, name: str, as_json: bool) -> None:
    """Print that only one side has the spec."""
    from mtsldsl.compare.spec_difference import one_sided

    if as_json:
        difference = one_sided(spec, added=side == "B")
        click.echo(json.dumps({**difference.as_json(), "only_in": side}, indent=2))
    else:
        network = f"{counted(len(spec.tasks), 'task')}, {counted(len(spec.layers), 'layer')}"
        sizes = f"{network}, {counted(spec.cost().parameters, 'parameter')}"
        say(f"only in {side}: {name} ({sizes})")


def _pair(before: Spec, after: Spec, as_json: bool, html: Path | None, history: bool, places: tuple[str, str]) -> bool:
    from mtsldsl.cli.difference_lines import lines
    from mtsldsl.compare.spec_difference import compare

    difference = compare(before, after)
    if html:
        from mtsldsl.cli.side_by_side import page

        _write(html, page(before, after, difference, [_of_run(place) for place in places]))
    if as_json:
        click.echo(json.dumps(difference.as_json(history=history), indent=2))
    elif str(html) != "-":
        for line in lines(difference, before, after, history=history):
            click.echo(line)
        if html:
            say(f"side by side: {html}")
    return bool(difference) or (history and any(difference.decisions))


def _of_run(place: str) -> list[tuple[str, str]]:
    """What is known of the run that a place is the folder of; nothing of any other."""
    from mtsldsl.runtime.run.kept_epoch import first_facts
    from mtsldsl.runtime.run.newest import newest_run
    from mtsldsl.runtime.run.record_file import read_events
    from mtsldsl.syntax.files import is_folder

    path = Path(place)
    recorded = list(read_events(newest_run(path) / "events.jsonl")) if is_folder(path) else []
    return list(first_facts(recorded)) if recorded else []


def _write(html: Path, text: str) -> None:
    from mtsldsl.syntax import write_text_atomically

    if str(html) == "-":
        click.echo(text, nl=False)
    else:
        write_text_atomically(html, text)


def _consensus(specs: tuple[str, ...], as_json: bool, output: Path | None) -> bool:
    """Print what several specs agree on, write it as a spec where that is asked for, and say whether they differ."""
    from mtsldsl.cli.spec_places import spec_at
    from mtsldsl.compare.consensus import consensus

    runs = [spec_at(place) for place in specs]
    found = consensus(runs)
    if output:
        from mtsldsl.cli.spec_output import write_sound_spec
        from mtsldsl.compare.agreement import agreed_spec, differing

        agreed = agreed_spec(runs, found)
        write_sound_spec(agreed, output, specs[0])
        differ = differing(agreed.sharing, found)
        less = f"; the answers of most are no sharing, {differ} of {len(found.pairs)} differ" if differ else ""
        where = "" if is_printed(output) else f"written: {output}, "
        say(f"{where}{found.names[0]} with the sharing that most runs agree on{less}", err=True)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    elif not output or not is_printed(output):
        from mtsldsl.cli.consensus_lines import lines, width_of_output

        for line in lines(found, width_of_output()):
            click.echo(line)
    return bool(found)
