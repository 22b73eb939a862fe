"""Options that several commands take."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mtsldsl.cli.output import say
from mtsldsl.runtime.run.threads import MOST

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mtsldsl.diagnostics import Source

F = TypeVar("F", bound=Callable[..., Any])


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"`{value}` is not KEY=VALUE, such as train.epochs=2")
        pairs[key.strip()] = text.strip()
    return pairs


def overrides(function: F) -> F:
    """`--set KEY=VALUE`, any number of times."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_pairs,
        help="Override a value of the spec, such as train.epochs=2 or a let constant.",
    )(function)


def refuse_settings(paths: tuple[Path, ...]) -> None:
    """Raise click's UsageError where a setting stands in the place of a file, as other tools take it."""
    given = [str(each) for each in paths if re.fullmatch(r"\w[\w.]*=.*", str(each)) and not os.path.lexists(each)]
    if given:
        raise click.UsageError(f"Got unexpected extra argument ({' '.join(given)})")


def say_what_is_left_out(source: Source, overrides: dict[str, str]) -> None:
    """A word on the phases of a sound spec that `--set` left out, as its training ends before them."""
    if overrides:
        from mtsldsl.editing.late_phases import left_out

        late = left_out(source, overrides)
        if late is not None:
            say(f"{source.name}: {late}", err=True)


def _of_run(_: click.Context, __: click.Parameter, given: Path) -> Path:
    """The file of a spec; of a run folder its evolved spec, of the folder of a spec's runs that of the newest."""
    from mtsldsl.runtime.run.newest import newest_run
    from mtsldsl.syntax.files import is_file

    inside = newest_run(given) / "spec.mtl"
    return inside if is_file(inside) else given


def spec_argument(function: F) -> F:
    """A spec: a file, or the run folder that holds it."""
    return click.argument("spec", metavar="SPEC|RUN", type=click.Path(path_type=Path), callback=_of_run)(function)


def complete_files(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    """Files and folders, for a value that may be the name of one."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


def _complete_devices(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
    return [name for name in ("auto", "cpu", "cuda", "mps") if name.startswith(typed)]


def device(function: F) -> F:
    """`--device`."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        shell_complete=_complete_devices,
        help="auto, cpu, cuda or mps.",
    )(function)


def threads(function: F) -> F:
    """`--threads`."""
    return click.option(
        "--threads",
        type=click.IntRange(1, MOST),
        metavar="N",
        help="Compute with N threads (by default what OMP_NUM_THREADS or MKL_NUM_THREADS says, what the run began "
        "with, or as many as help for the network's size).",
    )(function)


def of(function: F) -> F:
    """`--of`, of a command that takes weights of a run: its best ones, or those of a task's own best epoch."""
    return click.option(
        "--of",
        default="mean",
        metavar="NAME",
        help="Take this task alone, with the weights of its own best epoch; or the network of this budget of a ladder.",
    )(function)


def tasks_asked_for(of: str, tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `--task`; that of `--of` where it names one. Raises click's UsageError where the two do not agree."""
    if of == "mean" or not of.isidentifier():  # a budget, whose network has all tasks
        return tasks
    if set(tasks) - {of}:
        raise click.UsageError("--of takes the weights of one task: leave --task out")
    return (of,)


def no_cache(function: F) -> F:
    """`--no-cache`."""
    return click.option(
        "--no-cache",
        is_flag=True,
        help="Decode or render the data anew, whatever was kept of it, and keep nothing for later runs.",
    )(function)


def workers(function: F) -> F:
    """`--workers`."""
    return click.option(
        "--workers",
        type=click.IntRange(0, MOST),
        default=0,
        show_default=True,
        metavar="N",
        help="Read pictures, and samples of `data python`, in N processes beside this one; they are the same.",
    )(function)


def _set_color(ctx: click.Context, _: click.Parameter, value: str) -> None:
    """Tell click: True, False, or None where the terminal decides."""
    if value != "auto":
        ctx.color = value == "always"
    elif os.environ.get("NO_COLOR"):
        ctx.color = False
    elif os.environ.get("FORCE_COLOR"):
        ctx.color = True


def color(function: F) -> F:
    """`--color`, and the variables NO_COLOR and FORCE_COLOR, for what is printed with `click.style`."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        expose_value=False,
        callback=_set_color,
        help="Colours: auto is for terminals, and heeds NO_COLOR and FORCE_COLOR.",
    )(function)
