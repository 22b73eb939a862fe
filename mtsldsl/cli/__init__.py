"""The command line: one small module per command, imported when the command runs.

Exit status: 0 clean, 1 problems (or a difference, where the command looks for one), 2 usage.
"""

from __future__ import annotations

import gc
from importlib import import_module

import click

from mtsldsl import __version__

_COMMANDS = ("new", "check", "explain", "fmt", "compile", "train", "eval", "show", "diff", "merge", "git", "completion")

_LONG = ("train", "eval")
"""The commands that compute."""


def _collect_again() -> None:
    """Look for garbage from here on, but not through what the command left behind: the process is about to end."""
    gc.freeze()
    gc.enable()


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
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mtsldsl")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Multi-task networks whose sharing is learned: check, compile, train and compare .mtl specs."""
    if ctx.invoked_subcommand not in _LONG:
        # Looking for garbage while modules load takes a tenth of a short command's time and finds none.
        gc.disable()
        ctx.call_on_close(_collect_again)
