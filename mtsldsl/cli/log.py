"""`mtsldsl log`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mtsldsl.cli.options import complete_files
from mtsldsl.cli.output import refuse_another_kind, say

FORMAT_VERSION = 1


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON, all that the record has of each.")
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    shell_complete=complete_files,
    help="Write the numbers as a table instead, as `train --log csv` does.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PAGE",
    shell_complete=complete_files,
    help="Write the page of the run instead, as `train` does at its end.",
)
def command(run: Path, as_json: bool, table: Path | None, html: Path | None) -> None:
    """Tell what happened in RUN, a run folder, from its record: epochs, phases and what they decided, warnings, where
    the run was resumed, what the test set gave, and how the balance weighed the tasks.
    """
    if as_json + (table is not None) + (html is not None) > 1:
        raise click.UsageError("--json prints the events, --csv writes a table and --html a page: give one of them")
    refuse_another_kind("--csv", table, ".csv")
    refuse_another_kind("--html", html, ".html")
    from mtsldsl.runtime.run.csv_log import csv_table
    from mtsldsl.runtime.run.event_json import plain
    from mtsldsl.runtime.run.folder import RunFolder
    from mtsldsl.runtime.run.record_file import read_record
    from mtsldsl.runtime.run.record_lines import record_lines
    from mtsldsl.syntax import write_text_atomically

    folder = RunFolder.open(run)
    record = folder.events
    lines = list(record_lines(record))  # so that a damaged record is no half of an answer
    if table is not None:
        write_text_atomically(table, csv_table(record))
        return
    if html is not None:
        from mtsldsl.runtime.run.report import run_page

        write_text_atomically(html, run_page(folder))
        return
    if as_json:
        found = {"format_version": FORMAT_VERSION, "events": [plain(content) for content in read_record(record)]}
        click.echo(json.dumps(found, indent=2))
        return
    for line in lines:
        say(line)
