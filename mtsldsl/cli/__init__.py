"""The command line: one small module per command, imported when the command runs.

Exit status: 0 clean, 1 problems, 2 usage. Where 1 means something else (`diff --exit-code`), problems are 2 too.
"""

from __future__ import annotations

import atexit
import gc
from importlib import import_module

import click

from mtsldsl import __version__

_COMMANDS = ("new", "check", "explain", "fmt", "compile", "train", "eval", "show", "diff", "merge", "git", "completion")

_ERRORS_ARE_2 = ("diff", "merge")
"""The commands that say with 1 what they found."""

_LONG = ("train", "eval")
"""The commands that compute."""


class _Commands(click.Group):
    """Imports a command's module only when the command is asked for, and shows a user's errors without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"mtsldsl.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        from mtsldsl.diagnostics import MtlError

        try:
            return super().invoke(ctx)
        except MtlError as error:
            click.echo(str(error), err=True)
            ctx.exit(2 if ctx.invoked_subcommand in _ERRORS_ARE_2 else 1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mtsldsl")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Multi-task networks whose sharing is learned: check, compile, train and compare .mtl specs."""
    if ctx.invoked_subcommand in _LONG:
        from mtsldsl.runtime.threads import wait_passively

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
