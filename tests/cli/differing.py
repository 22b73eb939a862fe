"""Two specs that differ, and the command that says how."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from mtsldsl.cli import main
from tests.ir.specs import text

BEFORE = text("sharing {\n  stem = segment + depth, edge, normal\n}\n")
AFTER = (
    BEFORE.replace("epochs = 4", "epochs = 30")
    .replace("enc2", "stage2")
    .replace("segment + depth, edge, normal", "segment + depth, edge + normal")
)


def diff(*arguments: str | Path, color: bool = False) -> Result:
    return CliRunner().invoke(main, ["diff", *map(str, arguments)], color=color)
