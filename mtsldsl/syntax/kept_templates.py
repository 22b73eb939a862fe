"""Templates that jinja2 has compiled, kept between processes. To import this imports jinja2."""

from __future__ import annotations

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from mtsldsl.syntax.kept import kept_file, read_private, write_private


class KeptTemplates(BytecodeCache):
    """jinja2 sees to it that the code is that of the template and of this version of it; that it was read with the same
    settings, such as escaping, is seen to by a word for these."""

    def __init__(self, settings: str = "") -> None:
        self._settings = settings

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read what was kept of a template, if anything was."""
        kept = kept_file("template", self._settings + bucket.key)
        content = read_private(kept) if kept else None
        if content is not None:
            bucket.bytecode_from_string(content)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        kept = kept_file("template", self._settings + bucket.key)
        if kept:
            write_private(kept, bucket.bytecode_to_string())
