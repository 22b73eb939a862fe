"""`mtsldsl export`."""

from __future__ import annotations

from pathlib import Path

import click

from mtsldsl.cli.options import complete_files, of, tasks_asked_for
from mtsldsl.cli.output import refuse_another_kind, say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(["onnx", "pt2", "safetensors"]), required=True, help="What to write.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    shell_complete=complete_files,
    help="The file to write (default: RUN/export/<spec>.onnx, and so on).",
)
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="An output to have; several times for several.")
@of
def command(run: Path, form: str, output: Path | None, tasks: tuple[str, ...], of: str) -> None:
    """Write the best weights of RUN (a run folder) as one file, once it is seen to compute what the network does.

    onnx and pt2 (of torch.export) compute without mtsldsl, for batches of any size; safetensors has the weights with
    their spec. A model card stands beside the file.
    """
    from mtsldsl.diagnostics.libraries import TENSORS, require

    if output and output.is_dir():
        raise click.UsageError(f"-o takes the file to write, and {output} is a folder")
    refuse_another_kind("-o", output, f".{form}")
    tasks = tasks_asked_for(of, tasks)
    require(TENSORS)
    from mtsldsl.cli.show import drawn
    from mtsldsl.runtime.run.exported import export
    from mtsldsl.runtime.run.folder import RunFolder
    from mtsldsl.runtime.run.model_card import model_card

    folder = RunFolder.open(run)
    made = export(folder, form, output, tasks, of)
    made.write(model_card(made, folder, drawn(made.network.spec, made.only)))
    difference = f"no number differs from torch's by more than {made.difference:.2g} of the largest of its output"
    say(f"{made.path}: {len(made.data):,} bytes; {difference}")
