"""Prints the lowest versions that pyproject.toml allows, as constraints of pip; `make test-lowest` installs them."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(\[[^]]*\])?>=(?P<version>[0-9.]+)")


def lowest() -> dict[str, str]:
    """The lower bound of everything that is needed to use, extend and test mtsldsl, by name."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    bounds: dict[str, str] = {}
    extras = {**project["optional-dependencies"], "all": []}  # which names the others
    for requirement in chain(project["dependencies"], *extras.values()):
        found = REQUIREMENT.match(requirement)
        if found is None:
            raise SystemExit(f"{PROJECT}: `{requirement}` has no lower bound")
        name, version = found["name"], found["version"]
        if bounds.setdefault(name, version) != version:
            raise SystemExit(f"{PROJECT}: {name} has two lower bounds, {bounds[name]} and {version}")
    return bounds


if __name__ == "__main__":
    for each, bound in lowest().items():
        print(f"{each}=={bound}")
