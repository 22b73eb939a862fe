"""`mtsldsl completion`."""

from __future__ import annotations

import click

_WHERE = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/mtsldsl.fish"}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_WHERE)))
def command(shell: str) -> None:
    """Print what makes SHELL complete mtsldsl's commands and options; append it to the shell's start-up file."""
    from click.shell_completion import get_completion_class

    from mtsldsl.cli import main

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(f"# mtsldsl completion {shell} >> {_WHERE[shell]}")
    # The class's own `source` asks the installed shell for its version; what it prints does not depend on it.
    completion = found(main, {}, "mtsldsl", "_MTSLDSL_COMPLETE")
    click.echo(completion.source_template % completion.source_vars())
