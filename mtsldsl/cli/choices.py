"""What `mtsldsl explain` says of the keys that have names to choose from: ways to learn sharing, balances, optimizers
and so on; all of it from the tables of the language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from textwrap import TextWrapper

import attrs
import click

from mtsldsl.diagnostics import suggestion
from mtsldsl.language.kinds import KEPT, Call, CallRule, Key
from mtsldsl.language.reference import call_of, default_of, value_of
from mtsldsl.language.schema import TRAIN
from mtsldsl.language.tuning import TUNINGS
from mtsldsl.methods.registry import method, methods

STRUCTURE = "structure"
WIDTH = 100

_KEYS = {key.name: key for key in TRAIN.keys or () if isinstance(key.kind, Call)}
_KEYS["keep"] = attrs.evolve(next(key for key in TRAIN.keys or () if key.name == "keep"), kind=KEPT)
_KEYS["tuning"] = Key("tuning", TUNINGS, "how a layer, or the head of a task, learns otherwise than the rest")
"""The keys of `train` with names to choose from, and what the lines of `tuning` say."""


def subjects() -> Mapping[str, str]:
    """The keys that can be asked for, with what they say."""
    return {STRUCTURE: "how it is learned which tasks share what", **{key: each.summary for key, each in _KEYS.items()}}


def choices(key: str) -> Mapping[str, str]:
    """The names to choose from, with a sentence for each."""
    if key == STRUCTURE:
        return {each.name: each.block.summary for each in methods()}
    return {rule.name: rule.summary for rule in _rules(_KEYS[key])}


def listed(key: str) -> Iterator[str]:
    """All of them; ways to learn sharing with their papers."""
    yield f"{key}: {subjects()[key]}"
    yield ""
    names = choices(key)
    width = max(map(len, names))
    for name, said in names.items():
        yield from _row(name, said, width)
        if key == STRUCTURE and method(name).paper:
            yield from _row("", method(name).paper, width)


def chosen(key: str, name: str) -> Iterator[str]:
    """One of them: its sentence, its paper, and what it takes. Raises click.BadParameter where there is none."""
    names = choices(key)
    if name not in names:
        raise click.BadParameter(f"there is no {key} `{name}`; {suggestion(name, names, 'choices')}")
    if key == STRUCTURE:
        found = method(name)
        yield from _wrapped(f"{key} {name}: {names[name]}")
        if found.paper:
            yield ""
            yield from _wrapped(f"Paper: {found.paper}")
        yield from _taken(found.block.keys or ())
        if found.decisions:
            yield from ("", "Written into `history`:", "", *(f"    {rule.example}" for rule in found.decisions))
        return
    rule = next(each for each in _rules(_KEYS[key]) if each.name == name)
    yield from _wrapped(f"{key} = {call_of(rule)}: {rule.summary}")
    yield from _taken((*rule.keys, *([rule.rest] if rule.rest else [])))


def _rules(key: Key) -> tuple[CallRule, ...]:
    assert isinstance(key.kind, Call)
    return key.kind.rules


def _taken(keys: Iterable[Key]) -> Iterator[str]:
    """What may be said of it, key by key; where that is a name with arguments, the names."""
    keys = list(keys)
    if keys:
        yield ""
    width = max((len(key.name) for key in keys), default=0)
    for key in keys:
        yield from _row(key.name, f"{key.summary}: {value_of(key.kind)}; {_absent(key)}", width)
        if isinstance(key.kind, Call):
            for rule in key.kind.rules:
                yield from _row("", f"  {call_of(rule)}: {rule.summary}", width)


def _absent(key: Key) -> str:
    said = default_of(key)
    return said if said == "required" else f"by default {said}"


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    return TextWrapper(width, break_on_hyphens=False).wrap(text)


def _row(name: str, said: str, width: int) -> Iterator[str]:
    """A name and what is said of it, in a column of its own."""
    lead = " " * (len(said) - len(said.lstrip()))
    for place, line in enumerate(_wrapped(said.strip(), WIDTH - width - 4 - len(lead))):
        yield f"  {(name if not place else '').ljust(width)}  {lead}{line}".rstrip()
