"""Coverage-guided search for bytes on which the tools do anything else than finish or report; see README.md."""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["mtsldsl"]), tempfile.TemporaryDirectory() as first:
    from tests import endurance as commands
    from tests.syntax import endurance as texts

    # What is imported or built at first use is, here: instrumented, and before the clock of the first input starts.
    for text in (b"mtl 1\n", b"mtl {\n", (ROOT / "specs" / "scenes.mtl").read_bytes()):
        texts.examine(text)
        for chosen in range(len(commands.COMMANDS)):
            commands.examine(bytes([chosen]) + text, Path(first))

SEEDS = (
    "specs",
    "specs/library",
    "tests/syntax/errors",
    "tests/syntax/format",
    "tests/ir/errors",
    "tests/fuzz_cases",
)
LONGEST_WORD = 60
"""Bytes of a word of the dictionary; libFuzzer takes 64 at most."""


def seeds() -> list[bytes]:
    """The texts of the project."""
    return [path.read_bytes() for name in SEEDS for path in sorted((ROOT / name).glob("*.mtl"))]


def seeds_for_commands() -> Iterator[bytes]:
    """Each text, what a person may have made of it, and another text, for one command after the other."""
    known = seeds()
    for place, text in enumerate(known):
        lines = text.split(b"\n")
        edited = b"\n".join(line for number, line in enumerate(lines) if number % 9 != place % 9)
        chosen = place % len(commands.COMMANDS)
        further = (edited, known[place - 1])
        if commands.SETTING in commands.COMMANDS[chosen]:
            further = (commands.SETTINGS[place % len(commands.SETTINGS)].encode(),)
        yield bytes([chosen]) + commands.SEPARATOR.join((text, *further))
    yield from (path.read_bytes() for path in sorted((ROOT / "tests" / "fuzz_cases").glob("*.bin")))


def words() -> list[bytes]:
    """What is put into texts: the pieces of the language, and every word of the specs."""
    sound = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "specs").rglob("*.mtl"))]
    found = {word for text in sound for word in re.findall(r"[A-Za-z_]\w*(?:\(| =)?|-?[\d.]+(?:e-?\d+)?", text)}
    found |= {f'import "{name}"\n' for name in commands.FILES} | {"\x1e", *commands.SETTINGS[:-1]}
    return sorted(word.encode() for word in {*found, *texts.PIECES} if len(word.encode()) <= LONGEST_WORD)


def dictionary(entries: Iterable[bytes]) -> str:
    """Words in the form of libFuzzer's dictionaries."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in entry) + '"\n' for entry in entries)


def target(name: str, folder: Path) -> tuple[Callable[[bytes], object], list[bytes]]:
    """What is done with one input, and the inputs to begin with."""
    if name == "text":
        return texts.examine, seeds()
    if name == "commands":
        return lambda data: commands.examine(data, folder), list(seeds_for_commands())
    sys.exit("usage: fuzz.py text|commands [options of libFuzzer] [folder or file]")


def main() -> None:
    """Fuzz with libFuzzer's options and corpus folders from the command line; single files are run alone."""
    name, *given = sys.argv[1:] or [""]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for each in ("seeds", "texts", "new"):
            (folder / each).mkdir()
        examine, known = target(name, folder / "texts")
        paths = [each for each in given if not each.startswith("-")]
        options = ["-max_len=8192", "-timeout=10", "-rss_limit_mb=2048", *given]
        if not any(Path(each).is_file() for each in paths):
            for number, seed in enumerate(known):
                (folder / "seeds" / f"{number:04}").write_bytes(seed)
            (folder / "words.dict").write_text(dictionary(words()), encoding="ascii")
            options += [
                *([] if paths else [str(folder / "new")]),
                str(folder / "seeds"),
                f"-dict={folder / 'words.dict'}",
            ]
        itself = " ".join(map(shlex.quote, (sys.executable, __file__, name)))  # as libFuzzer starts it to shrink a file
        atheris.Setup([itself, *options], examine)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
