"""Coverage-guided search for bytes on which the tools do anything else than finish or report; see README.md."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["mtsldsl"]):
    from tests.syntax.endurance import PIECES, examine

    for text in (b"mtl 1\n", b"mtl {\n", (ROOT / "specs" / "scenes.mtl").read_bytes()):
        examine(text)  # what is imported or built at first use is, here, before the clock of the first input starts

SEEDS = ("specs", "tests/syntax/errors", "tests/syntax/format", "tests/spec/errors", "tests/fuzz_cases")
LONGEST_WORD = 60
"""Bytes of a word of the dictionary; libFuzzer takes 64 at most."""


def one_input(data: bytes) -> None:
    """Hold for one input what must hold for all."""
    examine(data)


def seeds() -> list[Path]:
    """The folders of the project that hold texts."""
    return [ROOT / name for name in SEEDS if (ROOT / name).is_dir()]


def words() -> list[bytes]:
    """What is put into texts: the pieces of the language, and every word of the specs."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "specs").rglob("*.mtl"))]
    found = {word for text in texts for word in re.findall(r"[A-Za-z_]\w*(?:\(| =)?|-?[\d.]+(?:e-?\d+)?", text)}
    return sorted(word.encode() for word in {*found, *PIECES} if len(word.encode()) <= LONGEST_WORD)


def dictionary(entries: Iterable[bytes]) -> str:
    """Words in the form of libFuzzer's dictionaries."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in entry) + '"\n' for entry in entries)


def main() -> None:
    """Fuzz with libFuzzer's options and corpus folders from the command line, the seeds added."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "words.dict"
        listed.write_text(dictionary(words()), encoding="ascii")
        given = sys.argv[1:]
        corpus = given if any(not each.startswith("-") for each in given) else [*given, folder]
        options = [f"-dict={listed}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", *corpus, *map(str, seeds())]
        atheris.Setup([sys.argv[0], *options], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
