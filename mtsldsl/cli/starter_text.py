"""What the specs that `mtsldsl new` writes for a person's own data have in common."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from mtsldsl.diagnostics.bounded import cut
from mtsldsl.language.naming import refusal
from mtsldsl.methods.registry import run_names
from mtsldsl.tables.table_columns import Learnable

METRICS = {"classes": "accuracy, macro_f1", "binary": "accuracy, f1, auroc", "values": "rmse, r2"}


def task_name(column: str, taken: Collection[str]) -> str:
    """The name of a column or folder where a task can have it, or else one that is like it and free."""
    word = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in column).strip("_")
    numbered = (f"target{number}" for number in range(2, len(taken) + 3))
    return next(each for each in (word, f"{word}_target", "target", *numbered) if each not in taken and is_name(each))


def is_name(word: str) -> bool:
    """Whether a task can be called so."""
    return word.isidentifier() and refusal(word, generated=True, taken=run_names()) is None


def plain(text: str) -> str:
    """The text on one line, of a bounded length."""
    return cut("".join(letter if letter.isprintable() else " " for letter in text))


def described(learned: Learnable) -> str:
    """What a target is, in words."""
    if learned.kind == "classes":
        return f"{len(learned.names)} classes, {', '.join(learned.names)}"
    return "yes or no" if learned.kind == "binary" else "numbers"


def target_of(learned: Learnable) -> str:
    """The target of a column as the language has it."""
    if learned.kind == "classes":
        return f"classes({len(learned.names)})"
    return "binary(1)" if learned.kind == "binary" else "values(1, scale=standard)"


def path_from(spec: Path, data: Path) -> str:
    """The path of the data from the folder of the spec, or the whole one where that is another file from here."""
    near = Path(os.path.relpath(data, spec.parent))
    misleading = near.exists() and not near.samefile(data)
    return (data.absolute() if misleading or near.parts[0].startswith("~") else near).as_posix()


STRUCTURE = """
# How sharing is learned: every task starts with layers of its own, and at the end of these epochs tasks merge at the
# layers where they compute the same. Without this block the sharing stays as it is.
structure mtsl {
  phases = [4, 8, 12]
  threshold = 0.8 # mean similarity above which a group merges; higher shares less
}"""
