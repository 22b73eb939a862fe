"""`mtsldsl check`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click
from click.core import ParameterSource

from mtsldsl.cli.options import overrides, refuse_settings, say_what_is_left_out
from mtsldsl.cli.output import say, say_lines, shown
from mtsldsl.cli.project_settings import project_settings
from mtsldsl.cli.spec_files import STANDARD_INPUT, spec_files
from mtsldsl.diagnostics.counted import counted

if TYPE_CHECKING:
    from mtsldsl.diagnostics import Diagnostic, Source
    from mtsldsl.editing.fixes import Mended
    from mtsldsl.ir.library_file import Contents

    _Found: TypeAlias = Iterable[tuple[str, Diagnostic]]

FORMATS = ("text", "json", "github", "sarif")


def _if_given(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool | None:
    """The value of a flag; None where neither the command line nor the environment has it."""
    assert parameter.name is not None
    return None if ctx.get_parameter_source(parameter.name) is ParameterSource.DEFAULT else value


@click.command()
@click.argument("specs", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@overrides
@click.option(
    "--output-format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to report."
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing of specs that have no problem.")
@click.option("--fix", is_flag=True, help="Correct, in the file, names that can mean only one known name.")
@click.option("--pedantic/--no-pedantic", callback=_if_given, help="Warn of what is allowed, and hardly ever meant.")
@click.option("--strict/--no-strict", callback=_if_given, help="As --pedantic, and exit 1 where there is a warning.")
def command(
    specs: tuple[Path, ...],
    overrides: dict[str, str],
    form: str,
    quiet: bool,
    fix: bool,
    pedantic: bool | None,
    strict: bool | None,
) -> None:
    """Report every problem of SPECS, without running anything: files, folders (every .mtl file in them), or - for
    standard input; by default this folder. A file without `data`, `task` and `train` is checked as one that others
    import.

    Exits 0 where there is no error, 1 where there is one. Warnings count with --strict alone, and what a comment
    `# mtl: ignore MTL204` on its line ignores does not. [tool.mtsldsl] of pyproject.toml may say `pedantic`, `strict`,
    and which files of a folder are meant.
    """
    if fix and overrides:
        raise click.UsageError("--fix corrects the file, where --set has no effect: leave one of them out")
    refuse_settings(specs)
    if fix and STANDARD_INPUT in specs:
        raise click.UsageError("--fix corrects files: name one")
    project = project_settings(Path())
    if strict is None:
        strict = project.strict and pedantic is not False
    pedantic = strict or (project.pedantic if pedantic is None else pedantic)
    checked = [_checked(path, overrides, fix=fix, pedantic=pedantic) for path in spec_files(specs, project)]
    found = [(name, each) for name, mended in checked for each in mended.report.diagnostics]
    fixed = [(name, each) for name, mended in checked for each in mended.fixed]
    ignored = [(name, each) for name, mended in checked for each in mended.report.ignored]
    if form == "text":
        for name, mended in checked:
            _print(name, mended, quiet=quiet)
        _print_count(found, fix)
    elif content := _formatted(form, found, fixed, ignored):
        click.echo(content)
    if any(strict or each.severity == "error" for _, each in found):
        raise SystemExit(1)


def _checked(path: Path, overrides: dict[str, str], *, fix: bool, pedantic: bool) -> tuple[str, Mended]:
    """The file by its name, and what was found in it; a file that cannot be read is a problem like any other."""
    from mtsldsl.diagnostics import MtlError, Source
    from mtsldsl.editing.checking import Report, check
    from mtsldsl.editing.fixes import Mended, mend, save

    name = "<stdin>" if path == STANDARD_INPUT else str(path)
    try:
        source = _read(path)
        if not fix:
            report = check(source, overrides, pedantic=pedantic)
            if report.spec is not None:
                say_what_is_left_out(source, overrides)
            return name, Mended((), report)
        mended = mend(source, pedantic=pedantic)
        if mended.fixed:
            save(source, mended.report.source, name)
        return name, mended
    except MtlError as error:
        return name, Mended((), Report(Source(name, ""), None, error.diagnostics))


def _read(path: Path) -> Source:
    from mtsldsl.syntax.files import read_source, read_standard_input

    if path != STANDARD_INPUT:
        return read_source(path)
    import attrs

    source = read_standard_input("<stdin>")
    return attrs.evolve(source, path=str(Path.cwd() / "stdin.mtl"))


def _print(name: str, mended: Mended, *, quiet: bool) -> None:
    """The report for a person: what is wrong on stderr, what was done and what a sound spec costs on stdout."""
    from mtsldsl.diagnostics import render_all

    for each in mended.fixed:
        if each.fix:
            made = ", ".join(f"`{edit.span.text}` is now `{edit.text}`" for edit in each.fix.edits)
            say_lines(f"{shown(each.span)}: fixed {each.code}: {made}")
    if mended.report.diagnostics:
        click.echo(render_all(mended.report.diagnostics), err=True)
    spec = mended.report.spec
    errors = [each for each in mended.report.ignored if each.severity == "error"]
    if errors and not mended.report.errors:
        say(
            f"{name}: {counted(len(errors), 'problem')} ignored; there is no specification to compile or train until "
            f"{'it is' if len(errors) == 1 else 'they are'} mended",
            err=True,
        )
    if quiet:
        return
    if mended.report.library is not None and not mended.report.diagnostics:
        say(f"{name}: a library to import: {_listed(mended.report.library)}")
    if spec is not None:
        cost = spec.cost()
        say(
            f"{name}: {counted(len(spec.tasks), 'task')}, {counted(len(spec.layers), 'layer')}, "
            f"{cost.total.told(' a sample')}"
        )


def _listed(contents: Contents) -> str:
    parts = [
        counted(contents.blocks, "block") if contents.blocks else "",
        counted(contents.constants, "constant") if contents.constants else "",
        f"a backbone of {counted(contents.layers, 'layer')}" if contents.layers else "",
        counted(contents.imports, "import") if contents.imports else "",
    ]
    return ", ".join(part for part in parts if part)


def _print_count(found: Sequence[tuple[str, Diagnostic]], fix: bool) -> None:
    errors = sum(each.severity == "error" for _, each in found)
    # What an imported file has is corrected where that file is named.
    fixable = sum(each.fix is not None and each.fix.span.source.name == name for name, each in found)
    counts = [(errors, "problem"), (len(found) - errors, "warning")]
    said = ", ".join(counted(count, noun) for count, noun in counts if count)
    if said:
        hint = f"; --fix corrects {'it' if fixable == 1 == len(found) else fixable}" if fixable and not fix else ""
        say(f"{said}{hint}", err=True)


def _formatted(form: str, found: _Found, fixed: _Found, ignored: _Found) -> str:
    from mtsldsl.diagnostics.formats import as_github, as_json
    from mtsldsl.diagnostics.sarif import as_sarif

    if form == "json":
        return as_json(found, fixed, ignored)
    return as_github(found) if form == "github" else as_sarif(found, ignored)
