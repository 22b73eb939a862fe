"""What the specs that `mtsldsl new` writes for a person's own data have in common."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics.bounded import cut
from mtsldsl.division import Shares
from mtsldsl.language.naming import refusal
from mtsldsl.methods.registry import run_names
from mtsldsl.tables.table_columns import Learnable

METRICS = {"classes": "accuracy, macro_f1", "binary": "accuracy, f1, auroc", "values": "rmse, r2"}


def task_name(column: str, taken: Collection[str]) -> str:
    """The name of a column or folder where a task can have it, or else one that is like it and free."""
    word = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in column).strip("_")
    numbered = (f"target{number}" for number in range(2, len(taken) + 3))
    return next(each for each in (word, f"{word}_target", "target", *numbered) if each not in taken and is_name(each))


def require_learned(targets: Collection[str], excluded: Collection[str]) -> None:
    """Hold that nothing is both learned and excluded."""
    both = next((name for name in targets if name in excluded), None)
    if both is not None:
        raise click.UsageError(f"{both!r} is excluded, and cannot be learned")


def options_of(kind: str) -> Mapping[str, Any]:
    """What the keys of a data block of that kind are where it does not say."""
    return {key.name: key.default for key in data_kind(kind).block.keys or ()}


def shares_of(options: Mapping[str, Any]) -> Shares:
    """How the samples of such a block are divided."""
    return Shares(**{field.name: options[field.name] for field in attrs.fields(Shares)})


def header(spec: Path, learns_from: str, about: str) -> Iterator[str]:
    """The first lines of a spec."""
    yield f"# {spec.with_suffix('').as_posix()}: learns from the {learns_from}. It trains as it is with"
    yield "#"
    yield f"#   {shlex.join(['mtsldsl', 'train', spec.as_posix()])}"
    yield "#"
    yield f"# {about}"
    yield "mtl 1"
    yield ""


def share_missing(missing: int, count: int) -> str:
    """The beginning of a comment, which says how many labels or cells are missing where any is."""
    return f"{max(0.1, 100 * missing / count):.1f} % missing; " if missing else ""


def training_block(epochs: int, patience: int) -> str:
    """The block of the training."""
    return f"""
train {{
  epochs = {epochs}
  optimizer = adamw(lr=3e-3, weight_decay=1e-2)
  scheduler = cosine
  clip = 1.0 # the gradient of a step is no longer than this
  stop = patience({patience}) # epochs without a better one on validation after which the run ends
  seed = 0
}}"""


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
