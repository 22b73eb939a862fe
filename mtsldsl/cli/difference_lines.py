"""The difference of two specs as lines for people, styled for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from mtsldsl.compare.key_changes import KeyChange
from mtsldsl.compare.spec_difference import Said, SpecDifference
from mtsldsl.editing.rewrite import decision_line
from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.wording import worded

_STYLES = {
    "merge": "green",
    "split": "red",
    "regroup": "yellow",
    "help": "cyan",
    "join": "cyan",
    "leave": "cyan",
    "on": "green",
    "off": "red",
    "switch": "yellow",
    "added": "green",
    "removed": "red",
}


def lines(difference: SpecDifference, before: Spec, after: Spec, *, history: bool = False) -> Iterator[str]:
    """The difference, one line for each thing that differs."""
    if not difference:
        yield "the two specs mean the same"
    for noun in ("tasks", "layers"):
        for verb, color in (("removed", "red"), ("added", "green")):
            names = getattr(difference, f"{noun}_{verb}")
            if names:
                yield f"{click.style(f'{noun} {verb}:', fg=color)} {', '.join(names)}"
    for old, new in difference.layers_renamed:
        yield f"{click.style('renamed', fg='cyan')} {old} -> {new}"
    for noun in difference.reordered:
        yield f"{noun} in another order"
    for key in difference.keys:
        yield key_line(key)
    changes = (*difference.sharing, *difference.sharing_of_one)
    width = max((len(change.layer) for change in changes), default=0)
    for each in changes:
        kind = click.style(f"{each.kind:<7}", fg=_STYLES[each.kind])
        sides = [_text(said) for said in (each.before, each.after) if said != ()]
        yield f"{kind} {each.layer:<{width}}  {'  ->  '.join(sides)}"
    if history:
        for sign, color, decisions, spec in zip(
            "-+", ("red", "green"), difference.decisions, (before, after), strict=True
        ):
            for decision in decisions:
                yield click.style(f"{sign} {_decision(decision, spec)}", fg=color)
    if difference:
        yield f"parameters {_cost(*difference.parameters)}"
        yield f"FLOPs      {_cost(*difference.flops)}"


def key_line(change: KeyChange) -> str:
    """One key with its value before and after."""
    return f"{click.style(change.key, fg='yellow')}: {worded(change.before)} -> {worded(change.after)}"


def _decision(decision: Decision, spec: Spec) -> str:
    return decision_line(decision, spec.sharing.tasks)


def _text(said: Said) -> str:
    if isinstance(said, Mapping):
        return ", ".join(f"{alternative}: {' + '.join(tasks)}" for alternative, tasks in said.items()) or "none"
    return ", ".join(" + ".join(component) for component in said)


def _cost(before: int, after: int) -> str:
    change = f" ({100 * (after - before) / before:+.1f} %)" if before else ""
    return f"{before:,} -> {after:,}{change}"
