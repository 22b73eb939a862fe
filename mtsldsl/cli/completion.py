"""`mtsldsl completion`."""

from __future__ import annotations

import click

_USE = {
    "bash": "mtsldsl completion bash >> ~/.bashrc",
    "zsh": "mtsldsl completion zsh >> ~/.zshrc",
    "fish": "mkdir -p ~/.config/fish/completions; mtsldsl completion fish > ~/.config/fish/completions/mtsldsl.fish",
}

# zsh has `compdef`, with which the script ends, only once its completion system is loaded.
_BEFORE = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_USE)))
def command(shell: str) -> None:
    """Print what makes SHELL complete commands, options, files and codes; the first line says where to put it."""
    from click.shell_completion import get_completion_class

    from mtsldsl.cli import main

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    # The class's own `source` asks the installed shell for its version; what it prints does not depend on it.
    completion = found(main, {}, "mtsldsl", "_MTSLDSL_COMPLETE")
    script = completion.source_template % completion.source_vars()
    click.echo(f"# {_USE[shell]}\n{_BEFORE.get(shell, '')}{script}")
