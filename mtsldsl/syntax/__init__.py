"""Text and tree of the language: reading, mistakes in the writing, edits that lose nothing. No tasks or layers here."""

from mtsldsl.syntax.edit import TextEdit, apply_edits, verify
from mtsldsl.syntax.files import read_source, write_text_atomically
from mtsldsl.syntax.parser import parse, read

__all__ = ["TextEdit", "apply_edits", "parse", "read", "read_source", "verify", "write_text_atomically"]
