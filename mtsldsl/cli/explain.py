"""`mtsldsl explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _complete(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from mtsldsl.diagnostics import CODES

    return [CompletionItem(code, help=title) for code, title in CODES.items() if code.startswith(typed.upper())]


@click.command()
@click.argument("codes", nargs=-1, shell_complete=_complete)
def command(codes: tuple[str, ...]) -> None:
    """Say what CODES mean, such as MTL107: why they are reported, an example, the remedy. Without any, list all."""
    lines: list[str] = []
    if not codes:
        lines = list(_listed())
    for code in codes:
        lines += [*([""] if lines else []), *_explained(_known(code))]
    click.echo("\n".join(lines))


def _known(code: str) -> str:
    """The code that is meant; `107` and `mtl107` will do. Raises click.BadParameter where there is none."""
    from mtsldsl.diagnostics import CODES, suggestion

    wanted = code.upper() if code.upper().startswith("MTL") else f"MTL{code}"
    if wanted not in CODES:
        raise click.BadParameter(f"there is no code `{code}`; {suggestion(wanted, CODES, 'codes')}")
    return wanted


def _listed() -> Iterator[str]:
    from mtsldsl.diagnostics.explained import families

    for number, family in enumerate(families()):
        yield f"MTL{number}: {family.title}" if number == 0 else f"\nMTL{number}: {family.title}"
        yield from (f"  {entry.code}  {entry.title}" for entry in family.codes)


def _explained(code: str) -> Iterator[str]:
    from textwrap import indent, wrap

    from mtsldsl.diagnostics.explained import REGISTRY

    entry = REGISTRY[code]
    yield f"{code}: {entry.title}"
    yield ""
    yield from wrap(entry.why, 100)
    if entry.occurs:
        yield ""
        yield from wrap(f"Reported {entry.occurs}.", 100)
    shown = f"{entry.example}\n{entry.console}" if entry.example and entry.console else entry.example or entry.console
    for heading, text in (("Example:", shown), ("Instead:", entry.instead)):
        if text:
            yield from ("", heading, "", indent(text.rstrip("\n"), "    "))
    yield ""
    yield from wrap(f"Remedy: {entry.remedy}", 100)
