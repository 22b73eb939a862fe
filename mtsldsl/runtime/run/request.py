"""What a run was asked for beside its spec: by it a run that was killed before its first checkpoint begins again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.syntax import write_text_atomically
from mtsldsl.syntax.files import is_file


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{value!r} is no list of texts")
    return tuple(value)


_TEXT = attrs.validators.instance_of(str)
_MAYBE = attrs.validators.optional(_TEXT)


@attrs.frozen(kw_only=True)
class Request:
    """The name of the spec as it was given, and the options of the command."""

    spec: str = attrs.field(validator=_TEXT)
    command: str | None = attrs.field(default=None, validator=_MAYBE)
    weights: str | None = attrs.field(default=None, validator=_MAYBE)
    in_place: str | None = attrs.field(default=None, validator=_MAYBE)
    threads: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(int))
    )
    loggers: tuple[str, ...] = attrs.field(default=(), converter=_texts)

    def write(self, path: Path) -> None:
        """Put it into a file."""
        write_text_atomically(path, json.dumps(attrs.asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Request | None:
        """That of a file; None where there is none. Raises MtlError MTL801 where the file says something else."""
        if not path.exists():
            return None
        try:
            if not is_file(path):
                raise TypeError("it is no file")
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError):
            cause = f"`{path}` is not as a run writes it"
            raise MtlError.of("MTL801", cause, "copy the run folder once more from where it is whole") from None
