"""The command line: one small module per command, imported when the command runs.

Exit status: 0 clean, 1 problems, 2 usage. Where 1 means something else (`diff --exit-code`), problems are 2 too.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from mtsldsl import __version__
from mtsldsl.cli.output import lines_shown

if TYPE_CHECKING:
    from mtsldsl.diagnostics import MtlError

_COMMANDS = {
    "new": "Write a commented spec that trains as it is.",
    "check": "Report every problem of specs, without running anything.",
    "explain": "Say what the codes of reports mean, such as MTL107, or what there is to choose from.",
    "fmt": "Lay out specs in the one style.",
    "compile": "Write readable PyTorch for a spec: model.py, train.py.",
    "data": "Say what data a spec reads, and what of it does not fit, before anything trains.",
    "train": "Train a spec, and let its sharing be learned.",
    "eval": "Compute the losses and metrics of a run's best weights.",
    "predict": "Write what a run's best weights say of new inputs.",
    "export": "Write a run's best weights for other programs: ONNX, pt2, safetensors.",
    "log": "Tell what happened in a run, from its record.",
    "baselines": "Train a spec beside networks that nobody has to learn, and say whether it pays.",
    "affinity": "Print which tasks helped which in a run.",
    "group": "Write a spec with the tasks in groups that are best to train together.",
    "show": "Draw which tasks share which layers.",
    "diff": "Print what turns one spec into another.",
    "merge": "Put together what two sides changed in a spec.",
    "git": "Let git merge and compare specs by what they mean.",
    "completion": "Print what makes a shell complete commands and files.",
}
"""Every command with its line of `mtsldsl --help`, which imports none of them."""

_ERRORS_ARE_2 = ("diff", "fmt", "merge")
"""The commands that say with 1 what they found."""

_LONG = ("data", "train", "eval", "predict", "export", "baselines")
"""The commands that compute."""


_NOT_WRITABLE = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO"),
        *("EEXIST", "ENOTDIR", "ENAMETOOLONG"),
    )
    if hasattr(errno, name)
)
"""What the system answers where a disk is full, a file is not this person's to write, or a path is none; never a defect
here."""


class _Commands(click.Group):
    """Imports a command's module only when the command is asked for, and shows a user's errors without a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except OSError as error:  # of what is printed before there is a command, such as --help
            _report(_as_report(error))
            sys.exit(1)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _plain_errors():
            return super().make_context(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            from mtsldsl.diagnostics.names import proposal

            meant = proposal(args[0], _COMMANDS) or ""
            ctx.fail(f"No such command '{args[0]}'." + (f" {meant[0].upper()}{meant[1:]}" if meant else ""))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"mtsldsl.cli.{cmd_name}").command
        command.short_help = _COMMANDS[cmd_name]
        for option in (each for each in command.params if isinstance(each, click.Option)):
            name = max(option.opts, key=len).lstrip("-").replace("-", "_")
            option.envvar = f"MTSLDSL_{cmd_name}_{name}".upper()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        from mtsldsl.diagnostics import MtlError

        try:
            with _plain_errors():
                result: object = super().invoke(ctx)
            if sys.stdout is not None:  # as it is where the caller closed it
                sys.stdout.flush()
            return result
        except MtlError as error:
            _report(error)
        except OSError as error:
            _report(_as_report(error))
        raise click.exceptions.Exit(2 if ctx.invoked_subcommand in _ERRORS_ARE_2 else 1)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What is wrong with the words of a command line is told without what would steer a terminal in them."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:  # a page of help, and nobody's words
        raise
    except click.UsageError as error:
        raise click.UsageError(lines_shown(error.format_message() + _setting_meant(error)), error.ctx) from None
    except click.ClickException as error:
        raise click.ClickException(lines_shown(error.format_message())) from None


def _setting_meant(error: click.UsageError) -> str:
    """How a value of the spec is set that was given as other tools take it: `train.epochs=1`, or `--epochs 1`."""
    takes_settings = error.ctx is not None and any(each.name == "overrides" for each in error.ctx.command.params)
    if not takes_settings:
        return ""
    if isinstance(error, click.NoSuchOption):
        name = error.option_name.lstrip("-").replace("-", "_")
        setting = _setting(name, "...")
        return f" Or write `--set {setting}`." if setting else ""
    words = re.search(r"unexpected extra arguments? \((.*)\)", error.format_message())
    given = [each.partition("=") for each in words[1].split() if re.fullmatch(r"\w[\w.]*=.*", each)] if words else []
    meant = " ".join(f"--set {_setting(name, value) or f'{name}={value}'}" for name, _, value in given)
    return f"; write {meant}" if meant else ""


def _setting(name: str, value: str) -> str | None:
    """How `--set` takes what other tools call so, where it is a key of `train` or an argument of its optimizer."""
    from mtsldsl.diagnostics.said_otherwise import written_here
    from mtsldsl.language.schema import TRAIN

    if TRAIN.key(name):
        return f"train.{name}={value}"
    if "argument of the optimizer" in (written_here(name, "train") or ""):
        return f"'train.optimizer=adam({name}={value})'"
    return None


def _report(error: MtlError) -> None:
    with suppress(OSError):  # the exit status still says it
        click.echo(str(error), err=True)


def _as_report(error: OSError) -> MtlError:
    """A file, or the output, that does not take what is written, as a report; anything else is raised again."""
    from mtsldsl.diagnostics import MtlError
    from mtsldsl.diagnostics.printable import let_go_of_output

    if error.errno not in _NOT_WRITABLE:  # with EPIPE, whoever read the output has seen enough: click ends quietly
        raise error
    if error.filename is not None:
        cause = f"{click.format_filename(os.fsdecode(error.filename))}: {error.strerror}"
        return MtlError.of("MTL703", cause, "check the folder, its permissions and the space on the disk")
    let_go_of_output()
    cause = f"the output, or a file, cannot be written: {error.strerror}"
    return MtlError.of("MTL703", cause, "check where it goes, and the space on the disk")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MTSLDSL"})
@click.version_option(__version__, "-V", "--version", prog_name="mtsldsl")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Multi-task networks whose sharing is learned: check, compile, train and compare .mtl specs."""
    if ctx.invoked_subcommand in _LONG:
        from mtsldsl.runtime.run.threads import wait_passively

        gc.enable()
        atexit.unregister(gc.freeze)
        wait_passively()


def run() -> None:
    """The command line of a process of its own.

    Looking for garbage while modules load, and once more at the end, takes a tenth of a short command's time and finds
    none. The commands that compute look for it.
    """
    gc.disable()
    atexit.register(gc.freeze)
    main(prog_name="mtsldsl")
