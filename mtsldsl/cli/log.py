"""`mtsldsl log`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mtsldsl.cli.output import say

FORMAT_VERSION = 1


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON, all that the record has of each.")
def command(run: Path, as_json: bool) -> None:
    """Tell what happened in RUN, a run folder, from its record: epochs, phases and what they decided, warnings, where
    the run was resumed, what the test set gave, and how the balance weighed the tasks.
    """
    from mtsldsl.runtime.run.events import plain, read_record
    from mtsldsl.runtime.run.folder import RunFolder
    from mtsldsl.runtime.run.record_lines import record_lines

    record = RunFolder.open(run).events
    lines = list(record_lines(record))  # so that a damaged record is no half of an answer
    if as_json:
        found = {"format_version": FORMAT_VERSION, "events": [plain(content) for content in read_record(record)]}
        click.echo(json.dumps(found, indent=2))
        return
    for line in lines:
        say(line)
