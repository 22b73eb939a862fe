"""`mtsldsl git`: git compares and merges `.mtl` files by what they mean."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click

from mtsldsl.cli.output import say

ATTRIBUTES = "*.mtl diff=mtsldsl merge=mtsldsl"
"""The line of a `.gitattributes` that says which drivers `.mtl` files have."""

_SECTIONS = ("merge.mtsldsl", "diff.mtsldsl", "difftool.mtsldsl")

_CONFIGURATION_REMEDY = "see that HOME is set, and that git's configuration can be read and written"

_BLOCKS = "import|let|data|task|block|backbone|train|tuning|structure|sharing|history"


@click.group()
def command() -> None:
    """Let git merge specs by what they mean, and show in which block a change is."""


@command.command()
@click.option("--global", "everywhere", is_flag=True, help="For all repositories of this user, not this one alone.")
def install(everywhere: bool) -> None:
    """Set up the merge and diff drivers for *.mtl; may be repeated.

    Writes the line `*.mtl diff=mtsldsl merge=mtsldsl` to .gitattributes, which is to be committed, and the drivers to
    git's configuration, which every clone needs of its own.
    """
    attributes = _attributes(everywhere)
    text = _read(attributes)  # before anything is written, for it may not be readable
    for key, value in _configuration().items():
        _git("config", _scope(everywhere), "--replace-all", key, value, remedy=_CONFIGURATION_REMEDY)
    if ATTRIBUTES not in text.splitlines():
        ending = "\r\n" if "\r\n" in text else "\n"
        joint = "" if not text or text.endswith("\n") else ending
        _write(attributes, f"{text}{joint}{ATTRIBUTES}{ending}")
    say(f"{attributes}: {ATTRIBUTES}")
    if overruled := _overruled(everywhere):
        say(f"warning: another line of the attributes wins, {overruled}; put that of mtsldsl after it", err=True)
        return
    click.echo("git merge now merges specs by what they mean; `git difftool -y -t mtsldsl` compares them so")
    if not everywhere:
        click.echo("commit .gitattributes; each clone needs `mtsldsl git install` of its own")


@command.command()
@click.option("--global", "everywhere", is_flag=True, help="For all repositories of this user, not this one alone.")
def uninstall(everywhere: bool) -> None:
    """Take the drivers away again."""
    attributes = _attributes(everywhere)
    for section in _SECTIONS:
        if _configured(everywhere, section):
            _git("config", _scope(everywhere), "--remove-section", section, remedy=_CONFIGURATION_REMEDY)
    text = _read(attributes)
    kept = "".join(line for line in text.splitlines(keepends=True) if line.strip() != ATTRIBUTES)
    if kept != text:
        _write(attributes, kept)
    say(f"{attributes}: git treats *.mtl as any other text")


def _overruled(everywhere: bool) -> str:
    """The drivers that git takes for a spec in the place of those of mtsldsl; empty if there is none."""
    if everywhere:
        return ""
    said = _git("-C", _git("rev-parse", "--show-toplevel"), "check-attr", "diff", "merge", "--", "spec.mtl")
    found = [line.removeprefix("spec.mtl: ").replace(": ", "=") for line in said.splitlines()]
    return ", ".join(each for each in found if not each.endswith("=mtsldsl"))


def _configuration() -> dict[str, str]:
    """The keys of the configuration."""
    program = _program()
    return {
        "merge.mtsldsl.name": "mtsldsl: merge specs by what they mean",
        "merge.mtsldsl.driver": _driver(program.replace("%", "%%")),
        "diff.mtsldsl.xfuncname": f"^(({_BLOCKS})([^A-Za-z0-9_].*)?)$",
        "diff.mtsldsl.wordRegex": "[A-Za-z_][A-Za-z0-9_]*|[-0-9.]+(e[-+]?[0-9]+)?|[^[:space:]]",
        "difftool.mtsldsl.cmd": f'{program} diff --path "$MERGED" "$LOCAL" "$REMOTE"',
    }


def _driver(program: str) -> str:
    """The command of the shell that git runs for a merge.

    `%O %A %B` are base, ours and theirs, `%S %X %Y` what git calls them (from its version 2.44 on), `%L` is the length
    of the markers and `%P` the path. Where the program writes nothing, because it or its environment is gone or it
    fails, git merges the lines: a driver that only fails would leave ours in the file, without a marker.
    """
    return (
        f"{program} merge %O %A %B -o %A.merged --marker-size %L -L %X -L %S -L %Y --path %P --or-lines; made=$?; "
        "if test -f %A.merged; then mv -f %A.merged %A && exit $made; fi; "
        "echo 'mtsldsl cannot be run: merged line by line instead, as git does; look at it, and repeat "
        "`mtsldsl git install`' >&2; "
        "git merge-file --marker-size=%L -L ours -L base -L theirs %A %O %B"
    )


def _program() -> str:
    """This very mtsldsl, for git may run where another one or none is on the path."""
    script = shutil.which("mtsldsl", path=str(Path(sys.executable).parent))
    if script:
        return shlex.quote(Path(script).as_posix())
    return f"{shlex.quote(Path(sys.executable).as_posix())} -m mtsldsl"


def _scope(everywhere: bool) -> str:
    return "--global" if everywhere else "--local"


def _attributes(everywhere: bool) -> Path:
    """The file that says which drivers a path has: that of the repository, or that of the user."""
    if not everywhere:
        return Path(_git("rev-parse", "--show-toplevel")) / ".gitattributes"
    chosen = _ask("config", "--global", "--type=path", "core.attributesFile")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git" / "attributes"


def _configured(everywhere: bool, section: str) -> bool:
    pattern = "^" + section.replace(".", r"\.") + r"\."
    return bool(_ask("config", _scope(everywhere), "--get-regexp", pattern))


def _ask(*arguments: str) -> str | None:
    """What git answers; None where it has no answer. Raises MtlError MTL703 where there is no git."""
    done = _run(arguments)
    return done.stdout.strip() if done.returncode == 0 else None


def _git(*arguments: str, remedy: str = "go to a repository's folder, or give --global") -> str:
    """What git answers. Raises MtlError MTL703 where it cannot."""
    from mtsldsl.diagnostics import MtlError

    done = _run(arguments)
    if done.returncode:
        said = " ".join(done.stderr.split()).removeprefix("fatal: ").removeprefix("error: ")
        raise MtlError.of("MTL703", f"git says: {said}", remedy)
    return done.stdout.strip()


def _run(arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    from mtsldsl.diagnostics import MtlError

    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MtlError.of("MTL703", "git is not installed", "install git") from None


def _read(path: Path) -> str:
    from mtsldsl.syntax import read_source

    return read_source(path).text if path.exists() else ""


def _write(path: Path, text: str) -> None:
    from mtsldsl.syntax import write_text_atomically

    if not text:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, text)
