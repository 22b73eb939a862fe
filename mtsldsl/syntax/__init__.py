"""Text and tree of the language: reading, mistakes in the writing, edits that lose nothing. No tasks or layers here."""

from mtsldsl.syntax.edit import TextEdit, apply_edits, verify
from mtsldsl.syntax.files import read_source
from mtsldsl.syntax.parser import parse, read
from mtsldsl.syntax.writing import ChangedMeanwhileError, write_bytes_atomically, write_text_atomically

__all__ = [
    "ChangedMeanwhileError",
    "TextEdit",
    "apply_edits",
    "parse",
    "read",
    "read_source",
    "verify",
    "write_bytes_atomically",
    "write_text_atomically",
]
