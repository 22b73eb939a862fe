"""Pages for people, made of the templates beside this module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def page(name: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """The text of `templates/<name>.jinja` with these values; what goes into `.html` is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mtsldsl.runtime.run", "templates"),
        undefined=StrictUndefined,
        autoescape=name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not name.endswith(".html"),
    )
    environment.filters.update(filters)
    return environment.get_template(f"{name}.jinja").render(**values)
