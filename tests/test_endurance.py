"""Whatever files the commands are given, they finish or report; and they are quick on sound specs of any size, too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from tests.endurance import COMMANDS, SEPARATOR, SETTING, SETTINGS, examine, measured, parts, run
from tests.laws import law
from tests.syntax.endurance import PIECES
from tests.timing import Measure, held_in_proportion, held_within

ROOT = Path(__file__).parents[1]
FINDINGS = sorted((ROOT / "tests" / "fuzz_cases").glob("*.bin"))
SPECS = [path.read_bytes() for path in sorted((ROOT / "specs").glob("*.mtl"))]
BROKEN = [path.read_bytes() for path in sorted((ROOT / "tests" / "ir" / "errors").glob("*.mtl"))]
assert BROKEN
DIGITS = re.compile(rb"\d+")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("texts")
    for command in COMMANDS:  # what is imported and built at first use, is, before the clock of the first text starts
        run(command, [SPECS[-1]], made)
    return made


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: path.stem)
def test_what_fuzzing_found_is_mended(finding: Path, folder: Path) -> None:
    command, texts = parts(finding.read_bytes())
    ordinary = [plain(len(text)) for text in texts]
    # With 20 times the time of an ordinary text of that size there is room for the most tasks, and for many reports.
    held_within(20, measured(command, texts, folder), measured(command, ordinary, folder))


@st.composite
def changed(draw: st.DrawFn, text: bytes) -> bytes:
    """A text with a few lines cut out, doubled, moved, or put in from another, or pieces of the language put in."""
    lines = text.split(b"\n")
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(lines)))
        end = start + draw(st.sampled_from([0, 1, 1, 4]))
        other = draw(st.sampled_from(SPECS + BROKEN)).split(b"\n")
        place = draw(st.integers(0, len(other)))
        piece = draw(st.sampled_from(PIECES)).encode()
        lines = draw(
            st.sampled_from(
                [
                    lines[:start] + lines[end:],
                    lines[:start] + lines[start:end] + lines[start:],
                    lines[:start] + other[place : place + 2] + lines[end:],
                    [*lines[:start], piece, *lines[start:]],
                    lines[:start] + [DIGITS.sub(b"2", line) for line in lines[start:end]] + lines[end:],
                    lines[:start] + [line.replace(b"=", b"= " + piece, 1) for line in lines[start:end]] + lines[end:],
                ]
            )
        )
    return b"\n".join(lines)


inputs = (st.sampled_from(SPECS) | st.sampled_from(SPECS + BROKEN)).flatmap(
    lambda text: st.lists(st.just(text) | changed(text), min_size=1, max_size=3)
)


@law(120)
@given(st.integers(0, len(COMMANDS) - 1), inputs, st.sampled_from(SETTINGS))
def test_every_command_ends_or_reports_whatever_was_done_to_a_spec(
    folder: Path, chosen: int, texts: list[bytes], setting: str
) -> None:
    if SETTING in COMMANDS[chosen]:
        texts = [texts[0], setting.encode()]
    examine(bytes([chosen]) + SEPARATOR.join(texts), folder)


LARGEST = 9_000
"""Bytes that what is repeated in a large text takes at most."""

OPENING = 'mtl 1\ndata arrays {\n  path = "x.npz"\n  input = image(4, 8, 8)\n}\n'
TASK = "  target = values(4)\n  head = conv2d(4, 1)\n}\n"
TRAIN = "train {\n  epochs = 2\n}\n"


def plain(size: int) -> bytes:
    """A sound text of one task and many layers, of about so many bytes."""
    layers = filling("  l{n} = conv2d(4, 3) | batch_norm | relu\n", size)
    return f"{OPENING}task t {{\n{TASK}backbone {{\n{''.join(layers)}}}\n{TRAIN}".encode()


def filling(form: str, size: int, most: int = LARGEST) -> list[str]:
    """The form with 0, 1, 2 and so on in it, as often as it fits."""
    count = min(most, max(1, size // len(form)))
    return [form.format(n=number) for number in range(count)]


@st.composite
def large(draw: st.DrawFn) -> Callable[[int], bytes]:
    """Makes a text that is sound but for names it may not know, with a great number of one thing, or of two.

    The text is for one of a size up to LARGEST, and twice as large for twice the size.
    """
    share = draw(st.sampled_from([225, 45, 1]))
    count = draw(st.sampled_from([1, 2, 30, 199]))
    layer = st.sampled_from(
        ["relu", "conv2d(4, 3)", "residual(conv2d(4, 3) | batch_norm)", "concat(relu, image) | conv2d(4, 1)"]
    )
    kind = draw(
        st.sampled_from(["layers", "chain", "repeat", "join", "unknown", "same", "lets", "blocks", "keys", "skips"])
    )
    one, joint = draw(layer), draw(st.sampled_from(["concat", "add"]))
    repeats = draw(st.sampled_from([1_000, 3_300, 9_990, 49_000, 10**9]))
    unknown = draw(st.sampled_from(["l{n}", "q{n}l", "m{n}", "rel{n}", "conv{n}d"]))
    wrong = draw(st.sampled_from(["rellu", "conv2d(4, kernell=3)", "zz", "l{n}"]))
    key = draw(st.sampled_from(["epochs", "optimzer{n}", "seed"]))
    sharing = draw(st.sampled_from(["", "sharing {\n  l0 = all\n}\n", "sharing {\n  l0 = t0\n}\n"]))
    tasks = ", ".join(f"t{number}" for number in range(count))

    def make(size: int) -> bytes:
        def many(form: str) -> list[str]:
            return filling(form, size, max(1, size // share))

        defined, body, keys = "", f"  l0 = {one}\n", ""
        if kind == "layers":
            body = "".join(many(f"  l{{n}} = {one}\n"))
        elif kind == "chain":
            body = f"  l0 = {' | '.join(many(one))}\n"
        elif kind == "repeat":
            body = f"  l0 = ({one}) * {max(1, repeats * size // LARGEST)}\n"
        elif kind == "join":
            body = f"  l0 = {joint}({', '.join(many('relu'))}) | conv2d(4, 1)\n"
        elif kind == "unknown":
            body = "".join(f"  l{n} = relu\n" for n in range(count * 2))
            body += f"  z = concat({', '.join(many(unknown))})\n"
        elif kind == "same":
            body = "".join(many(f"  l{{n}} = {wrong}\n"))
        elif kind == "lets":
            defined = "let a0 = 3\n" + "".join(many("let b{n} = a0 * 1\n"))
            body = "  l0 = conv2d(4, b0)\n"
        elif kind == "blocks":
            defined = "".join(many("block b{n}(a=1, c=relu) = conv2d(4, a) | c\n"))
            body = "  l0 = b0(1) | b0(3, tanh)\n"
        elif kind == "keys":
            keys = "".join(many(f"  {key} = 1\n"))
        else:
            body = "  l0 = relu\n" + "".join(many("  m{n} = concat(l0, image) | conv2d(4, 1)\n"))
        text = f"{OPENING}task [{tasks}] {{\n{TASK}{defined}backbone {{\n{body}}}\n{TRAIN[:-2]}{keys}}}\n{sharing}"
        return text.encode()

    return make


@law(25, phases=[Phase.generate])  # what is slow takes long to make smaller, and is seldom clearer then
@given(st.sampled_from(COMMANDS[:-1]), large())
def test_every_command_takes_twice_the_time_for_twice_the_text(
    folder: Path, command: tuple[str, ...], make: Callable[[int], bytes]
) -> None:
    def measure(size: int) -> Measure:
        data = make(size)
        other = data.replace(b"conv2d(4, 1)", b"conv2d(4, 3)")
        texts = [data, other, data] if command[0] in ("diff", "merge") else [data, b"train.epochs=3"]
        return measured(command, texts, folder)

    held_in_proportion(measure, LARGEST)
