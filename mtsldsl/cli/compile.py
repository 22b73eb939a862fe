"""`mtsldsl compile`."""

from __future__ import annotations

from pathlib import Path

import click

from mtsldsl.cli.options import overrides, say_what_is_left_out, spec_argument
from mtsldsl.cli.output import say, say_lines


@click.command()
@spec_argument
@overrides
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The folder to write to (default: generated/<spec>, of a run generated/<spec>_<n>).",
)
@click.option("--check", is_flag=True, help="Write nothing; print the difference and exit 1 where there is one.")
def command(spec: Path, overrides: dict[str, str], output: Path | None, check: bool) -> None:
    """Write readable PyTorch for SPEC (a file or a run folder): model.py, train.py."""
    from mtsldsl.codegen import compile_spec
    from mtsldsl.codegen.origin import refuse_package_of_another, with_origin
    from mtsldsl.codegen.package_files import LAST, compare, remember_compiled, write_files
    from mtsldsl.editing import load
    from mtsldsl.syntax import read_source

    if output is None and (not spec.stem.strip(".") or spec.stem == LAST):
        raise click.UsageError(f"`{spec.name}` has no name to call a folder by: give one with -o")
    folder = output or Path("generated") / _name(spec)
    files = with_origin(compile_spec(load(spec, overrides)), spec, folder)
    say_what_is_left_out(read_source(spec), overrides)
    refuse_package_of_another(spec, folder)
    if not check:
        changed = write_files(files, folder)
        remember_compiled(spec, folder.parent)
        say(f"{folder}: {', '.join(changed) if changed else 'nothing to change'}")
        return
    difference = compare(files, folder)
    if difference:
        say_lines(difference.removesuffix("\n"), err=True)
        say(f"{folder} is not up to date; repair it with: {_command(spec, overrides, output)}", err=True)
        raise SystemExit(1)
    say(f"{folder}: up to date")


def _name(spec: Path) -> str:
    """What the code of a spec is called: as the spec is, and that of a run, which is `spec.mtl` in each, as its run."""
    if spec.name != "spec.mtl" or not (spec.parent / "events.jsonl").is_file():
        return spec.stem
    run = spec.parent.absolute()
    return f"{run.parent.name}_{run.name}" if run.name.isdecimal() else run.name


def _command(spec: Path, overrides: dict[str, str], output: Path | None) -> str:
    """The command that compiles what was checked, as a shell reads it."""
    import shlex

    settings = [part for key, value in overrides.items() for part in ("--set", f"{key}={value}")]
    return shlex.join(["mtsldsl", "compile", str(spec), *settings, *(["-o", str(output)] if output else [])])
