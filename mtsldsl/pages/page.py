"""Pages for people, made of templates beside the modules that know what to say, and of what all pages have here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def page(package: str, name: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """The text of `templates/<name>.jinja` of a package with these values, escaped in `.html` and `.svg`. A template
    may include those of this package."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    from mtsldsl.syntax.kept_templates import KeptTemplates

    marked = name.endswith((".html", ".svg"))
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(each, "templates") for each in (package, "mtsldsl.pages")]),
        bytecode_cache=KeptTemplates("escaped " if marked else "as it is "),
        undefined=StrictUndefined,
        autoescape=marked,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not marked,
    )
    environment.filters.update(filters)
    return environment.get_template(f"{name}.jinja").render(**values)
