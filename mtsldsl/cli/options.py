"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"`{value}` is not KEY=VALUE, such as train.epochs=2")
        pairs[key.strip()] = text.strip()
    return pairs


def overrides(function: F) -> F:
    """`--set KEY=VALUE`, any number of times."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_pairs,
        help="Override a value of the spec, such as train.epochs=2 or a let constant.",
    )(function)


def spec_argument(function: F) -> F:
    """The spec file."""
    return click.argument("spec", type=click.Path(path_type=Path))(function)


def device(function: F) -> F:
    """`--device`."""
    return click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")(function)
