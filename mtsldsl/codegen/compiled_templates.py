"""The templates of generated code: compiled ahead in `ready/` for one text and one jinja2, by jinja2 for any other.

Compiling them takes about a hundred times as long as importing what was compiled.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from pkgutil import get_data
from typing import TYPE_CHECKING

from mtsldsl.language.literals import literal

if TYPE_CHECKING:
    from jinja2 import Environment, Template

TEMPLATES = ("model", "package", "train")

READY = Path(__file__).with_name("ready")
"""A module for each template, which jinja2 made of it: read as any module of the package is."""


@cache
def template(name: str) -> Template:
    """One of TEMPLATES. jinja2 is imported when the first is asked for."""
    from jinja2 import Template, __version__

    ready = import_module(f"mtsldsl.codegen.ready.{name}_py")
    if (__version__, _digest(name)) == (ready.JINJA2, ready.TEMPLATE):
        return Template.from_module_dict(environment(), vars(ready), environment().globals)
    return environment().get_template(name)


def ready_template(name: str) -> str:
    """The text of the module of `ready/` for this template and this jinja2: `make tables` writes it."""
    from jinja2 import __version__

    made = environment().compile(_text(name), name, name, raw=True, defer_init=True)
    imported, _, rest = made.partition("\n")
    return "\n".join(
        (
            f'"""What jinja2 made of `templates/{name}.py.jinja`, by `make tables`. DO NOT EDIT."""',
            "",
            imported,
            "",
            f"JINJA2 = {__version__!r}",
            f"TEMPLATE = {_digest(name)!r}",
            rest,
            "",
        )
    )


@cache
def environment() -> Environment:
    """How the templates are read; what had to be compiled is kept."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    from mtsldsl.syntax.kept_templates import KeptTemplates

    made = Environment(
        loader=FunctionLoader(_text),
        bytecode_cache=KeptTemplates(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters["literal"] = literal
    return made


def _text(name: str) -> str:
    data = get_data("mtsldsl.codegen", f"templates/{name}.py.jinja")
    if data is None:
        raise FileNotFoundError(name)
    return data.decode("utf-8")


def _digest(name: str) -> str:
    return sha256(_text(name).encode()).hexdigest()


def write_ready() -> None:
    """Write `ready/` anew."""
    for name in TEMPLATES:
        (READY / f"{name}_py.py").write_text(ready_template(name), encoding="utf-8")
