"""`mtsldsl data`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from mtsldsl.cli.options import no_cache, overrides, spec_argument, workers
from mtsldsl.cli.output import say


@click.command()
@spec_argument
@overrides
@no_cache
@workers
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="Draw the first training samples: inputs beside targets.",
)
@click.option(
    "--rows",
    "listed",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Write which samples are for training, for validation and for the test.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all that is found as one object of JSON.")
def command(
    spec: Path,
    overrides: dict[str, str],
    no_cache: bool,
    workers: int,
    sheet: Path | None,
    listed: Path | None,
    as_json: bool,
) -> None:
    """Say what data SPEC reads: splits, shapes, ranges, labels and classes; and all that does not fit it.

    SPEC is a file or a run folder.
    """
    from mtsldsl.diagnostics import MtlError
    from mtsldsl.diagnostics.libraries import CURVES, TENSORS, require
    from mtsldsl.editing import load

    if listed is not None and listed.suffix.lower() != ".csv":
        raise click.UsageError(f"rows are a table: call it {listed.with_suffix('.csv').name}")
    chosen = load(spec, overrides)
    require(TENSORS if sheet is None else TENSORS + CURVES)
    from mtsldsl.diagnostics.formats import record_of
    from mtsldsl.runtime.data.overview import overview
    from mtsldsl.runtime.run.beginning import Read, every_problem
    from mtsldsl.runtime.run.event_json import plain
    from mtsldsl.runtime.run.overview_lines import overview_lines
    from mtsldsl.syntax import write_bytes_atomically

    if sheet is not None:
        from mtsldsl.runtime.run.sample_sheet import pictured, sample_sheet

        if not pictured(chosen):
            raise click.UsageError(
                "a sheet shows pictures alone, and none is among the inputs of this spec: leave --sheet out; "
                "what samples hold is printed without it"
            )
        if sheet.suffix.lower() != ".png":
            raise click.UsageError(f"a sheet is a PNG: call it {sheet.with_suffix('.png').name}")
    try:
        read = Read.of(chosen, cache=not no_cache, workers=workers)
    except MtlError as error:
        problems = every_problem(chosen, error, cache=not no_cache, workers=workers)
        if not as_json:
            raise problems from error
        records = [record_of(str(spec), each) for each in problems.diagnostics]
        click.echo(json.dumps({"spec": str(spec), "problems": records}, indent=2))
        sys.exit(1)
    found = {
        "spec": str(spec),
        "problems": [],
        "warnings": [*read.data.remarks, *read.remarks],
        "splits": read.described,
        **overview(chosen, read.data),
    }
    if listed is not None:
        from mtsldsl.runtime.data.sample_rows import rows_table

        if len(read.data.rows) < len(chosen.streams):
            cause = f"`data {chosen.data.kind}` has splits of its own, and no rows to name"
            raise click.UsageError(f"{cause}: leave --rows out")
        write_bytes_atomically(listed, rows_table(read.data.rows).encode("utf-8", "surrogateescape"))
    if sheet is not None:
        sheet.write_bytes(sample_sheet(chosen, read.data))
    if as_json:
        click.echo(json.dumps(plain(found), indent=2))
    else:
        for line in (*overview_lines(found), *(f"warning: {each}" for each in found["warnings"])):
            say(line)
