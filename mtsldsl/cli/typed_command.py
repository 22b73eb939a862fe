"""A command as a person would type it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource


def typed(ctx: click.Context) -> str:
    """The command of a context with all that it was given, by whatever way, and no defaults."""
    given = [each for each in ctx.command.params if _is_given(ctx, each)]
    words = [word for each in given for word in _words(each, ctx.params[str(each.name)])]
    return shlex.join(["mtsldsl", str(ctx.info_name), *words])


def _is_given(ctx: click.Context, parameter: click.Parameter) -> bool:
    source = ctx.get_parameter_source(str(parameter.name))
    return source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT) and str(parameter.name) in ctx.params


def _words(parameter: click.Parameter, value: Any) -> Iterator[str]:
    if isinstance(parameter, click.Argument):
        yield str(value)
        return
    name = max(parameter.opts, key=len)
    if isinstance(value, bool):
        if value:
            yield name
        return
    values = [f"{key}={each}" for key, each in value.items()] if isinstance(value, dict) else value
    for each in values if isinstance(values, (list, tuple)) else [values]:
        yield from (name, str(each))
