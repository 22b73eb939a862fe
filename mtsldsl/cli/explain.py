"""`mtsldsl explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _complete(context: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from mtsldsl.cli.choices import choices, subjects
    from mtsldsl.diagnostics import CODES

    before = context.params.get("words") or ()
    first = {**CODES, **({} if before else subjects())}
    found = choices(before[0]) if before and before[0] in subjects() else first
    return [CompletionItem(name, help=said) for name, said in found.items() if name.lower().startswith(typed.lower())]


@click.command()
@click.argument("words", nargs=-1, metavar="[CODES | KEY [NAMES]]", shell_complete=_complete)
def command(words: tuple[str, ...]) -> None:
    """Say what CODES mean, such as MTL107: why they are reported, an example, the remedy. Without any, list all.

    With a KEY, such as structure, balance or optimizer: what there is to choose from, or all of the choices NAMES.
    """
    from mtsldsl.cli.choices import chosen, listed, subjects

    lines: list[str] = []
    if words and words[0] in subjects():
        key, *names = words
        lines = list(listed(key)) if not names else _joined(chosen(key, name) for name in names)
    elif words:
        lines = _joined(_explained(_known(code)) for code in words)
    else:
        lines = [*_listed(), "", f"What there is to choose from: mtsldsl explain {'|'.join(subjects())}"]
    click.echo("\n".join(lines))


def _joined(pages: Iterable[Iterable[str]]) -> list[str]:
    """The lines of the pages, with an empty one between two."""
    lines: list[str] = []
    for page in pages:
        lines += [*([""] if lines else []), *page]
    return lines


def _known(code: str) -> str:
    """The code that is meant; `107` and `mtl107` will do. Raises click.BadParameter where there is none."""
    from mtsldsl.cli.choices import subjects
    from mtsldsl.diagnostics import CODES, proposal, suggestion

    wanted = code.upper() if code.upper().startswith("MTL") else f"MTL{code}"
    if wanted not in CODES:
        meant = proposal(code, list(subjects()))
        if meant is not None:
            raise click.BadParameter(f"there is no code or key `{code}`; {meant}")
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
